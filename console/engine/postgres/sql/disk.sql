-- Purpose: in which folder of the server's machine the files of one table lie
-- Privilege: pg_read_all_settings (in pg_monitor) for the data folder
-- Cost: one pass over the settings in memory, some index probes in catalogs, one symbolic link read
select pg_tablespace_location(s.oid) as tablespace,
       (select setting from pg_show_all_settings() where name = 'data_directory') as data
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_database d on d.datname = current_database()
 cross join lateral (select coalesce(nullif(c.reltablespace, 0), d.dattablespace) as oid) s
 where n.nspname = $1::name
   and c.relname = $2::name
