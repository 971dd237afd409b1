-- Purpose: the stages of a clone that runs on this server as the recipient
-- Privilege: SELECT on performance_schema; the table is there where the clone plugin is
-- Cost: constant
select s.pid as session_id,
       p.stage as stage,
       p.estimate as total,
       p.data as done,
       s.source as source
  from performance_schema.clone_progress p
  join performance_schema.clone_status s
    on s.id = p.id
 where p.state = 'In Progress'
