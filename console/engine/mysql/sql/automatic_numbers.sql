-- Purpose: columns that get their numbers from the server, the largest number their type holds, and the
--   next one; only those whose next number is beyond a part of it. MariaDB: sequences too, unread
-- Privilege: on each table a right that shows its columns (REFERENCES is the least)
-- Cost: it opens every table that has such a column: measured 120 ms (MySQL), 130 ms (MariaDB) with 3,000,
--   so that the caller asks for all of them only now and then. On metadata locks see table_figures
-- The next number is null where InnoDB has not opened the table since it was started or put it aside.
select /*+ MAX_EXECUTION_TIME(700) */  --: mysql
select  --: mariadb
       v.table_schema, v.table_name, v.column_name, v.source, v.largest, v.next_number
  from (select u.table_schema, u.table_name, u.column_name, u.source, u.largest,
               max(u.number) over (partition by cast(u.table_schema as binary),
                                       cast(u.table_name as binary)) as next_number
          from (select c.table_schema, c.table_name, c.column_name,
                       null as source,  --: mysql
                       case when c.column_default like 'nextval(%%' then c.column_default end as source,  --: mariadb
                       floor(case c.data_type when 'tinyint' then 255.0
                                              when 'smallint' then 65535.0
                                              when 'mediumint' then 16777215.0
                                              when 'int' then 4294967295.0
                                              when 'bigint' then 18446744073709551615.0
                              end / if(c.column_type like '%%unsigned%%', 1, 2)) as largest,
                       null as number
                  from information_schema.columns c
                 where (c.extra like '%%auto_increment%%'
                        or c.column_default like 'nextval(%%'  --: mariadb
                       )
                   and (%s or (cast(c.table_schema as binary), cast(c.table_name as binary)) in %s)
                   and c.table_schema not in ('mysql', 'sys', 'performance_schema', 'information_schema')
                 union all
                select t.table_schema, t.table_name, null, null, null, t.auto_increment
                  from information_schema.tables t
                 where t.auto_increment is not null
                   and (%s or (cast(t.table_schema as binary), cast(t.table_name as binary)) in %s)
                   and (cast(t.table_schema as binary), cast(t.table_name as binary)) not in %s
                   and t.table_schema not in ('mysql', 'sys', 'performance_schema', 'information_schema')
                 union all  --: mariadb
                select t.table_schema, t.table_name, '', 'SEQUENCE', null, null  --: mariadb
                  from information_schema.tables t  --: mariadb
                 where t.table_type = 'SEQUENCE'  --: mariadb
                   and (%s or (cast(t.table_schema as binary), cast(t.table_name as binary)) in %s)  --: mariadb
               ) u
       ) v
 where v.column_name is not null
   and (v.source is not null or v.next_number > %s * v.largest)
