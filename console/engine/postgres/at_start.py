"""What is known of a setting that PostgreSQL reads only when it starts (context postmaster).

The server shows what runs, and that something else waits for a restart (pg_settings.pending_restart), but
not what. The files show it, to those who may execute pg_show_all_file_settings().
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from console.engine.postgres.link import Link
from console.engine.postgres.rows import Record
from console.engine.queries import quote_ident
from console.model.settings import AtStart, Setting

AUTO = "postgresql.auto.conf"


async def read(link: Link, one: Setting, row: Record, rights: Record) -> Setting:
    """The setting of the whole server, with what its files say."""
    if not one.restart:
        return one
    if rights["sees_files"]:
        return written(one, row, await link.fetch("setting_files", "the configuration files", one.name))
    return unseen(one, row, sees_all=rights["sees_all"], user=link.target.monitor.user)


# ---- pure --------------------------------------------------------------------------------------


def written(one: Setting, row: Record, lines: Sequence[Record]) -> Setting:
    """The last line wins; postgresql.auto.conf is read last."""
    entry = [line["value"] for line in lines if line["file"].endswith(AUTO)]
    last = lines[-1]["value"] if lines else row["boot_val"]
    known = AtStart(pending=row["pending"], seen=True, next=last, source=_source(row, sees_all=True))
    return msgspec.structs.replace(one, value=entry[-1] if entry else None, at_start=known)


def unseen(one: Setting, row: Record, *, sees_all: bool, user: str) -> Setting:
    pending = row["pending"]
    known = AtStart(
        pending=pending,
        seen=False,
        next=None if pending else row["reset_val"],
        source=_source(row, sees_all=sees_all),
    )
    note = (
        f"what {AUTO} has cannot be seen: GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() "
        f"TO {quote_ident(user, 'postgresql')};"
    )
    return msgspec.structs.replace(one, at_start=known, notes=(*one.notes, note))


def _source(row: Record, *, sees_all: bool) -> str:
    if row["source"] == "default":
        return "default"
    if row["source"] != "configuration file" or not sees_all:
        return ""
    return "entry" if (row["sourcefile"] or "").endswith(AUTO) else "file"
