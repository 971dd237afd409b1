-- Purpose: the columns of the foreign keys of a database, with what they refer to
-- Privilege: on each table any right but SELECT alone; others are not shown
-- Cost: it opens each table of the database once (MariaDB); one pass over the data dictionary (MySQL)
select k.table_name as table_name,
       k.constraint_name as name,
       k.column_name as column_name,
       k.referenced_table_schema as other_schema,
       k.referenced_table_name as other_table,
       k.referenced_column_name as other_column,
       r.update_rule as on_update,
       r.delete_rule as on_delete
  from information_schema.key_column_usage k
  join information_schema.referential_constraints r
    on r.constraint_schema = k.constraint_schema and r.table_name = k.table_name
   and r.constraint_name = k.constraint_name
 where k.table_schema = %s and r.constraint_schema = %s and k.referenced_table_name is not null
 order by k.table_name, k.constraint_name, k.ordinal_position
