-- Purpose: how many large objects there are, and which; not what is in them
-- Privilege: none
-- Cost: reads pg_largeobject_metadata whole; AccessShareLock on it
select count(*) as rows,
       coalesce(sum(hashtextextended(o.oid::text collate "C", 0)), 0)::text as checksum
  from pg_largeobject_metadata o
