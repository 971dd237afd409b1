-- Purpose: which subscriptions there are, where how they log in may not be read
-- Privilege: none
-- Cost: one pass over pg_subscription
select b.subname::text as name,
       null::text as username,
       null::text as address
  from pg_subscription b
