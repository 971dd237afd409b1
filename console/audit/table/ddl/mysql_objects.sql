select routine_name as name, routine_definition as text
from information_schema.routines where routine_schema = database()
union all
select trigger_name, action_statement from information_schema.triggers where trigger_schema = database()
