"""What a server shows at two times, and which of the differences somebody declared. Pure.

A *look* holds marks: kind of object -> its name -> its mark. A mark says what it is in one character:
`=` words in clear, which hold no secret; `#` a fingerprint of a definition; `*` an HMAC with the key of this
installation; `?` there, and what it is could not be seen. What was done by dbdeck is a *deed*: an intent with
the statements that its rows say were sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

Marks = Mapping[str, Mapping[str, str]]
CLEAR, DEFINITION, KEYED, HIDDEN = "=", "#", "*", "?"

NOT_REPLICATED = ("server setting", "persisted setting", "slot", "prepared transaction")
LOG = "log"  # in `unseen`: the server's log was not read
ENDED, CANCELLED, STATEMENT = "ended session", "cancelled statement", "audited statement"


class LogPlace(msgspec.Struct, frozen=True, kw_only=True):
    """How far a log was read: `offset` bytes of the file at `path`, when its server's clock was `read_at`."""

    path: str = ""
    offset: int = 0
    read_at: datetime | None = None


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a server showed. `taken_at` is its clock, as the look began.

    `key` is the id of the key of the keyed marks. Kinds in `unseen` were not looked at, each with why, which
    is the GRANT where one would help; of those in `partial` some objects are hidden.
    """

    taken_at: datetime
    server: str
    flavor: str
    started_at: datetime
    replica: bool = False
    key: str = ""
    marks: Marks = {}
    unseen: dict[str, str] = {}
    partial: dict[str, str] = {}
    log: LogPlace = LogPlace()


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a server's log. `what` is ENDED, CANCELLED or STATEMENT; `shutdown`: the server was told to
    stop. `session` None: the log does not tell it. `command`, `object` and `statement` are of an audited one.
    """

    at: datetime | None
    what: str
    session: int | None = None
    user: str = ""
    database: str = ""
    application: str = ""
    client: str = ""
    by: str = ""  # who did it, where the log tells
    reason: str = ""  # what the log says of a cancelled statement, where that is not a request
    command: str = ""
    object: str = ""
    statement: str = ""
    shutdown: bool = False


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A look, with what is only known now: lines of the log, who changed a setting (by `kind` and name), and
    which settings have the value of the server's start.
    """

    look: Look
    lines: tuple[Logged, ...] = ()
    by: Mapping[tuple[str, str], tuple[str, datetime | None]] = {}
    from_start: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """One action of the ledger that was at work between two looks; times are the ledger's clock.

    `status` None: it has no outcome. `statements` are those that its steps say were sent. `fingerprints` are
    of the passwords that it says it left, made with the key `key`; `value` is what it set a setting to.
    `here` False: on another server, of which this one may be a replica. `past`: it had ended when the look
    before began, and only what the log tells late can be its doing.
    """

    id: str
    action: str
    at: datetime
    ended_at: datetime | None = None
    status: str | None = None
    operator: str = ""
    statements: tuple[str, ...] = ()
    fingerprints: Mapping[str, str | None] = {}
    key: str = ""
    value: str | None = None
    here: bool = True
    past: bool = False

    @property
    def open(self) -> bool:
        return self.status in (None, "unknown")


class How(StrEnum):
    MADE = "made"
    DROPPED = "dropped"
    CHANGED = "changed"
    RAN = "ran"  # of a statement
    ENDED = "ended"  # of a session
    CANCELLED = "cancelled"
    STARTED = "started again"  # of the server


class Standing(StrEnum):
    DECLARED = "declared"
    UNDECLARED = "undeclared"
    UNCLEAR = "unclear"  # it may be somebody's doing or not: the server does not tell


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference. `before` and `after` are marks; `with_it` went the same way because of it."""

    kind: str
    name: str
    how: How
    before: str = ""
    after: str = ""
    with_it: tuple[str, ...] = ()


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One effect and what the ledger says of it. It happened at `at`, or else between `since` and `until`, by
    the server's clock. `action_id` and `action` are who declared it; `others` so many more might have.
    `open`: the end of that action is not known. `who` is what the server tells.
    """

    standing: Standing
    kind: str
    name: str
    how: How
    since: datetime
    until: datetime
    at: datetime | None = None
    before: str = ""
    after: str = ""
    who: str = ""
    action_id: str = ""
    action: str = ""
    open: bool = False
    others: int = 0
    with_it: tuple[str, ...] = ()
    why: str = ""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """`since` None: there was no earlier look, so nothing was compared. `notes` say what is not known."""

    target: str
    since: datetime | None
    until: datetime
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    unseen: Mapping[str, str] = {}

    def of(self, standing: Standing) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.standing is standing)


def plain(mark: str) -> str:
    """What may be shown of a mark: its words, or nothing."""
    return mark[1:] if mark.startswith(CLEAR) else ""
