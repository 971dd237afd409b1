-- Purpose: InnoDB's persistent statistics of some tables, and when they were made; of partitioned ones
--   the sum, and the oldest
-- Privilege: SELECT on mysql.innodb_table_stats
-- Cost: one pass over a row a table; measured 8 ms with 3,000
select s.database_name as table_schema,
       s.name as table_name,
       cast(sum(s.n_rows) as unsigned) as row_count,
       min(unix_timestamp(s.last_update)) as updated
  from (select i.database_name, i.n_rows, i.last_update,
               case when (i.database_name, i.table_name) in %s then i.table_name
                    else substring_index(substring_index(i.table_name, '#p#', 1), '#P#', 1) end as name  --: mysql
                    else substring_index(i.table_name, '#P#', 1) end as name  --: mariadb
          from mysql.innodb_table_stats i) s
 where (s.database_name, s.name) in %s
 group by s.database_name, s.name
