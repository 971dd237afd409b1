-- Purpose: the tables whose indexes are looked at, with their storage engines
-- Privilege: on each table any right that shows it (REFERENCES is the least)
-- Cost: one pass over the data dictionary (MySQL), or over the tables, which MariaDB opens; measured 25 ms
--   and 130 ms with 3,000 tables. MariaDB shows a table it cannot open without its engine
select t.table_schema as table_schema,
       t.table_name as table_name,
       t.engine as engine
  from information_schema.tables t
 where t.table_type in ('BASE TABLE', 'SYSTEM VERSIONED')
   and t.table_schema not in ('mysql', 'sys', 'performance_schema', 'information_schema')
