-- Purpose: live, dead and free bytes of one table, row by row (extension pgstattuple)
-- Privilege: pg_stat_scan_tables (in pg_monitor)
-- Cost: the whole table is read, under AccessShareLock; the caller says so before
select t.dead_tuple_len::int8 as dead, t.free_space::int8 as free, t.table_len::int8 as bytes
  from pgstattuple(cast($1::oid as regclass)) t
