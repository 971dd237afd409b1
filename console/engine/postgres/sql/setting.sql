-- Purpose: one setting: what the server describes, what a login without requests gets, and from where
-- Privilege: pg_read_all_settings (in pg_monitor) for the file it comes from and for hidden settings
-- Cost: one pass over the settings in memory, no catalog locks
select s.name, s.unit, s.vartype as kind, s.context, s.source, s.short_desc as summary,
       s.min_val as smallest,
       s.max_val as largest,
       array_to_json(s.enumvals)::text as choices,
       s.boot_val,
       s.reset_val,
       s.sourcefile,
       s.pending_restart as pending
  from pg_show_all_settings() s
 where lower(s.name) = lower($1::text)
