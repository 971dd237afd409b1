-- Purpose: the sequences that number columns of a few tables (serial, identity, OWNED BY), how far each may
--   count and what its column can hold; a sequence that goes round is never used up
-- Privilege: none
-- Cost: some index probes a table, AccessShareLock on pg_depend, pg_sequence and pg_attribute; no sequence
--   is touched
select a.attrelid::int8 as "table",
       a.attname::text as "column",
       c.oid::int8 as oid,
       n.nspname || '.' || c.relname as sequence,
       case when q.seqincrement > 0 then q.seqmax else q.seqmin end as most,
       case a.atttypid when 21 then 2 when 23 then 4 else 8 end as width,
       q.seqincrement > 0 as up,
       has_sequence_privilege(c.oid, 'usage, select') as readable
  from pg_depend d
  join pg_sequence q on q.seqrelid = d.objid
  join pg_class c on c.oid = q.seqrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
 where d.classid = 1259
   and d.refclassid = 1259
   and d.deptype in ('a', 'i')
   and d.refobjid = any ($1::oid[])
   and not q.seqcycle
   and c.relpersistence <> 't'
   and not (c.relpersistence = 'u' and pg_is_in_recovery())
