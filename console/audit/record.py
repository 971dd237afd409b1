"""What the ledger holds: kinds of rows, their exact body text, and the rows themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

import msgspec

from console.errors import Refused
from console.secrets import Secret

_HASHES: Final = ("body_hash", "prev", "link", "witness", "seal")
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Kind(StrEnum):
    OPEN = "open"
    INTENT = "intent"
    STEP = "step"
    OUTCOME = "outcome"
    REFUSED = "refused"
    APPROVAL = "approval"
    RESOLVED = "resolved"
    BREAKGLASS = "breakglass"
    CHECKPOINT = "checkpoint"
    REDACTION = "redaction"
    NOTE = "note"
    RUN = "run"  # an event of a runbook's run, whose id is the row's action_id
    CLOSE = "close"


# Texts that may be taken away; by the others (what was broken, approved, signed) something is proved.
REDACTABLE: Final = (Kind.INTENT, Kind.STEP, Kind.OUTCOME, Kind.REFUSED, Kind.RESOLVED, Kind.RUN, Kind.NOTE)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row as its writer makes it; `link` is computable without a server (chain.link).

    `kind` is text because a row that was tampered with, or made by a newer dbdeck, must still load.
    """

    writer: UUID
    seq: int
    kind: str
    action_id: UUID
    parent: UUID | None
    idempotency_key: str | None
    body: str | None  # None only after a recorded redaction
    body_hash: bytes
    prev: bytes
    link: bytes


class Entry(Row, frozen=True, kw_only=True):
    """A row as read back, with what the server added; `at` is the server's clock, UTC, in µs."""

    id: int
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    witness: bytes
    db_user: str
    peer: str
    seal: bytes


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Proof that a row was made. `recorded` False: it waits in the journal, the table has it not."""

    writer: UUID
    seq: int
    link: bytes
    recorded: bool
    id: int | None = None
    at: datetime | None = None
    seal: bytes | None = None


class OpenIntent(msgspec.Struct, frozen=True, kw_only=True):
    """An intent whose end is not known: no outcome, or the outcome `unknown`, and not resolved.

    `alive`: its writer still runs, so an intent without an outcome is merely at work. `unmerged`: it stands
    in a journal of this machine only, and nothing can be settled before that is merged.
    """

    action_id: UUID
    at: datetime
    writer: UUID
    body: dict[str, object]
    outcome: str | None
    alive: bool
    unmerged: bool = False


class AlreadyRecorded(Refused):
    """A second intent or outcome of one action, or an idempotency key used before; nothing is made.

    `action_id` is the action that was recorded first: answer with its outcome.
    """

    kind = "duplicate"

    def __init__(self, what: str, action_id: UUID) -> None:
        super().__init__(f"the ledger already has {what} (action {action_id}); nothing was recorded")
        self.action_id = action_id


def canonical_json(body: Mapping[str, object]) -> str:
    """The one text of a body: keys sorted by code point, no white space, UTF-8, times UTC with µs.

    Raises TypeError for a Secret, a naive datetime or any other unknown type, ValueError for NaN
    and infinities.
    """
    _check_keys(body)
    try:
        text = json.dumps(
            body, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True, default=_plain
        )
    except ValueError:
        raise ValueError("NaN and infinities cannot be recorded") from None
    try:
        text.encode()
    except UnicodeEncodeError:
        # A lone surrogate (bytes the server sent in no known encoding) has no UTF-8 of its own.
        return _LONE_SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return text


def _check_keys(value: object) -> None:
    """The encoder would take numbers for keys. Only what it does not hand to `_plain` is looked at here."""
    if isinstance(value, dict):
        for name, item in value.items():
            _key(name)
            if isinstance(item, _NESTS):
                _check_keys(item)
    elif isinstance(value, _NESTS):
        for item in value:
            if isinstance(item, _NESTS):
                _check_keys(item)


_NESTS: Final = (dict, list, tuple)


def _plain(value: object) -> object:
    """What is no JSON by itself."""
    match value:
        case Mapping():
            plain = dict(value)
            _check_keys(plain)
            return plain
        case datetime():
            return iso(value)
        case Decimal() | UUID():
            return str(value)
        case Secret():
            raise TypeError("a Secret cannot be recorded")
        case _:
            raise TypeError(f"a {type(value).__name__} cannot be recorded")


def _key(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the keys of a record are text, not {type(name).__name__}")
    return name


def iso(at: datetime) -> str:
    """ISO-8601 in UTC, always six decimals and Z. Raises TypeError for a naive datetime."""
    if at.tzinfo is None:
        raise TypeError("a datetime without a time zone cannot be recorded")
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_iso(text: str) -> datetime:
    """The inverse of `iso`. Raises ValueError."""
    return datetime.fromisoformat(text)


def encode(row: Row) -> dict[str, object]:
    """A row or an entry as plain values for one line of JSON: hashes as hex, the body as text."""
    plain = {name: getattr(row, name) for name in row.__struct_fields__}
    return {name: _hex(value) for name, value in plain.items()}


def decode_row(fields: Mapping[str, object]) -> Row:
    """The inverse of `encode`. Raises ValueError or msgspec.ValidationError for anything else."""
    return msgspec.convert(_unhex(fields), Row)


def decode_entry(fields: Mapping[str, object]) -> Entry:
    """The inverse of `encode`. Raises ValueError or msgspec.ValidationError for anything else."""
    return msgspec.convert(_unhex(fields), Entry)


def _hex(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value


def _unhex(fields: Mapping[str, object]) -> dict[str, object]:
    hashes = {name: bytes.fromhex(str(fields[name])) for name in _HASHES if name in fields}
    return {**fields, **hashes}
