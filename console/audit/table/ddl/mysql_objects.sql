-- Purpose: what init has made here, with its text, and what of it is not as it was made beside that.
select routine_name as name, routine_definition as text,
       security_type <> 'DEFINER' or definer <> 'dbdeck_audit_owner@localhost' as wrong
from information_schema.routines where routine_schema = database()
union all
select trigger_name, action_statement,
       action_timing <> 'BEFORE'
       or cast(lower(concat(event_object_table, '_no_', event_manipulation)) as binary) <> cast(trigger_name as binary)
from information_schema.triggers where trigger_schema = database()
