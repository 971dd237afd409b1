-- Purpose: is the ledger made of what dbdeck made, and who else may change it. Cost: information_schema only.
-- Privilege: the text of a routine is shown to its definer and to who may see all (SHOW_ROUTINE, or SELECT on
-- mysql.*); rights of others to who may SELECT on mysql.*. What a login may not see is not in it at all: its own
-- rights on all of the schema ('sees') tell whether what is not there is gone.
select 'procedure' as kind, routine_name as name, routine_definition as text,
       case when security_type <> 'DEFINER' then 'it no longer has its definer''s rights'
            when definer <> 'dbdeck_audit_owner@localhost' then concat('its definer is ', definer) else '' end as wrong
from information_schema.routines where routine_schema = database()
union all
select 'trigger', trigger_name, action_statement,
       case when action_timing <> 'BEFORE' then 'it comes too late'
            when cast(lower(concat(event_object_table, '_no_', event_manipulation)) as binary)
                 <> cast(trigger_name as binary) then 'it guards something else' else '' end
from information_schema.triggers where trigger_schema = database()
union all
select 'index', index_name, group_concat(column_name order by seq_in_index), ''
from information_schema.statistics
where table_schema = database() and table_name = 'entry' and non_unique = 0
group by index_name
union all
select 'right', grantee, concat(privilege_type, ' on ', table_schema, '.', table_name), 'foreign'
from information_schema.table_privileges
where table_schema = database() and privilege_type <> 'SELECT'
  and not (privilege_type = 'INSERT' and grantee = '\'dbdeck_audit_owner\'@\'localhost\'')
union all
select 'right', grantee, concat(privilege_type, ' (', column_name, ') on ', table_schema, '.', table_name), 'foreign'
from information_schema.column_privileges
where table_schema = database() and privilege_type <> 'SELECT'
  and not (privilege_type = 'UPDATE' and column_name = 'body' and grantee = '\'dbdeck_audit_owner\'@\'localhost\'')
union all
select 'right', grantee, concat(privilege_type, ' on ', table_schema, '.*'), 'foreign'
from information_schema.schema_privileges
where table_schema = database()
  and privilege_type in ('INSERT', 'UPDATE', 'DELETE', 'DROP', 'ALTER', 'TRIGGER', 'ALTER ROUTINE', 'CREATE ROUTINE')
union all
select 'engine', table_name, engine, case when engine = 'InnoDB' then '' else 'it has no transactions' end
from information_schema.tables where table_schema = database() and table_name in ('entry', 'ledger')
union all
select 'sees', privilege_type, '', ''
from information_schema.user_privileges
where privilege_type in ('EXECUTE', 'SELECT', 'TRIGGER')
  and grantee = concat('\'', left(current_user(), char_length(current_user())
                                  - char_length(substring_index(current_user(), '@', -1)) - 1),
                       '\'@\'', substring_index(current_user(), '@', -1), '\'')
union all
select 'sees', privilege_type, '', ''
from information_schema.schema_privileges
where privilege_type in ('EXECUTE', 'SELECT', 'TRIGGER') and database() like table_schema
  and grantee = concat('\'', left(current_user(), char_length(current_user())
                                  - char_length(substring_index(current_user(), '@', -1)) - 1),
                       '\'@\'', substring_index(current_user(), '@', -1), '\'')
