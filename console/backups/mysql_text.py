"""What a file of mysqldump or mariadb-dump says of itself: its head, its sections and its last line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import msgspec

_HEAD = re.compile(rb"^-- (MySQL|MariaDB) dump ", re.MULTILINE)
_SERVER = re.compile(rb"^-- Server version\s+(\d+)\.(\d+)(?:\.(\d+))?(\S*)", re.MULTILINE)
_DATABASE = re.compile(rb"^-- Host: \S*\s+Database: *([^\r\n]*?) *\r?$", re.MULTILINE)
_POSITION = re.compile(
    rb"CHANGE (?:MASTER|REPLICATION SOURCE) TO (?:MASTER|SOURCE)_LOG_FILE='([^']+)', "
    rb"(?:MASTER|SOURCE)_LOG_POS=(\d+)"
)
_GTID = re.compile(rb"(?:gtid_slave_pos|GTID_PURGED)\s*=\s*(?:/\*!80000 '\+'\*/\s*)?'([^']*)'", re.IGNORECASE)
_CURRENT = re.compile(rb"-- Current Database: `((?:[^`]|``)+)`")
_SECTION = re.compile(
    rb"-- (?P<what>Table structure for table|Dumping data for table|Final view structure for view|"
    rb"Temporary (?:table|view) structure for view|Sequence structure for|Dumping routines for database|"
    rb"Dumping events for database) [`'](?P<name>.+)[`']\s*$"
)
_TRIGGER = re.compile(rb"/\*!50003 (?:CREATE\*/.*\bTRIGGER\b|TRIGGER\b)|CREATE .*\bTRIGGER\b", re.IGNORECASE)
_COMPLETED = re.compile(rb"-- Dump completed(?: on (\d{4}-\d\d-\d\d +\d{1,2}:\d\d:\d\d))?\s*$")
_SETS = (b"/*!40101 SET", b"/*M!999999", b"/*!40103 SET", b"/*!50503 SET")

HEAD_BYTES = 1 << 16
FLUSH = b"/*! FLUSH PRIVILEGES */"  # what --flush-privileges writes, in a line of its own


NO_ACCOUNTS = "no users and grants"


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """`flavor` is empty where comments were left out, and so nothing is told. `database` is the one whose
    name is not in the file's statements; `position` is (file, offset) in the binary log.
    """

    flavor: str = ""
    server: str = ""
    version: int | None = None
    database: str = ""
    position: tuple[str, int] | None = None
    gtid: str = ""


class Sections(msgspec.Struct, kw_only=True):
    """All that a dump holds by its comments, and whether its last line is there. Tables and views are named
    with their database, where the dump has several or names it.
    """

    databases: list[str] = []
    tables: list[str] = []
    data: list[str] = []
    views: list[str] = []
    finished_views: list[str] = []
    routines: bool = False
    events: bool = False
    triggers: int = 0
    accounts: bool = False
    flushes: bool = False  # it has the server read its accounts in the middle
    comments: bool = False
    completed: bool = False
    completed_on: str = ""
    position: tuple[str, int] | None = None
    gtid: str = ""
    current: str = ""  # the database that follows, while it is read
    bytes: int = 0
    lines: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What it certainly does not hold, whatever the server has."""
        if not self.comments:
            return ("made without comments: nobody can tell from it whether it is whole",)
        bare = sorted(one for one in set(self.tables) - set(self.data) if not one.startswith("mysql."))
        said = (
            (not self.routines, "no procedures and functions: made without --routines"),
            (not self.events, "no events: made without --events"),
            (not self.triggers, "no trigger is in it"),
            (not self.accounts, NO_ACCOUNTS),
            (bool(bare), f"no rows of {', '.join(bare[:10])}{' …' if len(bare) > 10 else ''}"),
        )
        return tuple(text for holds, text in said if holds)


def read_head(text: bytes) -> Head | None:
    """None for what is no dump. `text` is the beginning of the file."""
    if _HEAD.search(text) is None:
        return Head() if text.lstrip().startswith(_SETS) else None
    server = _SERVER.search(text)
    database = _DATABASE.search(text)
    maker = _HEAD.search(text)
    # MySQL's mysqldump also dumps MariaDB, and the other way round: the server's own word counts.
    mariadb = b"mariadb" in (server[4].lower() if server else b"") or (
        server is None and maker is not None and maker[1] == b"MariaDB"
    )
    alone = database is not None and not _CURRENT.search(text)
    return Head(
        flavor="mariadb" if mariadb else "mysql",
        server=_server(server, mariadb=mariadb),
        version=int(server[1]) * 100 + int(server[2]) if server else None,
        database=database[1].decode("utf-8", "replace") if database is not None and alone else "",
        position=position_in(text),
        gtid=gtid_in(text),
    )


def _server(found: re.Match[bytes] | None, *, mariadb: bool) -> str:
    name = "MariaDB" if mariadb else "MySQL"
    if found is None:
        return name
    number = b".".join(part for part in found.groups()[:3] if part is not None)
    return f"{name} {number.decode()}"


def position_in(text: bytes) -> tuple[str, int] | None:
    found = _POSITION.search(text)
    return (found[1].decode("utf-8", "replace"), int(found[2])) if found else None


def gtid_in(text: bytes) -> str:
    found = _GTID.search(text)
    return "".join(found[1].decode("ascii", "replace").split()) if found else ""


def _unseen(_: int) -> None:
    """Nobody looks."""


def scan(lines: Iterable[bytes], seen: Callable[[int], None] = _unseen) -> Sections:
    """Read a dump to its end. `seen` hears how many bytes of it were read, now and then."""
    found = Sections()
    last, told = b"", 0
    for line in lines:
        found.bytes += len(line)
        found.lines += 1
        if line.startswith(
            (b"-- ", b"/*!50003 ", b"CREATE ", b"SET @@GLOBAL.GTID", b"GRANT ", b"CHANGE ", FLUSH)
        ):
            _note(line, found)
        if line.strip():
            last = line
        if found.bytes - told >= 1 << 24:
            told = found.bytes
            seen(told)
    ended = _COMPLETED.match(last)
    found.completed = ended is not None
    found.completed_on = ended[1].decode() if ended and ended[1] else ""
    found.comments = found.comments or found.completed
    return found


_TELLING = (b"-- ", b"/*!50003 ", b"CREATE ", b"SET @@GLOBAL.GTID", b"GRANT ", b"CHANGE ", FLUSH)


def _note(line: bytes, found: Sections) -> None:
    section = _SECTION.match(line) if line.startswith(b"-- ") else None
    if section is not None:
        _enter(section["what"], section["name"].decode("utf-8", "replace"), found)
    elif line.startswith(b"-- "):
        _remark(line, found)
    elif line.startswith((b"CREATE USER", b"GRANT ")):
        found.accounts = True
    elif line.startswith(FLUSH):
        found.flushes = True
    elif _TRIGGER.match(line):
        found.triggers += 1
    elif line.startswith((b"SET @@GLOBAL.GTID", b"CHANGE ")):
        found.gtid = found.gtid or gtid_in(line)
        found.position = found.position or position_in(line)


def _remark(line: bytes, found: Sections) -> None:
    found.comments = found.comments or bool(_HEAD.match(line))
    current = _CURRENT.match(line)
    if current is not None:
        name = current[1].decode("utf-8", "replace").replace("``", "`")
        found.current = name
        if name not in found.databases:
            found.databases.append(name)
        found.accounts = found.accounts or name == "mysql"
    found.position = found.position or position_in(line)
    found.gtid = found.gtid or gtid_in(line)


def _enter(what: bytes, name: str, found: Sections) -> None:
    if what == b"Dumping routines for database":
        found.routines = True
    elif what == b"Dumping events for database":
        found.events = True
    else:
        named = f"{found.current}.{name}" if found.current else name
        kept = {b"Table": found.tables, b"Dumping": found.data, b"Final": found.finished_views}
        kept.get(what.partition(b" ")[0], found.views if what.startswith(b"Temporary") else []).append(named)


def subject_at(lines: Iterable[bytes], number: int) -> str:
    """What the statement at this line (the first is 1) is about, such as `Final view structure for view
    daily`; empty where nothing tells. Never a row.
    """
    subject = ""
    for at, line in enumerate(lines, 1):
        if at > number:
            break
        section = _SECTION.match(line) if line.startswith(b"-- ") else None
        if section is not None:
            what, name = section["what"].decode(), section["name"].decode("utf-8", "replace")
            subject = f"{what[0].lower()}{what[1:]} {name}"
        else:
            subject = _made_by(line) or subject
    return subject


def _made_by(line: bytes) -> str:
    """What one line makes or grants; empty where it does neither."""
    if line.startswith((b"CREATE ", b"/*!50003 CREATE", b"/*!50106 CREATE")):
        made = _MADE.search(line)
        return f"{made[1].decode().lower()} {made[2].decode('utf-8', 'replace')}" if made else ""
    granted = _GRANTED.match(line)
    return f"grants of {granted[1].decode('utf-8', 'replace').replace('`', '')}" if granted else ""


_MADE = re.compile(
    rb"\b(PROCEDURE|FUNCTION|TRIGGER|EVENT|TABLE|USER|ROLE|DATABASE|SEQUENCE)\s+"
    rb"(?:/\*!32312 )?(?:IF NOT EXISTS(?:\*/)? )?`?([^`\s(;]+)`?",
    re.IGNORECASE,
)
_GRANTED = re.compile(rb"GRANT .* TO (`(?:[^`]|``)*`(?:@`[^`]*`)?)")
