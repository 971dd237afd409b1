-- Purpose: as whom this database logs in at foreign servers, without the passwords
-- Privilege: none; the options of others' mappings are shown to the foreign server's owner and to
--   superusers only, and are NULL otherwise
-- Cost: one pass over pg_user_mapping, as many as there are mappings
select m.srvname::text as name,
       m.usename::text as local_user,
       m.umoptions is null as hidden,
       (select o.option_value from pg_options_to_table(m.umoptions) o where o.option_name = 'user') as username,
       (select o.option_value from pg_options_to_table(f.srvoptions) o where o.option_name = 'host') as address
  from pg_user_mappings m
  join pg_foreign_server f on f.oid = m.srvid
