"""Is a SQLite ledger what dbdeck made?"""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from console.audit.definitions import Part, compared, digest, earlier
from console.audit.table.port import sql
from console.audit.table.sqlite_rows import as_made, definitions
from console.errors import AuditUnavailable
from console.named_file import refuse_no_file

_REMEDY = "`dbdeck audit init` makes triggers again; anything else: verify the file, keep it, begin a new one"


def inspect_sqlite(path: Path) -> list[Part]:
    """Raises AuditUnavailable."""
    try:
        refuse_no_file(path)
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            found = {name: digest(text) for (_, name), text in definitions(connection).items()}
        mode = stat.S_IMODE(path.stat().st_mode)
    except (sqlite3.Error, OSError) as error:
        why = (isinstance(error, OSError) and error.strerror) or error
        raise AuditUnavailable(f"the ledger sqlite://{path} cannot be used: {why}") from None
    private = Part(kind="file", name=str(path), state="as made" if not mode & 0o077 else "changed",
                   detail=f"mode {mode:04o}", remedy="" if not mode & 0o077 else "chmod 0600 it")  # fmt: skip
    made = {name: digest(text) for (_, name), text in as_made().items()}
    before = earlier(sql("earlier.json"), "sqlite")["definition"]
    return [*compared("definition", made, found, _REMEDY, before), private]
