-- Purpose: the parameters of the procedures and functions of a database, in their order
-- Privilege: as for inventory_routines
-- Cost: one pass over them
select p.specific_name as routine,
       lower(p.routine_type) as kind,
       coalesce(p.parameter_mode, '') as mode,
       coalesce(p.parameter_name, '') as name,
       p.dtd_identifier as type
  from information_schema.parameters p
 where p.specific_schema = %s
 order by p.specific_name, p.ordinal_position
