-- Purpose: whose sessions there are, and how each is connected
-- Privilege: SELECT on performance_schema
-- Cost: one pass over the thread table
select t.processlist_id as id,
       t.processlist_user as user,
       t.processlist_host as host,
       t.processlist_command as command,
       t.processlist_time as seconds,
       t.connection_type as connection
  from performance_schema.threads t
 where t.connection_type is not null
   and t.processlist_user is not null
   and t.processlist_id <> connection_id()
