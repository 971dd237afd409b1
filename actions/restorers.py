"""Which restorer is for the backups of which method."""

from __future__ import annotations

from collections.abc import Mapping

from actions.restore_barman import BarmanRestorer
from actions.restore_mariabackup import PhysicalRestorer
from actions.restore_mydumper import MydumperRestorer
from actions.restore_mysqldump import MysqldumpRestorer
from actions.restore_pg_dump import PgDumpRestorer
from actions.restore_pg_physical import PgBasebackupRestorer
from actions.restore_pgbackrest import PgBackRestRestorer
from actions.restoring import Restorer
from console.model.backups import Method

RESTORERS: Mapping[Method, Restorer] = {
    Method.PG_DUMP: PgDumpRestorer(),
    Method.PG_BASEBACKUP: PgBasebackupRestorer(),
    Method.PGBACKREST: PgBackRestRestorer(),
    Method.BARMAN: BarmanRestorer(),
    Method.MYSQLDUMP: MysqldumpRestorer(),
    Method.MYDUMPER: MydumperRestorer(),
    Method.MARIABACKUP: PhysicalRestorer(),
    Method.XTRABACKUP: PhysicalRestorer(),
}
