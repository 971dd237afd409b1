-- Purpose: the kinds of index there are, and what each can do
-- Privilege: none
-- Cost: one pass over pg_am, which has a handful of rows
select m.amname::text as name,
       coalesce(pg_indexam_has_property(m.oid, 'can_unique'), false) as uniquely,
       coalesce(pg_indexam_has_property(m.oid, 'can_multi_col'), false) as several,
       coalesce(pg_indexam_has_property(m.oid, 'can_include'), false) as include
  from pg_am m
 where m.amtype = 'i'
 order by 1
