-- Purpose: which privileges an account was granted itself, and on what; `*` is everything of its kind
-- Privilege: SELECT on mysql.* for accounts that are not one's own
-- Cost: one pass over the tables of grants
select privilege_type as privilege, '*' as in_schema, '*' as in_table
  from information_schema.user_privileges where grantee = %s
union all
select privilege_type, table_schema, '*'
  from information_schema.schema_privileges where grantee = %s
union all
select privilege_type, table_schema, table_name
  from information_schema.table_privileges where grantee = %s
