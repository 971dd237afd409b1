-- Purpose: how far MariaDB's long statements are, in percent of their stage; and those that InnoDB changes a
--   table for in place, of which it tells only one percentage for the whole server
-- Privilege: PROCESS for the sessions of others
-- Cost: one pass over the thread list and one over the status variables, 1 ms
select p.id as session_id,
       p.state as state,
       p.stage as stage,
       p.max_stage as stages,
       p.progress as percent,
       p.max_stage = 0 as in_place,
       (select g.variable_value / 100
          from information_schema.global_status g
         where g.variable_name = 'INNODB_ONLINEDDL_PCT_PROGRESS') as percent_in_place
  from information_schema.processlist p
 where p.max_stage > 0
    or p.state = 'altering table'
