-- Purpose: the tables that InnoDB clusters by a hidden number, for want of a key (MariaDB)
-- Privilege: PROCESS
-- Cost: one pass over InnoDB's own dictionary, no metadata lock; measured 45 ms with 9,000 indexes
select distinct
       convert(cast(substring_index(t.name, '/', 1) as binary) using filename) as table_schema,
       convert(cast(substring_index(substring_index(t.name, '/', -1), '#P#', 1) as binary) using filename)
         as table_name
  from information_schema.innodb_sys_indexes i
  join information_schema.innodb_sys_tables t
    on t.table_id = i.table_id
 where i.name = 'GEN_CLUST_INDEX'
