-- Purpose: the limits of the operator's own session that the next statement runs under; an empty value
--   puts back what the session was born with
-- Privilege: none
-- Cost: none
select set_config(l.name,
                  case l.value when '' then (select s.reset_val || coalesce(s.unit, '') from pg_settings s
                                              where s.name = l.name)
                       else l.value end,
                  false)
  from unnest($1::text[], $2::text[]) l(name, value)
