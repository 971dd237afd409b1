-- Purpose: the files of the binary log, the oldest first, the last one is being written
-- Privilege: REPLICATION CLIENT (MySQL), BINLOG MONITOR (MariaDB)
-- Cost: asks the file system for the size of each file, while no new one can begin
show binary logs
