-- Purpose: whether a plugin of MariaDB is there
-- Privilege: none
-- Cost: one pass over the plugins, constant
select p.plugin_name as name
  from information_schema.plugins p
 where p.plugin_name in %s
   and p.plugin_status = 'ACTIVE'
