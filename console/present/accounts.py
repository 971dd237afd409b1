"""Accounts as cells and as rows of a document. Nothing here has ever seen a verifier."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from console.model.account_findings import changed_outside
from console.model.accounts import (
    Account,
    Accounts,
    Dependent,
    Due,
    Gap,
    Logins,
    Power,
    drifted,
    label,
    overdue,
)
from console.model.drift import Drift
from console.model.indexes import Severity
from console.model.verifiers import VerifierKind
from console.present.table import Column, Line, Tone
from console.present.units import UNKNOWN, age, clean, count

COLUMNS = (
    Column(title="account", width=22),
    Column(title="login", width=7),
    Column(title="password", width=12),
    Column(title="age", width=7, align="right"),
    Column(title="due", width=8, drop=4),
    Column(title="sessions", width=8, align="right", drop=3),
    Column(title="older", width=5, align="right", drop=5),
    Column(title="TLS", width=7, drop=6),
    Column(title="used by", width=7, align="right", drop=7),
    Column(title="dangerous rights", width=16, grow=True),
)
DRIFT = Column(title="ours", width=7)
_DRIFT = 5  # its place: beside the age it speaks of
_KIND = {
    VerifierKind.SCRAM: "scram",
    VerifierKind.CACHING_SHA2: "caching_sha2",
    VerifierKind.SHA256: "sha256",
    VerifierKind.NATIVE: "native",
    VerifierKind.OLD: "old",
    VerifierKind.EMPTY: "none",
}
_WEAK = (VerifierKind.MD5, VerifierKind.NATIVE, VerifierKind.OLD)
_DUE = {Due.NO_RULE: "", Due.NO_PASSWORD: "", Due.EXCLUDED: "excluded", Due.UNKNOWN: UNKNOWN}


def name(one: Account) -> str:
    return clean(label(one.name, one.host), 200)


def columns(found: Accounts) -> tuple[Column, ...]:
    """With one for drift, where dbdeck has rotated any of these accounts."""
    return (*COLUMNS[:_DRIFT], DRIFT, *COLUMNS[_DRIFT:]) if _compared(found) else COLUMNS


def _compared(found: Accounts) -> bool:
    return any(one.drift.told for one in found.accounts)


def lines(found: Accounts) -> list[Line]:
    """Cells for `columns`."""
    compared = _compared(found)
    return [_line(one, compared=compared) for one in found.accounts]


def _line(one: Account, *, compared: bool) -> Line:
    return Line(
        key=label(one.name, one.host),
        cells=(
            name(one),
            login(one),
            kind(one),
            password_age(one),
            _DUE.get(one.due, one.due),
            *((drift(one),) if compared else ()),
            "" if one.role else sessions(one.logins),
            "" if one.role else older(one),
            tls(one.logins),
            str(len(one.dependents) or ""),
            rights(one),
        ),
        tone=tone(one),
    )


def login(one: Account) -> str:
    if one.role:
        return "group"
    if not one.may_login:
        return "locked"
    return "expired" if one.expired else "yes"


def _standing(one: Account) -> str:
    said = login(one)
    return "may log in" if said == "yes" else said


def kind(one: Account) -> str:
    """`none` lets anybody in on MySQL and MariaDB, and nobody by a password on PostgreSQL."""
    if one.role:
        return ""
    if one.kinds is None:
        return UNKNOWN
    words = [_KIND.get(found, str(found)) for found in one.kinds]
    if one.plugins and VerifierKind.EXTERNAL in one.kinds:
        words = [
            plugin if found is VerifierKind.EXTERNAL else word
            for found, word, plugin in zip(one.kinds, words, one.plugins, strict=False)
        ]
    return clean("+".join(words), 60)


def password_age(one: Account) -> str:
    """`>12d` where only a least age is known."""
    if one.role or one.external or one.no_password:
        return ""
    if one.age is None and one.age_at_least is not None:
        return f">{age(one.age_at_least)}"
    return age(one.age)


def drift(one: Account) -> str:
    """`same` as our rotation set it, or `changed`; empty where dbdeck never rotated it."""
    if one.drift.drift is Drift.UNKNOWN:
        return UNKNOWN if one.drift.told else ""
    return str(one.drift.drift)


def sessions(logins: Logins | None) -> str:
    if logins is None:
        return UNKNOWN
    return count(logins.total) if logins.total else ""


def older(one: Account) -> str:
    """Sessions that logged in before the password last changed: `2+` is at least two."""
    if one.no_password or one.external:
        return ""
    if one.logins is None or (one.logins.before is None and one.logins.total):
        return UNKNOWN
    before = one.logins.before or 0
    if one.logins.before_exact or not one.logins.total:
        return str(before or "")
    return f"{before}+" if before else UNKNOWN


def tls(logins: Logins | None) -> str:
    """Of the sessions that came over a network."""
    if logins is None:
        return UNKNOWN
    network = logins.total - logins.local
    if not network:
        return "local" if logins.total else ""
    if logins.unknown:
        return UNKNOWN
    if logins.encrypted == network:
        return "all"
    return f"{logins.encrypted}/{network}" if logins.encrypted else "none"


def rights(one: Account) -> str:
    if one.powers is None:
        return UNKNOWN
    return clean(", ".join(_short(power) for power in one.powers if power.severity > Severity.NOTICE), 300)


def _short(power: Power) -> str:
    way = [role for role in power.via if role != power.name]
    return f"{power.name} via {way[0]}" if way else power.name


def tone(one: Account) -> Tone:
    if one.role or one.system or not one.may_login:
        return Tone.MUTED
    if one.no_password and one.host is not None:
        return Tone.BAD
    if one.drift.drift is Drift.CHANGED:
        return Tone.BAD
    if one.due is Due.OVERDUE:
        return Tone.BAD if one.worst is Severity.BAD else Tone.WARN
    stale = bool(one.logins and one.logins.before)
    weak = set(one.kinds or ()) & set(_WEAK)
    return Tone.WARN if one.expired or stale or weak else Tone.NORMAL


def summary(found: Accounts) -> str:
    people = [one for one in found.accounts if one.may_login and not one.system]
    if not found.accounts:
        return "no account is known"
    bad = sum(1 for one in people if one.worst is Severity.BAD)
    said = [f"{len(people)} of {len(found.accounts)} may log in"]
    older = sum(one.logins.before or 0 for one in people if one.logins)
    figures = (
        (bad, "with rights over everything"),
        (drifted(found.accounts), "changed outside"),
        (overdue(found.accounts), "overdue"),
        (sum(1 for one in people if one.due is Due.UNKNOWN), "of unknown age"),
        (sum(1 for one in people if one.no_password and one.host is not None), "without a password"),
        (older, f"session{'s' if older > 1 else ''} older than the password"),
    )
    return ", ".join(said + [f"{number} {word}" for number, word in figures if number])


def details(one: Account) -> list[tuple[str, str]]:
    """Everything about one account, label and value."""
    pairs = [
        ("account", f"{name(one)}, {_standing(one)}{', of the server itself' if one.system else ''}"),
        ("password", _password(one)),
        ("ours", _ours(one)),
        ("ends", _ends(one)),
        ("cadence", "" if one.due is Due.NO_RULE else str(one.due)),
        ("sessions", _sessions(one)),
        ("TLS", "required" if one.requires_tls else ""),
    ]
    shown = [(word, value) for word, value in pairs if value]
    for power in one.powers or ():
        way = " ← ".join(clean(role, 100) for role in reversed(power.via))
        shown.append(("right", f"{power.name}{f', through {way}' if way else ''}"))
    if one.powers is None:
        shown.append(("right", f"{UNKNOWN}: they may not be read"))
    return shown + [("used by", dependent(user)) for user in one.dependents]


def _password(one: Account) -> str:
    if one.role:
        return ""
    if one.external:
        return f"none here: {', '.join(one.plugins) or 'somebody else'} checks who it is"
    said = kind(one) if one.kinds is not None else f"how it is kept may not be read ({UNKNOWN})"
    if one.no_password:
        return f"{said}: {'anybody logs in' if one.host is not None else 'nobody logs in by one'}"
    if one.changed_at is not None:
        said += f", changed {one.changed_at:%Y-%m-%d %H:%M} UTC"
    elif one.unchanged_since is not None:
        said += f", the same at least since {one.unchanged_since:%Y-%m-%d %H:%M} UTC"
    else:
        said += ", when it was changed is unknown"
    return f"{said}; an older one lets in, too" if one.overlap else said


def _ours(one: Account) -> str:
    found = one.drift
    if not found.told:
        return ""
    if found.drift is Drift.UNKNOWN:
        return f"{UNKNOWN}: {found.why}"
    seen = f" (looked at {found.seen_at:%H:%M:%S} UTC)" if found.seen_at else ""
    if found.drift is Drift.CHANGED:
        return f"no: it {changed_outside(one)}{seen}"
    since = f" of {found.since:%Y-%m-%d %H:%M} UTC" if found.since else ""
    return f"as our last rotation{since} left it{seen}"


def _ends(one: Account) -> str:
    if one.valid_until is None:
        return "expired" if one.expired else ""
    return f"{'expired' if one.expired else 'valid until'} {one.valid_until:%Y-%m-%d %H:%M} UTC"


def _sessions(one: Account) -> str:
    found = one.logins
    if found is None:
        return f"{UNKNOWN}: they may not be seen"
    if not found.total:
        return "none"
    said = [f"{found.total}"]
    figures = (
        (found.encrypted, "encrypted"),
        (found.clear, "in clear text"),
        (found.local, "local"),
        (found.unknown, "of unknown TLS"),
    )
    said += [f"{number} {word}" for number, word in figures if number]
    if found.before is None:
        said.append("how many are older than the password is unknown")
    else:
        least = "" if found.before_exact else "at least "
        said.append(f"{least}{found.before} logged in before the password changed")
    return ", ".join(said)


def dependent(one: Dependent) -> str:
    user = f" as {clean(one.user, 100)}" if one.user else f" as {UNKNOWN}"
    where = f" at {clean(one.address, 100)}" if one.address else ""
    why = f" ({one.why})" if one.why else ""
    return f"{one.kind} {clean(one.name, 100)}{user}{where}: breaks {one.breaks}{why}"


def document(found: Accounts) -> list[dict[str, Any]]:
    """Rows of `show accounts --json`, in the order of the view; null is unknown."""
    return [_row(one) for one in found.accounts]


def _row(one: Account) -> dict[str, Any]:
    logins = one.logins
    return {
        "account": label(one.name, one.host),
        "name": one.name,
        "host": one.host,
        "may_login": one.may_login,
        "role": one.role,
        "system": one.system,
        "kinds": None if one.kinds is None else list(one.kinds),
        "plugins": list(one.plugins),
        "no_password": one.no_password,
        "overlap": one.overlap,
        "requires_tls": one.requires_tls,
        "changed_at": one.changed_at,
        "age_seconds": one.age,
        "unchanged_since": one.unchanged_since,
        "age_at_least_seconds": one.age_at_least,
        "valid_until": one.valid_until,
        "expired": one.expired,
        "due": one.due,
        "drift": one.drift.drift,
        "drift_since": one.drift.since,
        "drift_seen_at": one.drift.seen_at,
        "drift_why": one.drift.why or None,
        "sessions": logins
        and {
            "total": logins.total,
            "encrypted": logins.encrypted,
            "clear": logins.clear,
            "local": logins.local,
            "unknown_tls": logins.unknown,
            "before_change": logins.before,
            "before_change_exact": logins.before_exact,
        },
        "rights": None
        if one.powers is None
        else [
            {"name": power.name, "severity": power.severity.name.lower(), "via": list(power.via)}
            for power in one.powers
        ],
        "used_by": [msgspec.structs.asdict(user) for user in one.dependents],
    }


def beside(found: Accounts) -> dict[str, Any]:
    return {
        "server_time": found.now,
        "overdue": overdue(found.accounts),
        "changed_outside": drifted(found.accounts),
        "outgoing": [msgspec.structs.asdict(one) for one in found.outgoing],
        "unknown": [msgspec.structs.asdict(gap) for gap in found.gaps],
        "notes": list(found.notes),
    }


def gap(one: Gap) -> str:
    return f"unknown: {one.what}. {one.remedy}"


def notes(found: Accounts) -> Iterable[str]:
    yield from (gap(one) for one in found.gaps)
    yield from found.notes
    yield from (f"this server logs in elsewhere: {dependent(one)}" for one in found.outgoing)
