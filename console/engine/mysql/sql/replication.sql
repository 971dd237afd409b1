-- Purpose: how far this server is behind the ones it replicates from; no row where it is no replica
-- Privilege: REPLICATION CLIENT (MySQL), SLAVE MONITOR (MariaDB)
-- Cost: constant
show replica status  --: mysql>=80022
show slave status  --: mysql<80022
show all slaves status  --: mariadb
