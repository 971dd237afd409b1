-- Purpose: what must be known of a table before rows of it are deleted: columns, indexes, who refers to it, triggers
-- Privilege: any on the table (REFERENCES shows it); TRIGGER for its triggers
-- Cost: a few lookups in the data dictionary for one table
select 'table' as kind, t.table_schema as a, t.table_name as b, lower(t.table_type) as c, lower(t.engine) as d,
       0 as number
  from information_schema.tables t
 where t.table_schema = %s and t.table_name = %s
union all
select 'column', concat(c.table_schema, '.', c.table_name), c.column_name, c.column_type,
       if(c.extra like '%%GENERATED%%' and c.extra not like '%%DEFAULT_GENERATED%%', 'generated', null),
       c.ordinal_position
  from information_schema.columns c
 where c.table_schema = %s and c.table_name = %s
union all
select if(s.index_name = 'PRIMARY', 'primary', 'index'), s.index_name, s.column_name, null, null, s.seq_in_index
  from information_schema.statistics s
 where s.table_schema = %s and s.table_name = %s
   and s.column_name is not null and s.sub_part is null and s.index_type = 'BTREE'
union all
select 'referred', r.constraint_name, concat(r.constraint_schema, '.', r.table_name), lower(r.delete_rule), null, 0
  from information_schema.referential_constraints r
 where r.unique_constraint_schema = %s and r.referenced_table_name = %s
union all
select 'trigger', g.trigger_name, null, null, null, 0
  from information_schema.triggers g
 where g.event_object_schema = %s and g.event_object_table = %s and g.event_manipulation = 'DELETE'
 order by 1, 2, 6
