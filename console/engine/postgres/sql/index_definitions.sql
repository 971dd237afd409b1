-- Purpose: the commands that would make a few indexes
-- Privilege: none
-- Cost: AccessShareLock on the tables of those with expressions or predicates and on the indexes: it would
--   wait behind AccessExclusive, so the caller leaves those out, and lock_timeout bounds the rest
select i.oid::int8 as oid, pg_get_indexdef(i.oid) as definition
  from unnest($1::oid[]) as i(oid)
