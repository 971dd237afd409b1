-- Purpose: whether the server records stages, and those of InnoDB's ALTER TABLE among them
-- Privilege: SELECT on performance_schema
-- Cost: constant; no row where performance_schema is off
select c.enabled = 'YES' as consumer,
       (select count(*) from performance_schema.setup_instruments i
         where i.name like 'stage/innodb/alter table%'
           and i.enabled = 'NO') as missing,
       (select count(*) from information_schema.tables t
         where t.table_schema = 'performance_schema'
           and t.table_name = 'clone_progress') as clone
  from performance_schema.setup_consumers c
 where c.name = 'events_stages_current'
