select routine_name as name from information_schema.routines where routine_schema = database()
union
select trigger_name from information_schema.triggers where trigger_schema = database()
