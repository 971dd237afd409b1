-- Purpose: the settings that decide when and how fast autovacuum works, and the clock that ages count by
-- Privilege: none
-- Cost: constant
select current_setting('autovacuum')::bool as autovacuum,
       current_setting('track_counts')::bool as track_counts,
       current_setting('autovacuum_max_workers')::int4 as workers,
       coalesce(nullif(current_setting('autovacuum_vacuum_cost_limit')::int4, -1),
                current_setting('vacuum_cost_limit')::int4) as cost_limit,
       current_setting('autovacuum_vacuum_cost_delay') as cost_delay,
       current_setting('vacuum_cost_delay') as vacuum_cost_delay,
       clock_timestamp() as now
