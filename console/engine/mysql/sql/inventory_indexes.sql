-- Purpose: the columns of the indexes of a database, the first ones of each first
-- Privilege: on each table any right; others are not shown
-- Cost: it opens each table of the database once (MariaDB); one pass over the data dictionary (MySQL)
select s.table_name as table_name,
       s.index_name as name,
       s.non_unique as non_unique,
       coalesce(s.column_name, '') as column_name,
       coalesce(s.sub_part, 0) as length,
       coalesce(s.collation, '') as direction,
       s.index_type as type,
       coalesce(s.expression, '') as expression  --: mysql>=80013
       '' as expression  --: mysql<80013, mariadb
  from information_schema.statistics s
 where s.table_schema = %s
 order by s.table_name, s.index_name, s.seq_in_index
