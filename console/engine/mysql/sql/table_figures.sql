-- Purpose: what the server counts of some tables: rows, bytes, free space, the next automatic number
-- Privilege: on each table any right that shows it (REFERENCES is the least)
-- Cost: it opens the tables it is asked for; 10 ms (MySQL), 25 ms (MariaDB) for 200 of 3,000, cold 90 ms.
--   A granted exclusive metadata lock would stop it: MySQL leaves out the tables given for that, and
--   gives up after 0.7 s; the monitor of MariaDB does not wait (lock_wait_timeout = 0) and says so in the
--   comment. The figures are of now: the login has information_schema_stats_expiry = 0
select /*+ MAX_EXECUTION_TIME(700) */  --: mysql
select  --: mariadb
       t.table_schema as table_schema,
       t.table_name as table_name,
       t.engine as engine,
       unix_timestamp(t.create_time) as created,
       t.row_format as row_format,
       t.create_options as create_options,
       t.table_rows as row_count,
       t.data_length as data_bytes,
       t.index_length as index_bytes,
       t.data_free as free_bytes,
       t.auto_increment as next_number,
       t.table_comment as remark
  from information_schema.tables t
 where (cast(t.table_schema as binary), cast(t.table_name as binary)) in %s
   and (cast(t.table_schema as binary), cast(t.table_name as binary)) not in %s
