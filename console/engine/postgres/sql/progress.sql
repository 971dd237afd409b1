-- Purpose: who runs a plain VACUUM now: such a process does not hold the horizon of others
--   (PROC_IN_VACUUM in procarray.c), though its xmin is shown
-- Privilege: none (process ids only)
-- Cost: one pass over the backend status array, no catalog locks
select p.pid, 'vacuum' as command from pg_stat_get_progress_info('VACUUM') p
union all
select p.pid, 'analyze' from pg_stat_get_progress_info('ANALYZE') p
