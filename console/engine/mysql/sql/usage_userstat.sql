-- Purpose: how often indexes were read since userstat was switched on, of tables that were (MariaDB)
-- Privilege: SELECT on each table: others are not shown
-- Cost: one pass over a row a table and one an index that were used; no row where userstat is off
select t.table_schema as table_schema,
       t.table_name as table_name,
       i.index_name as index_name,
       i.rows_read as fetched
  from information_schema.table_statistics t
  left join information_schema.index_statistics i
    on cast(i.table_schema as binary) = cast(t.table_schema as binary)
   and cast(i.table_name as binary) = cast(t.table_name as binary)
 where @@global.userstat
   and t.rows_read > 0
