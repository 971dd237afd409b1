-- Purpose: where the binary log stands now
-- Privilege: REPLICATION CLIENT
-- Cost: constant
show binary log status  --: mysql>=80400
show master status  --: mysql<80400, mariadb
