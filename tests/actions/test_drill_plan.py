"""What the plan of a drill says the backup is of."""

from __future__ import annotations

import pytest

from actions.drill_choice import Chosen
from actions.drills import of_backups
from console.model.backups import Backup, Method, Source
from console.model.target import EngineKind, Login, Target
from tests.fakes import ScriptedEngine


@pytest.mark.parametrize(
    ("kind", "version", "server", "label"),
    [
        (EngineKind.MYSQL, 1011, "MariaDB 10.11.19", "MariaDB 10.11.19"),
        (EngineKind.MYSQL, 907, "MySQL 9.7.4", "MySQL 9.7.4"),
        (EngineKind.MYSQL, 1011, "MariaDB", "MariaDB of an unknown version"),
        (EngineKind.POSTGRES, 17, "PostgreSQL 17.10", "PostgreSQL 17.10"),
        (EngineKind.POSTGRES, None, "", "PostgreSQL of an unknown version"),
    ],
)
def test_the_server_is_called_as_the_backup_calls_it(
    kind: EngineKind, version: int | None, server: str, label: str
) -> None:
    engine = ScriptedEngine([], Target(name="shop", engine=kind, monitor=Login(user="m")))
    backup = Backup(source="s", id="b", method=Method.PG_DUMP, path="/b", version=version, server=server)
    picked = Chosen("s", Source(method=Method.PG_DUMP, path="/b"), backup)
    assert of_backups([picked], engine).label == label
