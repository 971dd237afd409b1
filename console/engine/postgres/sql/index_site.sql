-- Purpose: the columns of a table, each with the kinds of index that take its type by themselves
--   (GetDefaultOpClass in indexcmds.c: the type, what it is binary coercible to, or a pseudo-type it belongs to)
-- Privilege: none
-- Cost: probes of pg_attribute, pg_type, pg_opclass and pg_cast (AccessShareLock); 3 ms for 100 columns; no
--   table is touched
with recursive own as (
select a.attnum, a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type, a.atttypid as base,
       a.attgenerated = 'v' as virtual  --: postgresql>=180000
       false as virtual  --: postgresql<180000
  from pg_attribute a
  join pg_class c on c.oid = a.attrelid
  join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = $1::text collate "C"
   and c.relname = $2::text collate "C"
   and c.relkind in ('r', 'm', 'p')
   and a.attnum > 0
   and not a.attisdropped),
stripped as (
select o.attnum, o.name, o.type, o.virtual, o.base from own o
 union all
select s.attnum, s.name, s.type, s.virtual, t.typbasetype
  from stripped s
  join pg_type t on t.oid = s.base
 where t.typtype = 'd'),
typed as (
select s.*, t.typtype, t.typelem <> 0 and t.typlen = -1 as listed
  from stripped s
  join pg_type t on t.oid = s.base
 where t.typtype <> 'd')
select t.name, t.type, t.virtual,
       array(select distinct m.amname::text
               from pg_opclass o
               join pg_am m on m.oid = o.opcmethod
              where o.opcdefault
                and (o.opcintype = t.base
                     or exists (select from pg_cast k
                                 where k.castsource = t.base and k.casttarget = o.opcintype
                                   and k.castmethod = 'b' and k.castcontext = 'i')
                     or o.opcintype in (2276, 2283)
                     or o.opcintype = 2277 and t.listed
                     or o.opcintype = 3500 and t.typtype = 'e'
                     or o.opcintype = 3831 and t.typtype = 'r'
                     or o.opcintype = 4537 and t.typtype = 'm'
                     or o.opcintype = 2249 and t.typtype = 'c')
              order by 1) as methods
  from typed t
 order by t.attnum
