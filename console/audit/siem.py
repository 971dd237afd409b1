"""The ledger for a log collector: one line a row, as JSON Lines or in the Common Event Format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

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
_SHOWN: Final = 1000


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
    name = " ".join(str(one) for one in (entry.kind, body.get("action")) if one)
    head = ("CEF:0", "dbdeck", "dbdeck", __version__, entry.kind, name, str(severity(entry.kind, body)))
    extension = " ".join(f"{key}={_value(value)}" for key, value in _extension(entry, body).items())
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
        "src": entry.peer if _is_address(entry.peer) else "",
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
    text = "; ".join(map(str, several)) if isinstance(several, list) else str(body.get("statement") or "")
    return text[:_SHOWN]


def _is_address(peer: str) -> bool:
    return peer.replace(".", "").isdigit() or ":" in peer


def _header(text: str) -> str:
    return _printed(" ".join(text.split())).replace("\\", "\\\\").replace("|", "\\|")


def _value(value: object) -> str:
    lines = str(value).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\\n".join(_printed(line).replace("\\", "\\\\").replace("=", "\\=") for line in lines)


def _printed(text: str) -> str:
    """What does not print ends some collectors' lines, a terminal obeys it, and CEF has no word for it."""
    return text if text.isprintable() else one_line(text)


FORMATS: Final[Mapping[str, Callable[[Entry], str]]] = {"json": json_line, "cef": cef_line}
