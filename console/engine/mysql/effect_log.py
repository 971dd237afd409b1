"""Sessions that were ended, as far as the error log tells.

MariaDB writes `[Warning] Aborted connection 12 to db: 'shop' user: 'app' host: 'web1' (KILLED)` where
log_warnings is above 3; the number before `[Warning]` is the session that did it. MySQL writes nothing of a
KILL (both tried: MariaDB 10.11, MySQL 9.7); of a cancelled statement neither does.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from console.engine.mysql.error_log import LOOK_BACK, open_log
from console.engine.mysql.link import Link
from console.errors import Unreachable
from console.model.effects import ENDED, Logged, LogPlace, Look
from console.model.target import ServerIdentity

ENOUGH = 4  # log_warnings that tells of killed sessions: above 3
_KILLED = re.compile(
    rb"^(\d{4}-\d\d-\d\d[ T][ \d]\d:\d\d:\d\d\S*) +(\d+) \[\w+\] Aborted connection (\d+) to db: '([^']*)' "
    rb"user: '([^']*)' host: '([^']*)'.*\(KILLED\)",
    re.MULTILINE,
)
_STOPPED = re.compile(
    rb"^(\d{4}-\d\d-\d\d[ T][ \d]\d:\d\d:\d\d\S*) +\d+ \[\w+\].*(?:Normal shutdown|Received SHUTDOWN)",
    re.MULTILINE,
)


class Heard(NamedTuple):
    """`missing` is why nothing was read."""

    lines: tuple[Logged, ...] = ()
    place: LogPlace = LogPlace()
    notes: tuple[str, ...] = ()
    missing: str = ""


async def read(link: Link, identity: ServerIdentity, clock: Mapping[str, Any], before: Look | None) -> Heard:
    """What came since the look before; of a first look, only where the log ends."""
    if identity.flavor == "mysql":
        return Heard(missing="MySQL writes nothing of a KILL to its log: who ended sessions is not known")
    path = link.target.log
    if path is None:
        where = f"{clock['log_error'] or 'its standard error'}, relative to {clock['data_directory']}"
        return Heard(
            missing="who ended sessions stands in the server's error log, which is not read here: set `log:` "
            f"of this target to that file ({where}), and log_warnings to {ENOUGH} or more"
        )
    try:
        start = before.log.offset if before is not None and before.log.path == path else None
        data, place, gap = await asyncio.to_thread(tail, Path(path), start)
    except OSError as error:
        return Heard(missing=f"the error log {path} was not read: {error.strerror}")
    now = datetime.fromtimestamp(float(clock["now"]), UTC)
    place = LogPlace(path=path, offset=place.offset, read_at=now)
    if before is None:
        return Heard(place=place)
    found = list(killed(data))
    notes = []
    if gap:
        notes.append(
            "the error log was rotated or begun anew since the look before: who ended sessions in what is "
            "gone is not known"
        )
    if int(clock["warnings"] or 0) < ENOUGH:
        notes.append(
            f"log_warnings is {clock['warnings']}: killed sessions are not in the log; set it to {ENOUGH} "
            "or more"
        )
    lines = await _placed(link, found)
    return Heard(lines=tuple(lines), place=place, notes=tuple(notes))


def tail(path: Path, start: int | None) -> tuple[bytes, LogPlace, bool]:
    """(what is there from `start` on, where it ends, whether something is missing between). Blocks.

    Raises OSError.
    """
    opened = open_log(path)
    with open(opened, "rb") as file:  # noqa: PTH123 - it is a descriptor
        size = file.seek(0, 2)
        gap = start is not None and start > size
        begin = 0 if start is None or gap else start
        if size - begin > LOOK_BACK:
            begin, gap = size - LOOK_BACK, True
        file.seek(begin)
        data = file.read(size - begin)
    whole = data.rfind(b"\n") + 1
    return data[:whole], LogPlace(path=str(path), offset=begin + whole), gap


def killed(data: bytes) -> Iterator[tuple[str, Logged]]:
    """(time as written, line); one session is told once a second, however often it is written."""
    told: set[tuple[bytes, bytes]] = set()
    for found in _KILLED.finditer(data):
        at, by, number, database, user, host = found.groups()
        if (at, number) in told:
            continue
        told.add((at, number))
        yield at.decode(), Logged(
            at=None, what=ENDED, session=int(number), user=user.decode(errors="replace"),
            database=database.decode(errors="replace"), client=host.decode(errors="replace"),
            by=f"session {by.decode()}",
        )  # fmt: skip
    for found in _STOPPED.finditer(data):
        yield found[1].decode(), Logged(at=None, what=ENDED, shutdown=True)


async def _placed(link: Link, found: list[tuple[str, Logged]]) -> list[Logged]:
    """With their times: those of the server's own zone only the server can place."""
    if not found:
        return []
    try:
        texts = json.dumps(sorted({at for at, _ in found}))
        rows = await link.fetch("local_times", "the server's time zone", texts)
    except Unreachable:
        rows = []
    times = {row["local"]: float(row["epoch"]) for row in rows if row["epoch"] is not None}
    return [_at(line, times.get(at)) for at, line in found]


def _at(line: Logged, epoch: float | None) -> Logged:
    return line if epoch is None else msgspec.structs.replace(line, at=datetime.fromtimestamp(epoch, UTC))
