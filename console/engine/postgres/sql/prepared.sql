-- Purpose: prepared transactions, which hold locks without a session
-- Privilege: none
-- Cost: one pass over the two-phase state in memory, no catalog locks
select p.transaction::text as xid,
       age(p.transaction)::int8 as age,
       p.gid,
       p.prepared,
       p.ownerid::int8 as role,
       p.dbid::int8 as database,
       extract(epoch from clock_timestamp() - p.prepared)::float8 as seconds
  from pg_prepared_xact() p
