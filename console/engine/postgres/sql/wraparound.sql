-- Purpose: the oldest transaction numbers of the server and of the connected database, the next ones to be
--   given out now and at the last checkpoint, and the ages at which something is done about it
-- Privilege: none (pg_control_checkpoint() is open to everybody unless that was revoked)
-- Cost: one pass over pg_class and pg_database (AccessShareLock), no transaction number is used up;
--   measured 0.4 s for 100,000 tables
with oldest as (
select n.nspname || '.' || c.relname as name,
       greatest(age(c.relfrozenxid), age(t.relfrozenxid)) as xid_age,
       greatest(mxid_age(c.relminmxid), mxid_age(t.relminmxid)) as mxid_age,
       c.oid
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_class t on t.oid = c.reltoastrelid
 where c.relkind in ('r', 'm')),
oldest_xid as (select * from oldest order by xid_age desc, name limit 1),
oldest_mxid as (select * from oldest order by mxid_age desc, name limit 1)
select x.datname::text as xid_database, age(x.datfrozenxid)::int8 as xid_age,
       m.datname::text as mxid_database, mxid_age(m.datminmxid)::int8 as mxid_age,
       ox.name as xid_table, ox.oid::int8 as xid_relation, ox.xid_age::int8 as xid_table_age,
       om.name as mxid_table, om.oid::int8 as mxid_relation, om.mxid_age::int8 as mxid_table_age,
       pg_snapshot_xmax(pg_current_snapshot())::text as next_xid,
       (m.datminmxid::text::int8 + mxid_age(m.datminmxid)) % 4294967296 as next_mxid,
       k.next_xid::text as checkpoint_xid,
       k.next_multixact_id::text as checkpoint_mxid,
       extract(epoch from clock_timestamp() - k.checkpoint_time)::float8 as since_checkpoint,
       current_setting('autovacuum_freeze_max_age')::int8 as xid_freeze,
       current_setting('autovacuum_multixact_freeze_max_age')::int8 as mxid_freeze,
       current_setting('vacuum_failsafe_age')::int8 as xid_failsafe,  --: postgresql>=140000
       current_setting('vacuum_multixact_failsafe_age')::int8 as mxid_failsafe  --: postgresql>=140000
       null::int8 as xid_failsafe, null::int8 as mxid_failsafe  --: postgresql<140000
  from (select * from pg_database order by age(datfrozenxid) desc, datname limit 1) x
 cross join (select * from pg_database order by mxid_age(datminmxid) desc, datname limit 1) m
 cross join pg_control_checkpoint() k
  left join oldest_xid ox on true
  left join oldest_mxid om on true
