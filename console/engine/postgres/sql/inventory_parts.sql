-- Purpose: schemas, extensions and the rarer objects: statistics, collations, text search, operators and their
--   classes, casts (not those that come with a range type), conversions, languages, transforms, access
--   methods, owners of large objects
-- Privilege: none
-- Cost: reads a dozen small catalogs and pg_largeobject_metadata whole; AccessShareLock on them
with mine as (
       select e.classid, e.objid
         from pg_depend e
        where e.deptype = 'e' or e.deptype = 'i' and e.classid = 2605)
select 'schema' as kind,
       quote_ident(n.nspname) as name,
       array[case when n.nspname = 'public' and n.nspowner = 10 then '' else r.rolname::text end] as definition
  from pg_namespace n
  join pg_roles r on r.oid = n.nspowner
 where n.nspname !~ '^pg_'
   and n.nspname <> 'information_schema'
   and (2615, n.oid) not in (select m.classid, m.objid from mine m)
union all
select 'extension', quote_ident(x.extname), array[x.extversion, quote_ident(n.nspname)]
  from pg_extension x
  join pg_namespace n on n.oid = x.extnamespace
union all
select 'statistics object',
       quote_ident(n.nspname) || '.' || quote_ident(s.stxname),
       array[r.rolname::text, pg_get_statisticsobjdef(s.oid), nullif(s.stxstattarget, -1)::text]
  from pg_statistic_ext s
  join pg_namespace n on n.oid = s.stxnamespace
  join pg_roles r on r.oid = s.stxowner
 where (3381, s.oid) not in (select m.classid, m.objid from mine m)
union all
select 'collation',
       quote_ident(n.nspname) || '.' || quote_ident(c.collname),
       array[r.rolname::text, c.collprovider::text, c.collisdeterministic::text, c.collencoding::text,
             coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale'), to_jsonb(c) ->> 'collicurules',
             c.collcollate::text, c.collctype::text]
  from pg_collation c
  join pg_namespace n on n.oid = c.collnamespace
  join pg_roles r on r.oid = c.collowner
 where c.oid >= 16384
   and n.nspname !~ '^pg_'
   and (3456, c.oid) not in (select m.classid, m.objid from mine m)
union all
select 'text search configuration',
       quote_ident(n.nspname) || '.' || quote_ident(c.cfgname),
       array[r.rolname::text, quote_ident(pn.nspname) || '.' || quote_ident(p.prsname)]
         || array(select g.maptokentype || ' ' || quote_ident(dn.nspname) || '.' || quote_ident(d.dictname)
                    from pg_ts_config_map g
                    join pg_ts_dict d on d.oid = g.mapdict
                    join pg_namespace dn on dn.oid = d.dictnamespace
                   where g.mapcfg = c.oid
                   order by g.maptokentype, g.mapseqno)
  from pg_ts_config c
  join pg_namespace n on n.oid = c.cfgnamespace
  join pg_roles r on r.oid = c.cfgowner
  join pg_ts_parser p on p.oid = c.cfgparser
  join pg_namespace pn on pn.oid = p.prsnamespace
 where c.oid >= 16384
   and (3602, c.oid) not in (select m.classid, m.objid from mine m)
union all
select 'text search dictionary',
       quote_ident(n.nspname) || '.' || quote_ident(d.dictname),
       array[r.rolname::text, quote_ident(t.tmplname), d.dictinitoption]
  from pg_ts_dict d
  join pg_namespace n on n.oid = d.dictnamespace
  join pg_roles r on r.oid = d.dictowner
  join pg_ts_template t on t.oid = d.dicttemplate
 where d.oid >= 16384
   and (3600, d.oid) not in (select m.classid, m.objid from mine m)
union all
select 'text search parser',
       quote_ident(n.nspname) || '.' || quote_ident(p.prsname),
       array[p.prsstart::text, p.prstoken::text, p.prsend::text, p.prsheadline::text, p.prslextype::text]
  from pg_ts_parser p
  join pg_namespace n on n.oid = p.prsnamespace
 where p.oid >= 16384
   and (3601, p.oid) not in (select m.classid, m.objid from mine m)
union all
select 'operator',
       quote_ident(n.nspname) || '.' || o.oprname || '(' || coalesce(format_type(nullif(o.oprleft, 0), null), 'none')
         || ', ' || format_type(o.oprright, null) || ')',
       array[r.rolname::text, o.oprcode::text, o.oprrest::text, o.oprjoin::text, o.oprcanmerge::text,
             o.oprcanhash::text, (select k.oprname::text from pg_operator k where k.oid = o.oprcom),
             (select k.oprname::text from pg_operator k where k.oid = o.oprnegate)]
  from pg_operator o
  join pg_namespace n on n.oid = o.oprnamespace
  join pg_roles r on r.oid = o.oprowner
 where o.oid >= 16384
   and o.oprcode <> 0
   and (2617, o.oid) not in (select m.classid, m.objid from mine m)
union all
select 'operator class',
       quote_ident(n.nspname) || '.' || quote_ident(o.opcname) || ' using ' || a.amname,
       array[r.rolname::text, format_type(o.opcintype, null), o.opcdefault::text,
             format_type(nullif(o.opckeytype, 0), null)]
  from pg_opclass o
  join pg_am a on a.oid = o.opcmethod
  join pg_namespace n on n.oid = o.opcnamespace
  join pg_roles r on r.oid = o.opcowner
 where o.oid >= 16384
   and (2616, o.oid) not in (select m.classid, m.objid from mine m)
union all
select 'operator family',
       quote_ident(n.nspname) || '.' || quote_ident(f.opfname) || ' using ' || a.amname,
       array[r.rolname::text]
         || array(select s.amopstrategy || ' ' || s.amoppurpose::text || ' ' || o.oprname || '('
                         || format_type(s.amoplefttype, null) || ', ' || format_type(s.amoprighttype, null) || ')'
                    from pg_amop s
                    join pg_operator o on o.oid = s.amopopr
                   where s.amopfamily = f.oid
                   order by 1)
         || array(select s.amprocnum || ' ' || s.amproc::text || ' ' || format_type(s.amproclefttype, null)
                    from pg_amproc s
                   where s.amprocfamily = f.oid
                   order by 1)
  from pg_opfamily f
  join pg_am a on a.oid = f.opfmethod
  join pg_namespace n on n.oid = f.opfnamespace
  join pg_roles r on r.oid = f.opfowner
 where f.oid >= 16384
   and (2753, f.oid) not in (select m.classid, m.objid from mine m)
union all
select 'cast',
       '(' || format_type(c.castsource, null) || ' as ' || format_type(c.casttarget, null) || ')',
       array[c.castcontext::text, c.castmethod::text,
             (select quote_ident(n.nspname) || '.' || quote_ident(p.proname)
                from pg_proc p
                join pg_namespace n on n.oid = p.pronamespace
               where p.oid = c.castfunc)]
  from pg_cast c
 where c.oid >= 16384
   and (2605, c.oid) not in (select m.classid, m.objid from mine m)
union all
select 'conversion',
       quote_ident(n.nspname) || '.' || quote_ident(c.conname),
       array[r.rolname::text, pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding),
             c.conproc::text, c.condefault::text]
  from pg_conversion c
  join pg_namespace n on n.oid = c.connamespace
  join pg_roles r on r.oid = c.conowner
 where c.oid >= 16384
   and (2607, c.oid) not in (select m.classid, m.objid from mine m)
union all
select 'language', quote_ident(l.lanname), array[l.lanpltrusted::text]
  from pg_language l
 where l.oid >= 16384
   and (2612, l.oid) not in (select m.classid, m.objid from mine m)
union all
select 'transform',
       'for ' || format_type(t.trftype, null) || ' language ' || quote_ident(l.lanname),
       array[t.trffromsql::text, t.trftosql::text]
  from pg_transform t
  join pg_language l on l.oid = t.trflang
 where (3576, t.oid) not in (select m.classid, m.objid from mine m)
union all
select 'access method', quote_ident(a.amname), array[a.amtype::text, a.amhandler::text]
  from pg_am a
 where a.oid >= 16384
   and (2601, a.oid) not in (select m.classid, m.objid from mine m)
union all
select distinct 'large objects', 'of ' || quote_ident(r.rolname), array[null::text]
  from pg_largeobject_metadata o
  join pg_roles r on r.oid = o.lomowner
