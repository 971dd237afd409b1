-- Purpose: triggers, event triggers and rules with whether they fire, and policies of row security
-- Privilege: none
-- Cost: one definition written out an object; AccessShareLock on catalogs, and on the relations of a rule
select 'trigger' as kind,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) || '.' || quote_ident(t.tgname) as name,
       array[pg_get_triggerdef(t.oid), 'enabled ' || t.tgenabled::text] as definition
  from pg_trigger t
  join pg_class c on c.oid = t.tgrelid
  join pg_namespace n on n.oid = c.relnamespace
 where not t.tgisinternal
   and c.relpersistence <> 't'
   and not exists (select from pg_depend e
                    where e.deptype = 'e' and (e.classid = 1259 and e.objid = c.oid
                                               or e.classid = 2620 and e.objid = t.oid))
union all
select 'event trigger',
       quote_ident(v.evtname),
       array[v.evtevent::text, r.rolname::text,
             quote_ident(n.nspname) || '.' || quote_ident(p.proname), 'enabled ' || v.evtenabled::text,
             array_to_string(v.evttags, ',')]
  from pg_event_trigger v
  join pg_roles r on r.oid = v.evtowner
  join pg_proc p on p.oid = v.evtfoid
  join pg_namespace n on n.oid = p.pronamespace
 where not exists (select from pg_depend e where e.classid = 3466 and e.objid = v.oid and e.deptype = 'e')
union all
select 'rule',
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) || '.' || quote_ident(w.rulename),
       array[pg_get_ruledef(w.oid), 'enabled ' || w.ev_enabled::text]
  from pg_rewrite w
  join pg_class c on c.oid = w.ev_class
  join pg_namespace n on n.oid = c.relnamespace
 where w.rulename <> '_RETURN'
   and n.nspname !~ '^pg_'
   and n.nspname <> 'information_schema'
   and not exists (select from pg_depend e
                    where e.deptype = 'e' and (e.classid = 1259 and e.objid = c.oid
                                               or e.classid = 2618 and e.objid = w.oid))
union all
select 'policy',
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) || '.' || quote_ident(p.polname),
       array[p.polcmd::text, case when p.polpermissive then 'permissive' else 'restrictive' end,
             pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid),
             (select string_agg(coalesce(r.rolname, 'PUBLIC'), ',' order by r.rolname)
                from unnest(p.polroles) u(role)
                left join pg_roles r on r.oid = u.role)]
  from pg_policy p
  join pg_class c on c.oid = p.polrelid
  join pg_namespace n on n.oid = c.relnamespace
 where not exists (select from pg_depend e where e.classid = 1259 and e.objid = c.oid and e.deptype = 'e')
