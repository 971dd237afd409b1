-- Purpose: the triggers of a database
-- Privilege: TRIGGER on each table; others are not shown
-- Cost: it opens each table of the database once (MariaDB); one pass over the data dictionary (MySQL)
select t.trigger_name as name,
       t.event_object_table as table_name,
       t.action_timing as timing,
       t.event_manipulation as event,
       t.action_statement as definition,
       t.definer as definer,
       t.sql_mode as sql_mode
  from information_schema.triggers t
 where t.trigger_schema = %s
