-- Purpose: what kind of verifier each role has; the verifier itself does not leave the server
-- Privilege: SELECT on these columns of pg_authid, granted in this database (else superusers only)
-- Cost: one pass over pg_authid
select a.rolname::text as name,
       case when a.rolpassword is null then 'no password'
            when a.rolpassword like 'SCRAM-SHA-256$%' then 'scram-sha-256'
            when a.rolpassword ~ '^md5[0-9a-f]{32}$' then 'md5'
            else 'other' end as kind
  from pg_authid a
