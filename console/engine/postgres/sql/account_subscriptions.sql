-- Purpose: as whom this server's subscriptions log in at their publishers. A password is cut out before
--   anything else is looked for, and does not leave the server.
-- Privilege: SELECT on pg_subscription, granted in this database (else superusers only)
-- Cost: one pass over pg_subscription
select s.name,
       coalesce(substring(s.info from '^postgres(?:ql)?://([^:@/?]*)(?::[^@/?]*)?@'),
                trim(both '''' from substring(s.info from '(?:^|\s)user\s*=\s*(''(?:[^''\\]|\\.)*''|\S+)')))
         as username,
       coalesce(substring(s.info from '^postgres(?:ql)?://(?:[^@/?]*@)?([^/?]*)'),
                trim(both '''' from substring(s.info from '(?:^|\s)host\s*=\s*(''(?:[^''\\]|\\.)*''|\S+)')))
         as address
  from (select b.subname::text as name,
               regexp_replace(b.subconninfo,
                              '(^|\s)password\s*=\s*(''(?:[^''\\]|\\.)*''|\S*)', ' ', 'gi') as info
          from pg_subscription b) s
