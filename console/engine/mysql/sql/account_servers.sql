-- Purpose: as whom federated tables log in elsewhere, by CREATE SERVER; without the passwords
-- Privilege: SELECT on these columns of mysql.servers
-- Cost: one pass over a small table
select s.server_name as name,
       s.username as username,
       s.host as address,
       s.port as port
  from mysql.servers s
