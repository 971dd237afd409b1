-- Purpose: the views of a database; the definition is empty without SHOW VIEW and SELECT
-- Privilege: on each any right; others are not shown
-- Cost: it opens each view, and what it is made of
select v.table_name as name,
       v.view_definition as definition,
       v.definer as definer,
       v.security_type as security,
       v.check_option as checked
  from information_schema.views v
 where v.table_schema = %s
