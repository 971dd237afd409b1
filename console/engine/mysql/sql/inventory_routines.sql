-- Purpose: the procedures and functions of a database; the definition is null where it may not be seen
-- Privilege: SHOW_ROUTINE or SELECT on everything (MySQL), SELECT on mysql.proc (MariaDB); or on each EXECUTE
--   or ALTER ROUTINE, which does not show definitions; others are not shown
-- Cost: one pass over them
select r.routine_name as name,
       lower(r.routine_type) as kind,
       coalesce(r.dtd_identifier, '') as result,
       r.routine_definition as definition,
       r.definer as definer,
       r.security_type as security,
       r.is_deterministic as fixed,
       r.sql_data_access as data_access,
       r.sql_mode as sql_mode
  from information_schema.routines r
 where r.routine_schema = %s and r.routine_type in ('PROCEDURE', 'FUNCTION')
