-- Purpose: functions, procedures, aggregates and window functions by the types they take
-- Privilege: none
-- Cost: one definition written out a routine; AccessShareLock on catalogs only
select case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end as kind,
       quote_ident(n.nspname) || '.' || quote_ident(p.proname) || '(' || oidvectortypes(p.proargtypes) || ')'
         as name,
       case p.prokind
         when 'a' then array[r.rolname::text, format_type(p.prorettype, null), p.proparallel::text,
                             g.aggkind::text, g.aggnumdirectargs::text, g.aggtransfn::text, g.aggfinalfn::text,
                             g.aggcombinefn::text, g.aggserialfn::text, g.aggdeserialfn::text,
                             g.aggmtransfn::text, g.aggminvtransfn::text, g.aggmfinalfn::text,
                             g.aggfinalextra::text, g.aggmfinalextra::text, g.aggfinalmodify::text,
                             g.aggmfinalmodify::text, format_type(g.aggtranstype, null),
                             g.aggtransspace::text, format_type(nullif(g.aggmtranstype, 0), null),
                             g.aggmtransspace::text, g.agginitval, g.aggminitval,
                             (select quote_ident(m.nspname) || '.' || o.oprname
                                from pg_operator o
                                join pg_namespace m on m.oid = o.oprnamespace
                               where o.oid = g.aggsortop)]
         else array[r.rolname::text, pg_get_functiondef(p.oid)] end as definition
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  join pg_roles r on r.oid = p.proowner
  left join pg_aggregate g on g.aggfnoid = p.oid
 where n.nspname !~ '^pg_'
   and n.nspname <> 'information_schema'
   and not exists (select from pg_depend e
                    where e.classid = 1255 and e.objid = p.oid and e.deptype in ('e', 'i'))
