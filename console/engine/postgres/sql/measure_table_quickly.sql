-- Purpose: dead and free bytes of one large table: of pages that are all visible the free space map is
--   believed (extension pgstattuple)
-- Privilege: pg_stat_scan_tables (in pg_monitor)
-- Cost: the pages that are not all visible are read, under AccessShareLock; the caller says so before
select t.dead_tuple_len::int8 as dead, t.approx_free_space::int8 as free, t.table_len::int8 as bytes
  from pgstattuple_approx(cast($1::oid as regclass)) t
