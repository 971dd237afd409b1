-- Purpose: how often MySQL told a session of a deadlock: rows, metadata locks, group replication
-- Privilege: SELECT on performance_schema
-- Cost: one pass over the error summary, constant
select e.sum_error_raised as raised
  from performance_schema.events_errors_summary_global_by_error e
 where e.error_number = 1213
