-- Purpose: the indexes worth a closer look: invalid ones, those that begin with the column of another one of
--   their table, those never scanned, and the largest B-trees; and how many indexes there are
-- Privilege: none
-- Cost: one pass over pg_index and pg_class (AccessShareLock) with a look at the counters of each in memory:
--   measured 1.2 s for 200,000 indexes (20 ms for 2,000); no table is touched
with here as materialized (
select x.indexrelid as oid, x.indrelid as "table", c.relam as method, c.relkind, x.indkey[0] as first,
       c.relpages, c.relispartition as attached,
       not x.indisvalid or not x.indisready or not x.indislive as broken,
       not (x.indisunique or x.indisexclusion or x.indisreplident) as spare,
       n.nspname = 'pg_toast' as toast,
       n.nspname in ('pg_catalog', 'information_schema') as system
  from pg_index x
  join pg_class c on c.oid = x.indexrelid
  join pg_namespace n on n.oid = c.relnamespace
 where c.relpersistence <> 't'),
users as (
select * from here where not system and not toast),
suspects as (
(select oid, 'broken' as reason from here where broken order by relpages desc limit $1::int8)
 union all
(select a.oid, 'twin' from users a
  where not a.broken
    and exists (select from users b where b."table" = a."table" and b.method = a.method and b.first = a.first
                   and b.oid <> a.oid and not b.broken and not (a.attached and b.attached))
  order by a.relpages desc, a.oid limit $1::int8)
 union all
(select oid, 'unused' from users
  where spare and not attached and not broken and (relkind = 'I' or pg_stat_get_numscans(oid) = 0)
  order by relpages desc, oid limit $1::int8)
 union all
(select u.oid, 'large' from users u join pg_am m on m.oid = u.method
  where m.amname = 'btree' and u.relkind = 'i' and u.relpages >= $2::int8
  order by u.relpages desc, u.oid limit $1::int8))
select s.oid::int8 as oid, s.reason, t.total, t.bytes
  from (select count(*) as total,
               (sum(relpages) * current_setting('block_size')::int8)::int8 as bytes
          from users) t
  left join suspects s on true
