"""Which restorer is for the backups of which method."""

from __future__ import annotations

from collections.abc import Mapping

from actions.restore_mysqldump import MysqldumpRestorer
from actions.restoring import Restorer
from console.model.backups import Method

RESTORERS: Mapping[Method, Restorer] = {
    Method.MYSQLDUMP: MysqldumpRestorer(),
}
