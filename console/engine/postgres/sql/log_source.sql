-- Purpose: how the server writes its log, and whether this login may read it
-- Privilege: none
-- Cost: constant
select current_setting('logging_collector') = 'on' as collected,
       current_setting('log_destination') as destination,
       current_setting('log_timezone') as zone,
       current_setting('log_line_prefix') as prefix,
       current_setting('lc_messages') as language,
       current_setting('log_min_messages') as threshold,
       current_setting('log_error_verbosity') as verbosity,
       has_function_privilege('pg_current_logfile(text)', 'execute') as may_ask,
       has_function_privilege('pg_read_binary_file(text, bigint, bigint)', 'execute') as may_read,
       has_function_privilege('pg_ls_logdir()', 'execute') as may_list,
       current_database()::text as database
