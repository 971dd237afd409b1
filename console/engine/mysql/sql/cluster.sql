-- Purpose: how the server stands in its Galera cluster (MariaDB) or in its group (MySQL); no row of variables
--   where it is built without
-- Privilege: none (MariaDB), SELECT on performance_schema (MySQL)
-- Cost: some status variables, the list of the group's members: constant
-- A node of Galera that is out answers what reads nothing but information_schema, and no derived table.
-- Before it is started a member has no id; who loads the plugin and names no group is a member of none.
select max(case v.variable_name when 'WSREP_PROVIDER_NAME' then v.variable_value end) as provider,  --: mariadb
       max(case v.variable_name when 'WSREP_CLUSTER_STATUS' then v.variable_value end) as component,  --: mariadb
       max(case v.variable_name when 'WSREP_LOCAL_STATE_COMMENT' then v.variable_value end) as node,  --: mariadb
       max(case v.variable_name when 'WSREP_READY' then v.variable_value end) as ready,  --: mariadb
       max(case v.variable_name when 'WSREP_CLUSTER_SIZE' then v.variable_value end) as size,  --: mariadb
       (select g.variable_value from information_schema.global_variables g  --: mariadb
         where g.variable_name = 'WSREP_ON') as taking_part,  --: mariadb
       (select g.variable_value from information_schema.global_variables g  --: mariadb
         where g.variable_name = 'WSREP_OSU_METHOD') as ddl,  --: mariadb
       (select g.variable_value from information_schema.global_variables g  --: mariadb
         where g.variable_name = 'WSREP_REJECT_QUERIES') as refusing  --: mariadb
  from information_schema.global_status v  --: mariadb
 where v.variable_name in ('WSREP_PROVIDER_NAME', 'WSREP_CLUSTER_STATUS', 'WSREP_LOCAL_STATE_COMMENT',  --: mariadb
                           'WSREP_READY', 'WSREP_CLUSTER_SIZE')  --: mariadb
select max(case when m.member_id in (@@server_uuid, '') then m.member_state end) as member,  --: mysql
       count(*) as members,  --: mysql
       sum(m.member_state = 'ONLINE') as members_online,  --: mysql
       sum(m.member_state = 'UNREACHABLE') as members_lost,  --: mysql
       (select g.variable_value from performance_schema.global_variables g  --: mysql
         where g.variable_name = 'group_replication_group_name') as name  --: mysql
  from performance_schema.replication_group_members m  --: mysql
