-- Purpose: the server's clock, and where its binary log stood at the snapshot that is open here
-- Privilege: none (MariaDB); BACKUP_ADMIN for the position, which else is asked otherwise (MySQL)
-- Cost: constant
select utc_timestamp(6) as taken_at,
       (select variable_value from information_schema.session_status  --: mariadb
         where variable_name = 'BINLOG_SNAPSHOT_FILE') as file,  --: mariadb
       (select variable_value from information_schema.session_status  --: mariadb
         where variable_name = 'BINLOG_SNAPSHOT_POSITION') as position,  --: mariadb
       @@gtid_binlog_pos as gtid  --: mariadb
       '' as file, '' as position,  --: mysql
       @@global.gtid_executed as gtid  --: mysql
