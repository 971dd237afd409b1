-- Purpose: prepared XA transactions of MySQL sessions that are still connected: only they can end them
-- Privilege: SELECT on performance_schema
-- Cost: one pass over the current transactions, one a thread
select t.processlist_id as session_id,
       e.xid_format_id as format_id,
       e.xid_gtrid as gtrid,
       e.xid_bqual as bqual
  from performance_schema.events_transactions_current e
  join performance_schema.threads t
    on t.thread_id = e.thread_id
 where e.state = 'ACTIVE'
   and e.xa_state = 'PREPARED'
   and t.processlist_id is not null
