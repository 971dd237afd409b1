-- Purpose: who may do what with which object, as far as that is not so by itself: one row an object and
--   grantee, with the privileges (* is WITH GRANT OPTION); `nothing` is what was taken away. Then what
--   ALTER DEFAULT PRIVILEGES says
-- Privilege: none
-- Cost: reads the catalogs of all objects that have privileges whole; AccessShareLock on them
with objects as (
       select 1259 as class, c.oid, 0 as sub, c.relacl as acl, c.relowner as owner,
              case c.relkind when 'S' then 's' else 'r' end::"char" as type,
              case c.relkind when 'S' then 'sequence ' else 'table ' end || quote_ident(n.nspname) || '.'
                || quote_ident(c.relname) as name
         from pg_class c
         join pg_namespace n on n.oid = c.relnamespace
        where c.relacl is not null and c.relpersistence <> 't' and c.relkind <> 't'
       union all
       select 1259, a.attrelid, a.attnum, a.attacl, c.relowner, 'c',
              'column ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname) || '.' || quote_ident(a.attname)
         from pg_attribute a
         join pg_class c on c.oid = a.attrelid
         join pg_namespace n on n.oid = c.relnamespace
        where a.attacl is not null and not a.attisdropped and c.relpersistence <> 't'
       union all
       select 1255, p.oid, 0, p.proacl, p.proowner, 'f',
              case p.prokind when 'p' then 'procedure ' else 'function ' end || quote_ident(n.nspname) || '.'
                || quote_ident(p.proname) || '(' || oidvectortypes(p.proargtypes) || ')'
         from pg_proc p
         join pg_namespace n on n.oid = p.pronamespace
        where p.proacl is not null
       union all
       select 2615, n.oid, 0, n.nspacl, n.nspowner, 'n', 'schema ' || quote_ident(n.nspname)
         from pg_namespace n
        where n.nspacl is not null and n.nspname !~ '^pg_(toast|temp)'
       union all
       select 1247, t.oid, 0, t.typacl, t.typowner, 'T',
              'type ' || quote_ident(n.nspname) || '.' || quote_ident(t.typname)
         from pg_type t
         join pg_namespace n on n.oid = t.typnamespace
        where t.typacl is not null
       union all
       select 2612, l.oid, 0, l.lanacl, l.lanowner, 'l', 'language ' || quote_ident(l.lanname)
         from pg_language l
        where l.lanacl is not null
       union all
       select 2328, w.oid, 0, w.fdwacl, w.fdwowner, 'F', 'foreign data wrapper ' || quote_ident(w.fdwname)
         from pg_foreign_data_wrapper w
        where w.fdwacl is not null
       union all
       select 1417, s.oid, 0, s.srvacl, s.srvowner, 'S', 'foreign server ' || quote_ident(s.srvname)
         from pg_foreign_server s
        where s.srvacl is not null
       union all
       select 2995, o.oid, 0, o.lomacl, o.lomowner, 'L', 'large object ' || o.oid
         from pg_largeobject_metadata o
        where o.lomacl is not null
       union all
       select 826, d.oid, 0, d.defaclacl, d.defaclrole,
              case d.defaclobjtype when 'S' then 's' else d.defaclobjtype end::"char",
              'default of ' || quote_ident(r.rolname) || ' for '
                || case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
                                        when 'T' then 'types' when 'n' then 'schemas' else 'large objects' end
                || coalesce(' in schema ' || quote_ident(n.nspname), '')
         from pg_default_acl d
         join pg_roles r on r.oid = d.defaclrole
         left join pg_namespace n on n.oid = d.defaclnamespace),
     had as (
       select o.class, o.name, coalesce(g.rolname, 'PUBLIC') as grantee, x.grantee as number,
              x.privilege_type || case when x.is_grantable then '*' else '' end as privilege
         from objects o
        cross join aclexplode(o.acl) x
         left join pg_roles g on g.oid = x.grantee
        where x.grantee = 0 or g.oid is not null),
     due as (
       select o.class, o.name, coalesce(g.rolname, 'PUBLIC') as grantee, x.grantee as number,
              x.privilege_type || case when x.is_grantable then '*' else '' end as privilege
         from objects o
         left join pg_init_privs i on i.classoid = o.class and i.objoid = o.oid and i.objsubid = o.sub
        cross join aclexplode(coalesce(i.initprivs,
                              case when o.type = 'c' then null
                                   when o.class = 826
                                        and (select d.defaclnamespace from pg_default_acl d where d.oid = o.oid) <> 0
                                   then null
                                   else acldefault(o.type, o.owner) end)) x
         left join pg_roles g on g.oid = x.grantee
        where x.grantee = 0 or g.oid is not null),
     sides as (
       select coalesce(h.class, d.class) as class, coalesce(h.name, d.name) as name,
              coalesce(h.grantee, d.grantee) as grantee, h.privileges, d.privileges as by_itself
         from (select class, name, grantee, number, string_agg(distinct privilege, ',' order by privilege) as privileges
                 from had group by class, name, grantee, number) h
         full join (select class, name, grantee, number,
                           string_agg(distinct privilege, ',' order by privilege) as privileges
                      from due group by class, name, grantee, number) d
           on d.class = h.class and d.name = h.name and d.number = h.number)
select case when class = 826 then 'default privilege' else 'grant' end as kind,
       name || ' to ' || case when grantee = 'PUBLIC' then grantee else quote_ident(grantee) end as name,
       array[coalesce(privileges, 'nothing')] as definition
  from sides
 where privileges is distinct from by_itself
   and name !~ '^\w+ information_schema(\.|$)'
