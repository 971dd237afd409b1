-- Purpose: the databases that hold users' data: no template, none that a broken DROP DATABASE left (15+), and
--   not those that a provider keeps for himself
-- Privilege: none
-- Cost: reads pg_database whole; AccessShareLock on it
select d.datname::text as name
  from pg_database d
 where d.datallowconn
   and not d.datistemplate
   and d.datconnlimit >= -1
   and d.datname not in ('rdsadmin', 'cloudsqladmin', 'azure_maintenance', 'azure_sys')
 order by d.datname
