"""The binary log: its files, and what the server can tell of who still reads which of them.

A replica's position stands nowhere on its source. What the source knows is which files its dump threads
have open (performance_schema.file_instances counts them; binlog.cc opens each by mysql_file_open).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC

from console.engine.mysql.link import Link
from console.engine.mysql.look import look_at_all
from console.errors import PrivilegeMissing, UsageError
from console.model.binary_logs import BinaryLog, BinaryLogs
from console.model.sessions import Protection

_UNCOUNTED = (
    "performance_schema does not tell which files they read (it is off, or its instrument "
    "wait/io/file/sql/binlog is)"
)


async def binary_logs(link: Link) -> BinaryLogs:
    """Raises PrivilegeMissing where the files or sessions are hidden, UsageError where nothing is logged."""
    settings = (await link.fetch("binary_log_settings", "settings of the binary log"))[0]
    if not settings["enabled"]:
        raise UsageError("the server writes no binary log (log_bin is off); nothing was executed")
    readers = tuple(
        one for one in (await look_at_all(link)).sessions if one.protection is Protection.WALSENDER
    )
    opened: Mapping[str, int] = {}
    hidden = ""
    try:
        found = await link.fetch("binary_logs_open", "open binary logs")
        opened = {str(row["name"]): int(row["opened"]) for row in found}
    except PrivilegeMissing as error:
        hidden = f"{error.message} {error.hint}".strip()
    # Asked for last: a file that began meanwhile is in this list, and nobody is taken for a reader of it.
    listed = await link.fetch("binary_logs", "binary logs")
    files = tuple(BinaryLog(name=str(row["Log_name"]), bytes=int(row["File_size"])) for row in listed)
    read = being_read([one.name for one in files], opened, len(readers))
    return BinaryLogs(
        files=files,
        readers=readers,
        read=read,
        why="" if read is not None else hidden or _UNCOUNTED,
        expire_seconds=int(settings["expire_seconds"]),
        clock=settings["clock"].replace(tzinfo=UTC),
    )


def being_read(files: Sequence[str], opened: Mapping[str, int], readers: int) -> tuple[str, ...] | None:
    """The closed files that somebody has open. None: fewer are open than there are readers, so that one of
    them was not counted. The server itself has the last file open once.
    """
    if not readers:
        return ()
    if sum(opened.get(name, 0) for name in files) < readers + 1:
        return None
    return tuple(name for name in files[:-1] if opened.get(name, 0))
