"""Which restorer is for the backups of which method."""

from __future__ import annotations

from collections.abc import Mapping

from actions.restore_pg_dump import PgDumpRestorer
from actions.restore_pg_physical import PgBasebackupRestorer
from actions.restoring import Restorer
from console.model.backups import Method

RESTORERS: Mapping[Method, Restorer] = {
    Method.PG_DUMP: PgDumpRestorer(),
    Method.PG_BASEBACKUP: PgBasebackupRestorer(),
}
