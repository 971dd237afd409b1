-- Purpose: the ages of the server's oldest transaction numbers, and those at which something is done about it
-- Privilege: none
-- Cost: one pass over pg_database (AccessShareLock); no transaction number is used up
select max(age(datfrozenxid))::int8 as xid_age,
       max(mxid_age(datminmxid))::int8 as mxid_age,
       (array_agg(datname::text order by age(datfrozenxid) desc, datname))[1] as xid_database,
       (array_agg(datname::text order by mxid_age(datminmxid) desc, datname))[1] as mxid_database,
       current_setting('autovacuum_freeze_max_age')::int8 as xid_freeze,
       current_setting('autovacuum_multixact_freeze_max_age')::int8 as mxid_freeze,
       current_setting('vacuum_failsafe_age')::int8 as xid_failsafe,  --: postgresql>=140000
       current_setting('vacuum_multixact_failsafe_age')::int8 as mxid_failsafe  --: postgresql>=140000
       null::int8 as xid_failsafe, null::int8 as mxid_failsafe  --: postgresql<140000
  from pg_database
