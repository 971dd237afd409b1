-- Purpose: the verifiers themselves, to try guesses offline; read only when somebody asks for that
-- Privilege: SELECT on these columns of pg_authid, granted in this database (else superusers only)
-- Cost: one pass over pg_authid
select a.rolname::text as name,
       a.rolpassword as verifier
  from pg_authid a
 where a.rolpassword is not null
   and a.rolcanlogin
