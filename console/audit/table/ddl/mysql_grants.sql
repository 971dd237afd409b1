select user, host from mysql.procs_priv
where db = database() and routine_name = %s and routine_type = 'PROCEDURE' and proc_priv like '%%Execute%%'
