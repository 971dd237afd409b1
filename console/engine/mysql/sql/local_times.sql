-- Purpose: times in the server's own zone, a JSON array of them, as epoch seconds
-- Privilege: none
-- Cost: constant for each time
select t.local as local,
       unix_timestamp(convert_tz(t.local, 'SYSTEM', '+00:00')) as epoch
  from json_table(%s, '$[*]' columns (local varchar(30) path '$')) t
