-- Purpose: a piece of the server's log, as bytes: a piece may begin inside a character
-- Privilege: EXECUTE on pg_read_binary_file(text, bigint, bigint); for a log folder outside the data
--   folder that log_directory does not name as an absolute path, pg_read_server_files too
-- Cost: one read of at most the length asked for
select pg_read_binary_file($1::text, $2::int8, $3::int8) as chunk
