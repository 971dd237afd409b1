"""Is a SQLite ledger what dbdeck made?"""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from console.audit.definitions import Part, compared, digest
from console.audit.table.port import sql
from console.errors import AuditUnavailable

_REMEDY = "the file is not what dbdeck made: verify it, keep it, and begin a new one"


def inspect_sqlite(path: Path) -> list[Part]:
    """Raises AuditUnavailable."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            found = _definitions(connection)
        mode = stat.S_IMODE(path.stat().st_mode)
    except (sqlite3.Error, OSError) as error:
        raise AuditUnavailable(f"the ledger sqlite://{path} cannot be used: {error}") from None
    private = Part(kind="file", name=str(path), state="as made" if not mode & 0o077 else "changed",
                   detail=f"mode {mode:04o}", remedy="" if not mode & 0o077 else "chmod 0600 it")  # fmt: skip
    return [*compared("definition", _made(), found, _REMEDY), private]


def _made() -> dict[str, str]:
    """As SQLite itself keeps what dbdeck asks for."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(sql("sqlite.sql"))
        return _definitions(connection)


def _definitions(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute(
        "select name, sql from sqlite_master where sql is not null and name not like 'sqlite_%'"
    )
    return {name: digest(text) for name, text in rows}
