-- Purpose: the tables, views and sequences of a database, with what their rows take as the server estimates it
-- Privilege: on each any right; others are not shown
-- Cost: it opens each table of the database once
select t.table_name as name,
       t.table_type as kind,
       coalesce(t.engine, '') as engine,
       coalesce(t.table_rows, 0) as estimate,
       coalesce(t.data_length, 0) + coalesce(t.index_length, 0) as bytes
  from information_schema.tables t
 where t.table_schema = %s
 order by t.table_name
