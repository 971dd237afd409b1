-- Purpose: how large the undo tablespaces are, and whether writers are slowed down for purge
-- Privilege: PROCESS
-- Cost: one pass over the tablespaces; with 100,000 tables a few hundred ms, so not asked at each poll
select sum(s.file_size) as bytes,
       @@global.innodb_max_purge_lag as max_purge_lag
  from information_schema.innodb_tablespaces s  --: mysql
 where s.space_type = 'Undo'  --: mysql
  from information_schema.innodb_sys_tablespaces s  --: mariadb
 where s.name like 'innodb\_undo%%'  --: mariadb
