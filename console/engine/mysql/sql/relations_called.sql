-- Purpose: what bears a name: a table or a view
-- Privilege: any right that shows it (REFERENCES is the least)
-- Cost: one pass over the data dictionary (MariaDB: over the folders); it asks for no column that makes the
--   server open a table, so it waits for no metadata lock
select t.table_schema as table_schema, t.table_name as table_name, t.table_type as kind
  from information_schema.tables t
 where (%s = '' or cast(t.table_schema as binary) = %s)
   and cast(t.table_name as binary) = %s
 order by t.table_schema
 limit 20
