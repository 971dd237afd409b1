-- Purpose: the columns of a table with their types
-- Privilege: on the table any right that shows it (REFERENCES is the least)
-- Cost: one look into the data dictionary (MySQL), which waits for no metadata lock, measured with a granted
--   exclusive one; MariaDB opens the table, and tells nothing of one that is locked so (lock_wait_timeout = 0)
select c.column_name as name,
       c.column_type as type,
       c.data_type as family
  from information_schema.columns c
 where c.table_schema = %s
   and c.table_name = %s
   and cast(c.table_schema as binary) = %s
   and cast(c.table_name as binary) = %s
 order by c.ordinal_position
