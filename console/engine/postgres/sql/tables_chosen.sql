-- Purpose: which tables matter most, with the thresholds at which autovacuum comes (relation_needs_vacanalyze
--   in autovacuum.c); partitions count for the table they belong to, and the chosen ones come beside it
-- Privilege: none
-- Cost: one pass over pg_class (AccessShareLock) with a look at the statistics of each table in memory:
--   measured 1.3 s for 100,000 tables (0.1 s for 10,000); no size functions, no table is touched
with recursive s as materialized (
select current_setting('autovacuum_vacuum_threshold')::float8 as vacuum_base,
       current_setting('autovacuum_vacuum_scale_factor')::float8 as vacuum_share,
       current_setting('autovacuum_vacuum_insert_threshold')::float8 as insert_base,
       current_setting('autovacuum_vacuum_insert_scale_factor')::float8 as insert_share,
       current_setting('autovacuum_analyze_threshold')::float8 as analyze_base,
       current_setting('autovacuum_analyze_scale_factor')::float8 as analyze_share,
       current_setting('autovacuum_vacuum_max_threshold')::float8 as vacuum_most,  --: postgresql>=180000
       -1::float8 as vacuum_most,  --: postgresql<180000
       current_setting('autovacuum_freeze_max_age')::float8 as freeze_max,
       current_setting('autovacuum_multixact_freeze_max_age')::float8 as mxid_freeze_max),
known as (
select c.oid, c.relkind, n.nspname || '.' || c.relname as name
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'm', 'p')
   and ($8 or (c.relpersistence <> 't' and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')))
   and ($4::text[] = '{}' or (n.nspname, c.relname) in (
        select w.schema::name, w.name::name from unnest($4::text[], $5::text[]) w(schema, name)))
   and ($6::text = '' or n.nspname = $6::name)
   and ($7::text = '' or c.relname like $7 or (strpos($7, '.') > 0 and n.nspname || '.' || c.relname like $7))),
tree as (
select k.oid as top, k.oid as member, k.relkind from known k where k.relkind = 'p'
 union all
select t.top, c.oid, c.relkind
  from tree t
  join pg_inherits i on i.inhparent = t.member
  join pg_class c on c.oid = i.inhrelid
 where t.relkind = 'p'),
unit as materialized (
select k.oid, k.relkind, k.name
  from known k
 where not exists (select from tree t where t.member = k.oid and t.top <> k.oid)),
part as (
select u.oid as top, u.oid as member from unit u where u.relkind <> 'p'
 union all
select t.top, t.member from tree t join unit u on u.oid = t.top where t.relkind in ('r', 'm')),
own as materialized (
select p.top, p.member, c.relname,
       greatest(c.reltuples, 0)::float8 as rows,
       c.relpages::int8 + coalesce(t.relpages, 0) + coalesce(x.pages, 0) as pages,
       1 - least(c.relallfrozen, c.relpages)::float8 / greatest(c.relpages, 1) as unfrozen,  --: postgresql>=180000
       1::float8 as unfrozen,  --: postgresql<180000
       greatest(age(c.relfrozenxid), age(t.relfrozenxid)) as xid_age,
       greatest(mxid_age(c.relminmxid), mxid_age(t.relminmxid)) as mxid_age,
       pg_stat_get_dead_tuples(c.oid) as dead,
       pg_stat_get_ins_since_vacuum(c.oid) as inserted,
       pg_stat_get_mod_since_analyze(c.oid) as modified,
       case when c.reloptions is not null
            then (select jsonb_object_agg(o.option_name, o.option_value)
                    from pg_options_to_table(c.reloptions) o) end as options
  from part p
  join pg_class c on c.oid = p.member
  left join pg_class t on t.oid = c.reltoastrelid
  left join (select i.indrelid, sum(c.relpages)::int8 as pages
               from pg_index i join pg_class c on c.oid = i.indexrelid
              where $1 = 'size' group by 1) x on x.indrelid = c.oid),
limits as (
select o.*,
       coalesce((options ->> 'autovacuum_enabled')::bool, true) as enabled,
       coalesce((options ->> 'autovacuum_vacuum_threshold')::float8, vacuum_base)
         + coalesce((options ->> 'autovacuum_vacuum_scale_factor')::float8, vacuum_share) * rows as dead_at,
       coalesce((options ->> 'autovacuum_vacuum_max_threshold')::float8, vacuum_most) as dead_most,
       nullif(coalesce((options ->> 'autovacuum_vacuum_insert_threshold')::float8, insert_base), -1)
         + coalesce((options ->> 'autovacuum_vacuum_insert_scale_factor')::float8, insert_share)
         * rows * unfrozen as insert_at,
       coalesce((options ->> 'autovacuum_analyze_threshold')::float8, analyze_base)
         + coalesce((options ->> 'autovacuum_analyze_scale_factor')::float8, analyze_share) * rows as analyze_at,
       least((options ->> 'autovacuum_freeze_max_age')::float8, freeze_max) as freeze_at,
       least((options ->> 'autovacuum_multixact_freeze_max_age')::float8, mxid_freeze_max) as mxid_freeze_at
  from own o cross join s),
rated as materialized (
select l.*, v.vacuum_at,
       greatest(dead / greatest(v.vacuum_at, 1), inserted / greatest(insert_at, 1),
                modified / greatest(analyze_at, 1), xid_age / greatest(freeze_at, 1),
                mxid_age / greatest(mxid_freeze_at, 1)) as need,
       enabled and (dead > v.vacuum_at or inserted > insert_at or modified > analyze_at) as due
  from limits l
 cross join lateral (select least(dead_at, nullif(dead_most, -1)) as vacuum_at) v),
ranked as (
select u.oid, u.name,
       row_number() over (order by
         case $1 when 'need' then max(r.need) when 'size' then sum(r.pages)
                 when 'dead' then sum(r.dead) when 'age' then max(r.xid_age) end desc nulls last,
         case when $1 <> 'name' then sum(r.pages) end desc nulls last,
         u.name) as place
  from unit u
  left join rated r on r.top = u.oid
 group by u.oid, u.name),
chosen as (
select oid, place from ranked where place > $3::int8 and place <= $3::int8 + $2::int8),
told as (
select c.oid, null::oid as parent, c.place, 0::int8 as nth from chosen c
 union all
select p.member, p.top, p.place, p.nth
  from (select r.member, r.top, c.place,
               row_number() over (order by
                 case $1 when 'need' then r.need when 'size' then r.pages
                         when 'dead' then r.dead when 'age' then r.xid_age end desc nulls last, r.relname) as nth
          from chosen c join rated r on r.top = c.oid and r.member <> c.oid) p
 where p.nth <= $2::int8)
select t.oid::int8 as oid,
       t.parent::int8 as parent,
       coalesce(r.enabled, true) as enabled,
       floor(r.vacuum_at)::int8 as vacuum_at,
       floor(r.insert_at)::int8 as insert_at,
       floor(r.analyze_at)::int8 as analyze_at,
       coalesce(r.due, false) as due,
       n.total,
       n.all_due
  from (select (select count(*) from unit) as total,
               (select count(*) from rated d where d.due) as all_due) n
  left join told t on true
  left join rated r on r.member = t.oid
 order by t.place, t.nth
