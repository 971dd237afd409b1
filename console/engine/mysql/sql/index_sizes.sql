-- Purpose: how large InnoDB's indexes were when statistics were collected; partitions added up
-- Privilege: SELECT on mysql.innodb_index_stats
-- Cost: one pass over some rows an index; measured 30 ms with 9,000 indexes
select s.database_name as table_schema,
       s.name as table_name,
       s.index_name as index_name,
       cast(sum(s.stat_value) * @@innodb_page_size as unsigned) as bytes
  from (select i.database_name, i.index_name, i.stat_value,
               case when (i.database_name, i.table_name) in %s then i.table_name
                    else substring_index(substring_index(i.table_name, '#p#', 1), '#P#', 1) end as name  --: mysql
                    else substring_index(i.table_name, '#P#', 1) end as name  --: mariadb
          from mysql.innodb_index_stats i
         where i.stat_name = 'size') s
 where (s.database_name, s.name) in %s
 group by s.database_name, s.name, s.index_name
