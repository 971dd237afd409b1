"""Binary logs replayed on a restored server, from where its backup ends to a time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from actions.mysql_fence import Scratch, checked, databases_known, runnable, told
from actions.mysql_load import client, refusal, refuse_ground, through
from actions.restoring import Restored, Site
from console.backups import binlog
from console.backups.mysql_programs import find
from console.dispatch.enclosure import Enclosure, Work
from console.model.drills import Area, Check, Outcome, PhaseName

_NAME = "binary logs are replayed"
_KEPT = 1 << 16  # bytes of a line that is not at its end yet; longer ones are rows
# What stands above a statement or a commit: #251126 15:30:26 server id 1 … Xid = 31
_APPLIED = re.compile(
    rb"^#(\d{6}) +(\d{1,2}):(\d\d):(\d\d) server id \d+ .*\t(?:Xid =|Query\t)", re.MULTILINE
)
_AT = re.compile(rb"^# at (\d+)\s*$", re.MULTILINE)


class Start(NamedTuple):
    """Where a backup ends in the binary log. Empty and 4: from the first log there is, less the GTIDs."""

    file: str = ""
    offset: int = 4
    gtid: str = ""


class Replayed(NamedTuple):
    """`newest`: the last transaction that was replayed; None where there was none to replay."""

    newest: datetime | None


async def replayed(
    site: Site, enclosure: Enclosure, scratch: Scratch, start: Start, *, whole_cluster: bool
) -> Restored | None:
    """What a restore ends with: the server, after what the binary logs hold up to `site.to_time`, if any is
    given. None as of `replay`.
    """
    newest = None
    if site.to_time is not None:
        done = await replay(site, enclosure, scratch, start)
        if done is None:
            return None
        newest = done.newest
    rows = await told(enclosure, scratch.target, "SHOW DATABASES")
    return Restored(
        target=scratch.target,
        databases=databases_known(rows),
        newest=newest,
        newest_from="the binary logs" if newest else "",
        whole_cluster=whole_cluster,
    )


async def replay(site: Site, enclosure: Enclosure, scratch: Scratch, start: Start) -> Replayed | None:
    """To `site.to_time`; events of that second and later are left out. None where that is not possible: a
    failed or broken check says why.
    """
    until = site.to_time
    logs = await _logs(site, start)
    tool = await find("binlog", scratch.tools.server.flavor, site.rule.binaries)
    if tool is None and logs:
        site.checks.append(checked(_NAME, Outcome.BROKEN, "there is no mysqlbinlog or mariadb-binlog here"))
    if until is None or logs is None or tool is None:
        return None
    site.tools[tool.path.name] = tool.words
    async with site.phase(PhaseName.RECOVER, sum(one.stat().st_size for one in logs)):
        argv = [runnable(enclosure, tool), *_argv(scratch.tools.server.flavor, start, until)] + [
            str(one) for one in logs
        ]
        heard = _Heard(site, [one.stat().st_size for one in logs])
        why = await _piped(site, enclosure, scratch, argv, heard)
    if why:
        after = f", after what was done at {heard.newest.isoformat()}" if heard.newest else ""
        site.checks.append(checked(_NAME, Outcome.FAILED, f"{why}{after}", Area.RECOVERY))
        return None
    site.checks.append(checked(_NAME, Outcome.PASSED, _said(logs, until, heard.newest), Area.RECOVERY))
    return Replayed(heard.newest)


def _said(logs: Sequence[Path], until: datetime, newest: datetime | None) -> str:
    last = (
        f"the last transaction is of {newest.isoformat()}" if newest else "none has a transaction before it"
    )
    return f"{logs[0].name} to {logs[-1].name}, as of {until.astimezone(UTC).isoformat()}; {last}"


async def _logs(site: Site, start: Start) -> list[Path] | None:
    """The logs to replay, or None with the check that says what is missing."""
    failed: Callable[[str], Check] = lambda why: checked(_NAME, Outcome.FAILED, why, Area.RECOVERY)  # noqa: E731
    if site.source.archive is None or site.to_time is None:
        why = "the source has no `archive` of binary logs in the config"
        site.checks.append(checked(_NAME, Outcome.BROKEN, why))
        return None
    if not start.file and not start.gtid:
        why = "the backup does not tell its position in the binary log: take it with --master-data=2"
        site.checks.append(failed(why))
        return None
    folder = _folder(site.source.archive)
    try:
        found = await asyncio.to_thread(binlog.chain, folder, start.file)
        last = await asyncio.to_thread(binlog.look, found.logs[-1]) if found.logs else None
    except OSError as error:
        site.checks.append(checked(_NAME, Outcome.BROKEN, f"{folder} cannot be read: {error.strerror}"))
        return None
    if found.missing or last is None:
        names = found.missing or ("every binary log",)
        site.checks.append(
            Check(area=Area.RECOVERY, name=_NAME, outcome=Outcome.FAILED, items=names,
                  detail=f"{folder} lacks {', '.join(names[:10])}: what follows cannot be replayed")
        )  # fmt: skip
        return None
    if last.last is not None and last.last < site.to_time:
        ends = last.last.isoformat()
        site.checks.append(failed(f"the binary logs end at {ends}, before {site.to_time.isoformat()}"))
        return None
    return list(found.logs)


def _folder(path: str) -> Path:
    return Path(path).expanduser()


def files_in(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.is_file())


def _argv(flavor: str, start: Start, until: datetime) -> list[str]:
    """--stop-datetime is a local time of whoever runs it, which is UTC in here (TZ): research 3.11 of drills.

    Without its GTIDs a MySQL log can be replayed where gtid_mode is off, as it is on the copy.
    """
    argv = ["--no-defaults", f"--stop-datetime={until.astimezone(UTC):%Y-%m-%d %H:%M:%S}"]
    if flavor == "mysql":
        argv.append("--skip-gtids")
    if start.file:
        return [*argv, f"--start-position={start.offset}"]
    if flavor == "mysql":
        return [*argv, f"--exclude-gtids={start.gtid}"]
    return [*argv, f"--start-position={start.gtid}"]


class _Heard:
    """What passes from the logs to the server: how far it is, and of when the last transaction is."""

    def __init__(self, site: Site, sizes: Sequence[int]) -> None:
        self._site = site
        self._sizes = sizes
        self._file = 0
        self._at = 0
        self._rest = b""
        self.newest: datetime | None = None

    def block(self, data: bytes) -> bytes:
        whole, _, rest = (self._rest + data).rpartition(b"\n")
        self._rest = rest[:_KEPT]
        for found in _AT.finditer(whole):
            at = int(found[1])
            if at < self._at and self._file + 1 < len(self._sizes):
                self._file += 1
            self._at = at
        applied = list(_APPLIED.finditer(whole))
        if applied:
            self.newest = _when(applied[-1])
        done = sum(self._sizes[: self._file]) + self._at
        self._site.advance(PhaseName.RECOVER, done, sum(self._sizes), "bytes")
        return data

    def end(self) -> bytes:
        return b""


def _when(found: re.Match[bytes]) -> datetime:
    day, hour, minute, second = (part.decode() for part in found.groups())
    told = datetime.strptime(f"{day} {int(hour):02d}:{minute}:{second}", "%y%m%d %H:%M:%S")  # noqa: DTZ007
    return told.replace(tzinfo=UTC)


async def _piped(site: Site, enclosure: Enclosure, scratch: Scratch, argv: list[str], heard: _Heard) -> str:
    """Why it was not replayed to its end; empty where it was."""
    reader = Work(argv, "read the binary logs", reads=True)
    loader = Work(client(enclosure, scratch), "replay the binary logs")
    loaded, read = await site.unless_stopped(through(enclosure, reader, loader, heard))
    if loaded.code != 0:
        refuse_ground(enclosure, loaded)
        found = refusal(loaded.complaint)
        words = f"{found.words} ({found.code})" if found else ""
        return f"the server refuses a statement: {words}" if words else f"the client {loaded.why}"
    return "" if read.code == 0 else f"the binary logs cannot be read: {read.why}"
