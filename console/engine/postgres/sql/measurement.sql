-- Purpose: what an exact look at one table or index would read, and whether pgstattuple is there and open to us
-- Privilege: none
-- Cost: some index probes, AccessShareLock on pg_class, pg_namespace, pg_extension and pg_proc
select c.oid::int8 as oid,
       c.relkind::text as kind,
       coalesce(m.amname, '')::text as method,
       c.relpersistence = 't' as temporary,
       coalesce(x.indisvalid, true) as valid,
       coalesce(tn.nspname, n.nspname)::text as table_schema,
       coalesce(t.relname, c.relname)::text as table_name,
       case when c.relpages > 0 or c.reltuples >= 0 then b.size * c.relpages end as bytes,
       b.size as block,
       c.reloptions::text[] as options,
       current_database()::text as database,
       e.schema,
       e.sql_schema,
       e.usable,
       e.functions
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_am m on m.oid = c.relam
  left join pg_index x on x.indexrelid = c.oid
  left join pg_class t on t.oid = x.indrelid
  left join pg_namespace tn on tn.oid = t.relnamespace
 cross join (select current_setting('block_size')::int8 as size) b
  left join (select s.nspname::text as schema,
                    quote_ident(s.nspname) as sql_schema,
                    has_schema_privilege(s.oid, 'usage') as usable,
                    array(select p.proname::text
                            from pg_proc p
                            join pg_depend d on d.classid = 1255 and d.objid = p.oid and d.deptype = 'e'
                           where d.refclassid = 3079 and d.refobjid = e.oid
                             and p.proargtypes[0] = 2205
                             and has_function_privilege(p.oid, 'execute'))::text[] as functions
               from pg_extension e
               join pg_namespace s on s.oid = e.extnamespace
              where e.extname = 'pgstattuple') e on true
 where n.nspname = $1::name
   and c.relname = $2::name
   and c.relkind in ('r', 'p', 'm', 't', 'i', 'I')
