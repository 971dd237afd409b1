-- Purpose: names of prepared XA transactions, which hold locks without a session
-- Privilege: XA_RECOVER_ADMIN (MySQL), none (MariaDB)
-- Cost: one pass over the prepared transactions
xa recover convert xid  --: mysql
xa recover format = 'SQL'  --: mariadb
