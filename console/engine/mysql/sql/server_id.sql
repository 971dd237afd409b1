-- Purpose: by which number replicas name this server as their source
-- Privilege: none
-- Cost: constant
select cast(@@global.server_id as unsigned) as id
