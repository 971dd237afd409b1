-- Purpose: publications, subscriptions, foreign data wrappers and servers, and user mappings. What is secret or
--   is taken away from a copy on purpose is not part of them: passwords, where a subscription connects to,
--   whether it is on
-- Privilege: none; of a user mapping only those who may use it see that it has options
-- Cost: reads a few small catalogs whole; AccessShareLock on them
select 'publication' as kind,
       quote_ident(p.pubname) as name,
       array[r.rolname::text, p.puballtables::text, p.pubinsert::text, p.pubupdate::text, p.pubdelete::text,
             p.pubtruncate::text, p.pubviaroot::text]
         || array(select quote_ident(n.nspname) || '.' || quote_ident(c.relname)
                         || coalesce(' where ' || pg_get_expr(k.prqual, k.prrelid), '')  --: postgresql>=150000
                         || coalesce(' columns ' || (select string_agg(quote_ident(a.attname), ',' order by a.attnum)  --: postgresql>=150000
                                                       from pg_attribute a  --: postgresql>=150000
                                                      where a.attrelid = k.prrelid  --: postgresql>=150000
                                                        and a.attnum = any (k.prattrs)), '')  --: postgresql>=150000
                    from pg_publication_rel k
                    join pg_class c on c.oid = k.prrelid
                    join pg_namespace n on n.oid = c.relnamespace
                   where k.prpubid = p.oid
                   order by 1)
         || array(select 'schema ' || quote_ident(n.nspname)  --: postgresql>=150000
                    from pg_publication_namespace k  --: postgresql>=150000
                    join pg_namespace n on n.oid = k.pnnspid  --: postgresql>=150000
                   where k.pnpubid = p.oid  --: postgresql>=150000
                   order by 1)  --: postgresql>=150000
         as definition
  from pg_publication p
  join pg_roles r on r.oid = p.pubowner
union all
select 'subscription', quote_ident(s.subname), array[r.rolname::text, array_to_string(s.subpublications, ',')]
  from pg_subscription s
  join pg_roles r on r.oid = s.subowner
 where s.subdbid = (select d.oid from pg_database d where d.datname = current_database())
union all
select 'foreign data wrapper',
       quote_ident(w.fdwname),
       array[r.rolname::text, (select p.proname::text from pg_proc p where p.oid = w.fdwhandler),
             (select p.proname::text from pg_proc p where p.oid = w.fdwvalidator)]
         || array(select case when o.option_name ~* 'passw|secret|token|key' then o.option_name
                              else o.option_name || '=' || o.option_value end
                    from pg_options_to_table(w.fdwoptions) o
                   order by 1)
  from pg_foreign_data_wrapper w
  join pg_roles r on r.oid = w.fdwowner
 where not exists (select from pg_depend e where e.classid = 2328 and e.objid = w.oid and e.deptype = 'e')
union all
select 'foreign server',
       quote_ident(s.srvname),
       array[r.rolname::text, quote_ident(w.fdwname), s.srvtype, s.srvversion]
         || array(select case when o.option_name ~* 'passw|secret|token|key' then o.option_name
                              else o.option_name || '=' || o.option_value end
                    from pg_options_to_table(s.srvoptions) o
                   order by 1)
  from pg_foreign_server s
  join pg_foreign_data_wrapper w on w.oid = s.srvfdw
  join pg_roles r on r.oid = s.srvowner
 where not exists (select from pg_depend e where e.classid = 1417 and e.objid = s.oid and e.deptype = 'e')
union all
select 'user mapping',
       'for ' || case when u.umuser = 0 then 'PUBLIC' else quote_ident(u.usename) end || ' on '
         || quote_ident(u.srvname),
       array[null::text]
  from pg_user_mappings u
