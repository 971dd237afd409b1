-- Purpose: the last statements of some sessions; empty where the history is switched off (MariaDB's default)
-- Privilege: SELECT on performance_schema
-- Cost: two index probes a session (MySQL), one pass over the history of all threads (MariaDB)
select t.processlist_id as session_id,
       h.event_id as event_id,
       left(h.sql_text, 2000) as statement
  from performance_schema.threads t
  join performance_schema.events_statements_history h
    on h.thread_id = t.thread_id
 where t.processlist_id in %s
   and h.nesting_event_level = 0
   and h.sql_text is not null
