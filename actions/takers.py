"""Who takes the backups of which method."""

from __future__ import annotations

from collections.abc import Mapping

from actions.take_mysql import MariabackupTaker, MysqldumpTaker
from actions.take_postgres import PgBasebackupTaker, PgDumpTaker
from actions.taking import Taker
from console.model.backups import Method

TAKERS: Mapping[Method, Taker] = {
    Method.PG_DUMP: PgDumpTaker(),
    Method.PG_BASEBACKUP: PgBasebackupTaker(),
    Method.MYSQLDUMP: MysqldumpTaker(),
    Method.MARIABACKUP: MariabackupTaker(),
}
