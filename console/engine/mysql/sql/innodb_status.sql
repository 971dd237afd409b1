-- Purpose: InnoDB's own report: the last deadlock, how far purge is, who holds a read view
-- Privilege: PROCESS
-- Cost: one pass over all transactions under InnoDB's latch, at most 1 MB of text
show engine innodb status
