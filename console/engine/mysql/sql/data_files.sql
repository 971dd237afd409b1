-- Purpose: where the server keeps its data, and the files of one table that lie elsewhere
-- Privilege: PROCESS
-- Cost: one pass over the tablespaces, without a metadata lock; not polled
select @@global.datadir as folder,
       @@hostname as host,
       (select max(d.path)  --: mysql
          from information_schema.innodb_tablespaces s  --: mysql
          join information_schema.innodb_datafiles d on d.space = s.space  --: mysql
         where concat(%s, '/', %s) in  --: mysql
               (s.name, substring_index(substring_index(s.name, '#p#', 1), '#P#', 1))  --: mysql
       (select max(s.filename)  --: mariadb
          from information_schema.innodb_sys_tablespaces s  --: mariadb
         where substring_index(s.name, '#P#', 1) =  --: mariadb
               concat(cast(convert(%s using filename) as binary), '/',  --: mariadb
                      cast(convert(%s using filename) as binary))  --: mariadb
       ) as file
