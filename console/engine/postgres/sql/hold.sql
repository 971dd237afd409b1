-- Purpose: take an advisory lock of this session, without waiting
-- Privilege: none
-- Cost: one entry in the lock table until the session ends
select pg_try_advisory_lock($1::int8) as held
