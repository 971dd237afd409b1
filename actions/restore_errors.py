"""What pg_restore and psql complain of: of which object, and whether it is the backup, the engine or nothing.

No message is kept as it is where it may hold a value of a row: what a server quotes at its end is cut off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from actions.words import counted
from console.model.drills import Area, Check, Outcome

MOST = 200  # that are named; the others are counted


class Cause(StrEnum):
    BACKUP = "backup"
    ENGINE = "engine"  # these programs cannot do it; nothing is said of the backup
    DISK = "disk"  # nor is it then
    ROLE = "role"  # a role that the backup does not bring
    FENCE = "fence"  # it asks another server, which a drill keeps it from
    NOTHING = "nothing"  # known to be harmless


class Fault(NamedTuple):
    cause: Cause
    subject: str
    why: str

    @property
    def words(self) -> str:
        return f"{self.subject}: {self.why}" if self.subject else self.why


# The first that fits. Messages are those of lc_messages=C.
_CAUSES = tuple(
    (cause, re.compile(pattern, re.IGNORECASE))
    for cause, pattern in (
        (Cause.NOTHING, r'^(?:database|role|schema|extension) "[^"]*" already exists'),
        (Cause.NOTHING, r"^unrecognized configuration parameter"),
        (Cause.NOTHING, r"^invalid command \\(?:un)?restrict"),
        (Cause.NOTHING, r"^current user cannot be dropped"),
        (Cause.ENGINE, r"extension .* is not available|could not open extension control file"),
        (Cause.ENGINE, r'^could not access file "'),
        (Cause.ENGINE, r"could not (?:access|load library|open) .*(?:\$libdir|\.so)|could not load library"),
        (Cause.ENGINE, r"ICU is not supported|not supported (?:by|in) this build|unsupported XML feature"),
        (Cause.ENGINE, r"compression method .* (?:not supported|unsupported)"),
        (Cause.ENGINE, r"does not support compression|could not initialize compression library"),
        (Cause.ENGINE, r"invalid (?:\w+ )?locale (?:name|settings)|could not create locale"),
        (Cause.ENGINE, r"collation .* for encoding .* does not exist|has no actual version|version mismatch"),
        (Cause.ENGINE, r"unsupported version \(.*\) in file header"),
        (Cause.DISK, r"could not (?:extend|write to) file|no space left on device|disk quota exceeded"),
        (Cause.ENGINE, r"^out of memory|cannot allocate memory|could not fork"),
        (Cause.FENCE, r"^could not (?:establish connection$|connect to server \")"),
        (Cause.ROLE, r'^role "[^"]*" does not exist'),
    )
)
_VALUE = re.compile(r'(?::\s*|=\s*)(?:"|\().*$')  # invalid input syntax for type integer: "…"
_ENTRY = re.compile(r"from TOC entry (\d+); \d+ \d+ (.+)$")
_ERROR = re.compile(r"(?:pg_restore|psql|pg_dumpall): (?:error|fatal): (.*)$")
_LEVEL = re.compile(r"(?:ERROR|FATAL|PANIC):\s+(.*)$")
_IGNORED = re.compile(r"errors ignored on restore: (\d+)")
_COPY = re.compile(r'COPY failed for table "([^"]*)"')


class Listener:
    """Hears the lines of stderr, one by one."""

    def __init__(self, labels: Mapping[int, str] | None = None) -> None:
        """`labels`: what the items of the table of contents are, by their numbers."""
        self._labels = labels or {}
        self.faults: list[Fault] = []
        self.fatal = ""
        self.ignored = 0
        self._subject = ""

    def __call__(self, line: str) -> None:
        entry = _ENTRY.search(line)
        if entry is not None:
            self._subject = self._labels.get(int(entry[1])) or _subject(entry[2])
            return
        counted = _IGNORED.search(line)
        if counted is not None:
            self.ignored = int(counted[1])
            return
        error = _ERROR.search(line) or _LEVEL.search(line)
        if error is not None:
            self._add(error[1])

    def _add(self, text: str) -> None:
        level = _LEVEL.search(text)
        copy = _COPY.search(text)
        subject = f"table data {copy[1]}" if copy and not self._subject else self._subject
        if level is None:
            self.fatal, subject = _safe(text), ""  # it is about the archive, not about an item
        message = level[1] if level else text
        cause = _cause(message)
        if cause is Cause.ENGINE and subject.startswith("database "):
            cause = Cause.NOTHING  # it is made before pg_restore is called, with another locale if need be
        self.faults.append(Fault(cause, subject, _safe(message)))

    def of(self, *causes: Cause) -> list[Fault]:
        return [one for one in self.faults if one.cause in causes]

    @property
    def untold(self) -> int:
        """Errors that were counted without a word of any. Where there are words, the counts differ by design:
        with several workers it is that of items, and of some twice.
        """
        return 0 if self.faults else self.ignored


class Script(Listener):
    """Of psql: what it stands at is known by the statement it repeats after an error, of which the first
    words are kept.
    """

    def __call__(self, line: str) -> None:
        statement = line.partition("STATEMENT:  ")[2]
        if statement and self.faults and not self.faults[-1].subject:
            self.faults[-1] = self.faults[-1]._replace(subject=_beginning(statement))
            return
        if _noise(line):
            return
        super().__call__(line)


def _noise(line: str) -> bool:
    """After a COPY whose table is not there, its data are taken for commands."""
    return "invalid command \\" in line and "restrict" not in line


_BEGINNING = re.compile(
    r"((?:CREATE|ALTER|DROP|COMMENT ON|COPY|GRANT|REVOKE|INSERT INTO|REFRESH|SET|SELECT pg_catalog\.setval)\b"
    r"[^('=;]{0,80})",
    re.IGNORECASE,
)


def _beginning(statement: str) -> str:
    found = _BEGINNING.match(statement)
    return " ".join(found[1].split()) if found else "a statement"


def _subject(words: str) -> str:
    """`TABLE DATA t postgres` -> `table data t`: the owner is its last word."""
    name = words.rsplit(" ", 1)[0] if " " in words else words
    kinds = re.match(r"((?:[A-Z]{2,} ?)+)(.*)$", name)
    return f"{kinds[1].strip().lower()} {kinds[2]}".strip() if kinds else name


def of_this_machine(message: str) -> bool:
    """Whether it tells of the disk or the programs here, and nothing of the backup."""
    return _cause(message) in (Cause.ENGINE, Cause.DISK)


def _cause(message: str) -> Cause:
    return next((cause for cause, pattern in _CAUSES if pattern.search(message)), Cause.BACKUP)


def _safe(message: str) -> str:
    """Without what may be a value; names of objects, which come before a verb, stay."""
    return _VALUE.sub("", message)[:200]


# ---- checks --------------------------------------------------------------------------------------


def checks(heard: Listener, tool: str, seconds: float) -> list[Check]:
    """One for each cause; what only follows from something that the engine lacks is not the backup's."""
    lacks, full = heard.of(Cause.ENGINE), heard.of(Cause.DISK)
    bad = heard.of(Cause.BACKUP)
    follow = [one for one in bad if full or (lacks and "does not exist" in one.why)]
    bad = [one for one in bad if one not in follow]
    found = []
    if lacks or full:
        what = "the disk is full" if full else "the engine lacks what the backup needs"
        first = _first([*full, *lacks])
        found.append(_check(Outcome.BROKEN, "engine and disk", [*full, *lacks, *follow], f"{what}: {first}"))
    roles = heard.of(Cause.ROLE)
    if roles:
        missing = sorted({one.why.split('"')[1] for one in roles if '"' in one.why})
        words = f"owners and grants were lost: no globals of pg_dumpall bring the roles {', '.join(missing)}"
        found.append(_check(Outcome.FAILED, "roles", roles, words))
    asking = heard.of(Cause.FENCE)
    if asking:
        words = f"not restored, as it asks another server, and a drill reaches none: {_first(asking)}"
        found.append(_check(Outcome.SKIPPED, "data of other servers", asking, words))
    said = _said(f"restore by {tool}", bad, heard.untold, proved=not (lacks or full))
    return [msgspec.structs.replace(said, seconds=seconds), *found]


def _said(name: str, bad: Sequence[Fault], untold: int, *, proved: bool) -> Check:
    if bad or untold:
        told = (
            f"{counted(len(bad), 'error')}: {_first(bad)}"
            if bad
            else f"{untold} errors, of which it says nothing"
        )
        return _check(Outcome.FAILED, name, bad, told)
    if not proved:
        # Nothing is proved by the absence of other errors.
        return _check(Outcome.SKIPPED, name, (), "not told, as it did not come to its end")
    return _check(Outcome.PASSED, name, (), "no error")


def _first(faults: Sequence[Fault]) -> str:
    return faults[0].words if faults else ""


def _check(outcome: Outcome, name: str, faults: Sequence[Fault], detail: str) -> Check:
    words = list(dict.fromkeys(one.words for one in faults))
    items = (*words[:MOST], *([f"and {len(words) - MOST} more"] if len(words) > MOST else []))
    return Check(area=Area.RECOVERY, name=name, outcome=outcome, detail=detail, items=items)
