-- Purpose: the files of the log folder, to follow rotation
-- Privilege: pg_monitor
-- Cost: one stat() a file of the log folder
select f.name, f.size::int8 as size, extract(epoch from f.modification)::float8 as modified
  from pg_ls_logdir() f
