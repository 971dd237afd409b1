-- Purpose: indexes that were never read since the server began to count, of tables that were; and tables
--   that were read without an index
-- Privilege: SELECT on performance_schema
-- Cost: one pass over a row an index that was opened; measured 45 ms with 9,000
select u.table_schema, u.table_name, u.index_name, u.fetched
  from (select w.object_schema as table_schema,
               w.object_name as table_name,
               w.index_name as index_name,
               w.count_fetch as fetched,
               sum(w.count_fetch) over (partition by cast(w.object_schema as binary),
                                             cast(w.object_name as binary)) as of_table
          from performance_schema.table_io_waits_summary_by_index_usage w
         where w.object_type = 'TABLE'
           and w.object_schema not in ('mysql', 'sys', 'performance_schema', 'information_schema')) u
 where (u.index_name is not null and u.fetched = 0 and u.of_table > 0)
    or (u.index_name is null and u.fetched >= %s)
