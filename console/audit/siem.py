"""The ledger for a log collector: one line a row, as JSON Lines or in the Common Event Format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final
from unicodedata import category

from console import __version__
from console.audit.chain import microseconds
from console.audit.record import Entry, Kind, canonical_json, iso
from console.audit.verify import fields
from console.model.one_line import one_line

# CEF's severity, 0 to 10 (ArcSight Common Event Format, "Header"): by kind, then by risk and status.
_KINDS: Final[Mapping[str, int]] = {
    Kind.REFUSED: 6, Kind.BREAKGLASS: 9, Kind.REDACTION: 7, Kind.APPROVAL: 4, Kind.RESOLVED: 5,
    Kind.INTENT: 4,
}  # fmt: skip
_RISKS: Final = {"low": 3, "medium": 5, "high": 7}
_STATUS: Final = {"failed": 6, "partial": 7, "unknown": 8}
# The longest that CEF's dictionary lets a value be ("Extension dictionary"); labels and numbers are ours.
_LENGTHS: Final[Mapping[str, int]] = {
    "suser": 1023, "duser": 1023, "shost": 1023, "dhost": 1023, "outcome": 63, "reason": 1023, "cs3": 4000,
    "msg": 1023,
}  # fmt: skip
_NAME: Final = 512


def json_line(entry: Entry) -> str:
    """Flat fields, the body as an object; for `audit verify` take the plain export instead."""
    return one_line(canonical_json(_flat(entry)))


def _flat(entry: Entry) -> dict[str, object]:
    return {
        "@timestamp": iso(entry.at),
        "id": entry.id,
        "writer": entry.writer,
        "seq": entry.seq,
        "kind": entry.kind,
        "action_id": entry.action_id,
        "parent": entry.parent,
        "db_user": entry.db_user,
        "peer": entry.peer,
        "seal": entry.seal.hex(),
        "redacted": entry.body is None,
        "body": fields(entry.body),
    }


def cef_line(entry: Entry) -> str:
    """CEF:0|vendor|product|version|class|name|severity|extension; escaped: no value can end a field."""
    body = fields(entry.body)
    name = _cut(" ".join(str(one) for one in (entry.kind, body.get("action")) if one), _NAME)
    head = ("CEF:0", "dbdeck", "dbdeck", __version__, entry.kind, name, str(severity(entry.kind, body)))
    extension = " ".join(
        f"{key}={_value(_cut(str(value), _LENGTHS.get(key)))}"
        for key, value in _extension(entry, body).items()
    )
    return "|".join((head[0], *(_header(one) for one in head[1:]), extension))


def severity(kind: str, body: Mapping[str, Any]) -> int:
    """0 to 10."""
    found = _KINDS.get(kind, 2)
    found = max(found, _RISKS.get(str(body.get("risk")), 0)) if kind == Kind.INTENT else found
    return max(found, _STATUS.get(str(body.get("status")), 0))


def _extension(entry: Entry, body: Mapping[str, Any]) -> dict[str, object]:
    """Names of CEF's dictionary; what is empty is left out."""
    found = {
        "rt": microseconds(entry.at) // 1000,
        "externalId": entry.id,
        "suser": body.get("operator") or entry.db_user,
        "duser": entry.db_user,
        **_source(entry.peer),
        "dhost": body.get("target"),
        "outcome": body.get("status"),
        "reason": body.get("reason"),
        "cs1Label": "action_id", "cs1": entry.action_id,
        "cs2Label": "seal", "cs2": entry.seal.hex(),
        "cs3Label": "ticket" if body.get("ticket") else "", "cs3": body.get("ticket"),
        "msg": _said(body),
    }  # fmt: skip
    return {key: value for key, value in found.items() if value not in (None, "")}


def _said(body: Mapping[str, Any]) -> str:
    several = body.get("statements")
    return "; ".join(map(str, several)) if isinstance(several, list) else str(body.get("statement") or "")


def _source(peer: str) -> dict[str, object]:
    """Where it came from: CEF has a field for each kind of address, and one for names."""
    try:
        found = ip_address(peer)
    except ValueError:
        return {} if peer in ("", "local") else {"shost": peer}
    if found.version == 4:
        return {"src": peer}
    return {"c6a2Label": "Source IPv6 Address", "c6a2": peer}


def _cut(text: str, length: int | None) -> str:
    return text if length is None or len(text) <= length else f"{text[: length - 1]}…"


def _header(text: str) -> str:
    """Of one line; a backslash and a pipe get a backslash before them, and nothing else does."""
    return _printed(" ".join(text.split())).replace("\\", "\\\\").replace("|", "\\|")


def _value(text: str) -> str:
    """A backslash and an equal sign get a backslash before them; line ends are told as they are."""
    lines = (_returned(line) for line in text.split("\n"))
    return "\\n".join(lines)


def _returned(line: str) -> str:
    parts = (_printed(part).replace("\\", "\\\\").replace("=", "\\=") for part in line.split("\r"))
    return "\\r".join(parts)


def _printed(text: str) -> str:
    """What does not print ends some collectors' lines, a terminal obeys it, and CEF has no word for it: it is
    told as JSON would. A blank of another width is a blank still.
    """
    if text.isprintable():
        return text
    return "".join(char if category(char) == "Zs" else one_line(char) for char in text)


FORMATS: Final[Mapping[str, Callable[[Entry], str]]] = {"json": json_line, "cef": cef_line}
