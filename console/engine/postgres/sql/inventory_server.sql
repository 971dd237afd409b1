-- Purpose: what belongs to all databases: roles and their attributes, memberships, databases, tablespaces, and
--   who may do what with the last two and (15+) with settings; where a tablespace lies is not part of it
-- Privilege: none; passwords are not looked at
-- Cost: reads the shared catalogs whole; AccessShareLock on them
with objects as (
       select 'database ' || quote_ident(d.datname) as name, d.datacl as acl, acldefault('d', d.datdba) as due
         from pg_database d
        where d.datacl is not null and not d.datistemplate
       union all
       select 'tablespace ' || quote_ident(t.spcname), t.spcacl, acldefault('t', t.spcowner)
         from pg_tablespace t
        where t.spcacl is not null
       union all  --: postgresql>=150000
       select 'parameter ' || p.parname, p.paracl, acldefault('p', 10)  --: postgresql>=150000
         from pg_parameter_acl p  --: postgresql>=150000
     ),
     had as (
       select o.name, x.grantee,
              string_agg(distinct x.privilege_type || case when x.is_grantable then '*' else '' end, ',') as privileges
         from objects o
        cross join aclexplode(o.acl) x
        group by 1, 2),
     due as (
       select o.name, x.grantee,
              string_agg(distinct x.privilege_type || case when x.is_grantable then '*' else '' end, ',') as privileges
         from objects o
        cross join aclexplode(o.due) x
        group by 1, 2)
select 'role' as kind,
       quote_ident(r.rolname) as name,
       array[concat_ws(',', case when r.rolsuper then 'superuser' end, case when r.rolinherit then 'inherit' end,
                       case when r.rolcreaterole then 'createrole' end, case when r.rolcreatedb then 'createdb' end,
                       case when r.rolcanlogin then 'login' end, case when r.rolreplication then 'replication' end,
                       case when r.rolbypassrls then 'bypassrls' end),
             r.rolconnlimit::text, r.rolvaliduntil::text] as definition
  from pg_roles r
 where r.rolname !~ '^pg_'
union all
select 'membership',
       quote_ident(m.rolname) || ' in ' || quote_ident(g.rolname),
       array[string_agg(distinct concat_ws(',', case when a.admin_option then 'admin' end
                                 , case when a.inherit_option then 'inherit' end  --: postgresql>=160000
                                 , case when a.set_option then 'set' end  --: postgresql>=160000
                                 ), ';')]
  from pg_auth_members a
  join pg_roles m on m.oid = a.member
  join pg_roles g on g.oid = a.roleid
 where m.rolname !~ '^pg_'
 group by 2
union all
select 'database',
       quote_ident(d.datname),
       array[r.rolname::text, pg_encoding_to_char(d.encoding), d.datcollate::text, d.datctype::text,
             to_jsonb(d) ->> 'datlocprovider', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
             to_jsonb(d) ->> 'daticurules',
             d.datconnlimit::text, d.datallowconn::text]
  from pg_database d
  join pg_roles r on r.oid = d.datdba
 where not d.datistemplate
   and d.datconnlimit >= -1
union all
select 'tablespace', quote_ident(t.spcname), array[r.rolname::text, array_to_string(t.spcoptions, ',')]
  from pg_tablespace t
  join pg_roles r on r.oid = t.spcowner
 where t.spcname !~ '^pg_'
union all
select 'grant',
       coalesce(h.name, d.name) || ' to ' || coalesce(quote_ident(g.rolname), 'PUBLIC'),
       array[coalesce(h.privileges, 'nothing')]
  from had h
  full join due d on d.name = h.name and d.grantee = h.grantee
  left join pg_roles g on g.oid = coalesce(h.grantee, d.grantee)
 where h.privileges is distinct from d.privileges
   and (g.oid is not null or coalesce(h.grantee, d.grantee) = 0)
