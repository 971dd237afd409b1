-- Purpose: the partitions of the tables of a database
-- Privilege: on each table any right; others are not shown
-- Cost: it opens each table of the database once
select p.table_name as table_name,
       p.partition_name as name,
       coalesce(p.subpartition_name, '') as part,
       coalesce(p.partition_method, '') as method,
       coalesce(p.partition_expression, '') as expression,
       coalesce(p.partition_description, '') as description
  from information_schema.partitions p
 where p.table_schema = %s and p.partition_name is not null
