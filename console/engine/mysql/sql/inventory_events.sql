-- Purpose: the events of a database
-- Privilege: EVENT on the database; others are not shown
-- Cost: one pass over them
select e.event_name as name,
       e.event_definition as definition,
       e.event_type as type,
       coalesce(e.interval_value, '') as every,
       coalesce(e.interval_field, '') as unit,
       coalesce(e.execute_at, '') as once,
       e.on_completion as completion,
       e.status as status,
       e.definer as definer,
       e.sql_mode as sql_mode
  from information_schema.events e
 where e.event_schema = %s
