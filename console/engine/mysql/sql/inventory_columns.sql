-- Purpose: the columns of the tables of a database, in their order; key parts and generated ones marked
-- Privilege: on each any right; others are not shown
-- Cost: it opens each table of the database once
select c.table_name as table_name,
       c.column_name as name,
       c.data_type as data_type,
       c.column_type as column_type,
       coalesce(c.generation_expression, '') as expression,
       c.extra as extra
  from information_schema.columns c
 where c.table_schema = %s
 order by c.table_name, c.ordinal_position
