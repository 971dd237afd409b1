-- Purpose: one snapshot of the lock table; the graph is made of it by the client
-- Privilege: none (rows carry no statement text)
-- Cost: every lock partition once, shared; measured 3 ms with 600 waiters on one row, where
--   pg_blocking_pids() of each waiter took 44 ms
select l.pid,
       l.virtualtransaction,
       l.locktype,
       l.database::int8 as database,
       l.relation::int8 as relation,
       l.page,
       l.tuple,
       l.virtualxid,
       l.transactionid::text as transactionid,
       age(l.transactionid)::int8 as age,
       l.classid::int8 as classid,
       l.objid::int8 as objid,
       l.objsubid,
       l.mode,
       l.granted,
       date_part('epoch', l.waitstart) as since,  --: postgresql>=140000
       null::float8 as since,  --: postgresql<140000
       date_part('epoch', c.now - l.waitstart) as seconds  --: postgresql>=140000
       null::float8 as seconds  --: postgresql<140000
  from pg_lock_status() l
 cross join (select clock_timestamp() as now) c
 where l.mode <> 'SIReadLock'
