-- Purpose: how full the pages of one B-tree are (extension pgstattuple)
-- Privilege: pg_stat_scan_tables (in pg_monitor)
-- Cost: the whole index is read, under AccessShareLock; the caller says so before
select i.index_size::int8 as bytes,
       i.leaf_pages::int8 as leaves,
       (i.empty_pages + i.deleted_pages)::int8 as empty,
       case when i.leaf_pages > 0 then i.avg_leaf_density::float8 end as density
  from pgstatindex(cast($1::oid as regclass)) i
