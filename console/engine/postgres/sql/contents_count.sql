-- Purpose: how many rows a table has; the name in braces is put in by contents.py, quoted
-- Privilege: SELECT on the table
-- Cost: reads the whole table, or an index of it; AccessShareLock on it. 6.8 million rows of pgbench in 0.8 s
select count(*) as rows
  from only {table}
