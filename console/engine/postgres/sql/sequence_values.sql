-- Purpose: the last number each of a few sequences gave out; null where it gave out none
-- Privilege: USAGE or SELECT on each: the caller asks only for those
-- Cost: one page of each sequence under RowExclusiveLock: it would wait for ALTER SEQUENCE or TRUNCATE ...
--   RESTART IDENTITY, so the caller leaves those out that are locked, and lock_timeout bounds the rest
select s.oid::int8 as oid, pg_sequence_last_value(s.oid) as last
  from unnest($1::oid[]) as s(oid)
