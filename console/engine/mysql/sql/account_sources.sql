-- Purpose: as whom this replica logs in at its source
-- Privilege: SELECT on performance_schema (MySQL), SLAVE MONITOR (MariaDB)
-- Cost: constant
select c.channel_name as name,  --: mysql
       c.user as username,  --: mysql
       c.host as address,  --: mysql
       c.port as port,  --: mysql
       s.service_state as state  --: mysql
  from performance_schema.replication_connection_configuration c  --: mysql
  left join performance_schema.replication_connection_status s  --: mysql
    on s.channel_name = c.channel_name  --: mysql
 where c.host <> ''  --: mysql
show all slaves status  --: mariadb
