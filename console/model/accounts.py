"""Accounts: who may log in, with what rights, how old the password is, and who depends on it.

No value here holds a verifier. None is unknown everywhere, never none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from console.model.drift import Compared, Drift, Drifts
from console.model.indexes import Severity
from console.model.rotation import Rule
from console.model.verifiers import VerifierKind

Key = tuple[str, str | None]


class Breaks(StrEnum):
    """When somebody who depends on a password notices that it was changed."""

    NOW = "now"  # it logs in anew for each use
    RECONNECT = "at its next reconnect"
    NEVER = "never"  # it shows no password


class Due(StrEnum):
    """A password's age against the cadence."""

    NO_RULE = "no cadence"
    IN_TIME = "in time"
    OVERDUE = "overdue"
    UNKNOWN = "unknown"
    EXCLUDED = "excluded"
    NO_PASSWORD = "no password"  # noqa: S105 - a word for people


class Power(msgspec.Struct, frozen=True, kw_only=True):
    """A dangerous right. `via` are the roles through which it is held, the nearest first; none: its own."""

    name: str
    severity: Severity
    via: tuple[str, ...] = ()


class Dependent(msgspec.Struct, frozen=True, kw_only=True):
    """Who logs in with a password and would notice. `user` None may not be read.

    `outgoing` ones are this server logging in elsewhere: they depend on an account at `address`.
    """

    kind: str
    name: str
    breaks: Breaks
    user: str | None = None
    address: str | None = None
    outgoing: bool = False
    why: str = ""


class Logins(msgspec.Struct, frozen=True, kw_only=True):
    """An account's sessions now. `before` logged in before the password last changed: at least so many,
    or just so many where `before_exact`; None where that cannot be told. `local` ones use no network.
    """

    total: int = 0
    encrypted: int = 0
    clear: int = 0
    local: int = 0
    before: int | None = None
    before_exact: bool = False
    starts: tuple[datetime, ...] = ()  # of those whose start is known

    @property
    def unknown(self) -> int:
        """Sessions of which nobody can tell whether they are encrypted."""
        return self.total - self.encrypted - self.clear - self.local


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A PostgreSQL role, or a MySQL account `name`@`host`.

    `kinds` are the verifiers that let it in (MariaDB may have several), None unknown; `plugins` are the
    engine's own words for them. `changed_at` is when the password last changed by the server's clock,
    `unchanged_since` since when its verifier is known to be the same. `valid_until` is when the password
    ends, `expired` that it has. `overlap`: an older password lets in, too.
    `tries`: so many wrong passwords in a row block it (MySQL, MariaDB); None is no limit, or one that nobody
    tells. `becomes` is the role it is made at each login (PostgreSQL, ALTER ROLE … SET role). `drift` is
    what the verifier says beside the fingerprint that our last rotation left.
    """

    name: str
    host: str | None = None
    may_login: bool = True
    role: bool = False  # a group of rights that nobody logs in as
    system: bool = False  # made by the server for itself
    kinds: tuple[VerifierKind, ...] | None = None
    plugins: tuple[str, ...] = ()
    no_password: bool | None = None
    powers: tuple[Power, ...] | None = None
    changed_at: datetime | None = None
    unchanged_since: datetime | None = None
    valid_until: datetime | None = None
    expired: bool | None = None
    overlap: bool | None = None
    requires_tls: bool | None = None
    becomes: str = ""
    tries: int | None = None
    logins: Logins | None = None
    dependents: tuple[Dependent, ...] = ()
    due: Due = Due.NO_RULE
    age: float | None = None
    age_at_least: float | None = None
    drift: Compared = Compared()

    @property
    def key(self) -> Key:
        return self.name, self.host

    @property
    def external(self) -> bool:
        """Somebody else than the server checks who it is: there is no password here to change."""
        return bool(self.kinds) and set(self.kinds or ()) <= {VerifierKind.EXTERNAL}

    @property
    def worst(self) -> Severity:
        return max((power.severity for power in self.powers or ()), default=Severity.INFO)


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """One grant of a role to an account. `admin`: it may pass the role on; `passed_on` have it from it.
    `inherits`, `becomes` (SET ROLE) and `grantor` are PostgreSQL 16's; None elsewhere. The hosts are
    those of MySQL and MariaDB, whose roles have none.
    """

    role: str
    role_host: str | None = None
    member: str
    host: str | None = None
    admin: bool = False
    inherits: bool | None = None
    becomes: bool | None = None
    grantor: str | None = None
    passed_on: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str | None, str, str | None, str | None]:
        return self.role, self.role_host, self.member, self.host, self.grantor


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """What is unknown, and the statement that would change that."""

    what: str
    remedy: str


class Accounts(msgspec.Struct, frozen=True, kw_only=True):
    """`now` is the server's clock. `outgoing` are the logins this server itself uses elsewhere."""

    accounts: tuple[Account, ...] = ()
    now: datetime | None = None
    outgoing: tuple[Dependent, ...] = ()
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()


def label(name: str, host: str | None) -> str:
    """`shop_web`, or `shop_web@10.%`; the anonymous one of MySQL is `''@localhost`."""
    return name if host is None else f"{name or chr(39) * 2}@{host}"


NOBODY = Drifts()


# ---- judgement -------------------------------------------------------------------------------


def judged(found: Accounts, rule: Rule, drifts: Drifts = NOBODY) -> Accounts:
    """Ages, what is overdue, and the order of the view: the most dangerous users first, all hosts of a
    user side by side, roles and the server's own accounts last.

    `drifts` are accounts compared with our last rotation. Where the engine itself keeps no date, a verifier
    that is the same has the age of that rotation.
    """
    accounts = [_aged(_dated(one, drifts.of.get(one.key)), found.now, rule) for one in found.accounts]
    notes = (*found.notes, *drifts.notes)
    return msgspec.structs.replace(found, accounts=tuple(_ordered(accounts)), notes=notes)


def _dated(one: Account, drift: Compared | None) -> Account:
    if drift is None:
        return one
    date: dict[str, datetime | None] = {}
    if drift.drift is Drift.SAME and one.changed_at is None:
        date = {"changed_at" if drift.exact else "unchanged_since": drift.since}
    return msgspec.structs.replace(one, drift=drift, **date)


def _aged(one: Account, now: datetime | None, rule: Rule) -> Account:
    age = _seconds(one.changed_at, now)
    least = age if age is not None else _seconds(one.unchanged_since, now)
    aged = msgspec.structs.replace(one, age=age, age_at_least=least)
    return msgspec.structs.replace(aged, due=_due(aged, rule), logins=_evicted(aged))


def _seconds(moment: datetime | None, now: datetime | None) -> float | None:
    return None if moment is None or now is None else max(0.0, (now - moment).total_seconds())


def _due(one: Account, rule: Rule) -> Due:
    if rule.every is None:
        return Due.NO_RULE
    if rule.excludes(one.name, one.host) or one.system:
        return Due.EXCLUDED
    if one.role or not one.may_login or one.external or one.no_password:
        return Due.NO_PASSWORD
    if one.age_at_least is not None and one.age_at_least >= rule.every:
        return Due.OVERDUE
    return Due.UNKNOWN if one.age is None else Due.IN_TIME


def _evicted(one: Account) -> Logins | None:
    """How many sessions are older than the password, where the engine tells when each began."""
    if one.logins is None or one.logins.before is not None or one.changed_at is None:
        return one.logins
    before = sum(1 for start in one.logins.starts if start < one.changed_at)
    whole = len(one.logins.starts) == one.logins.total
    return msgspec.structs.replace(one.logins, before=before, before_exact=whole)


def _ordered(accounts: Sequence[Account]) -> list[Account]:
    worst: dict[str, int] = {}
    for one in accounts:
        if not (one.role or one.system) and one.may_login:
            worst[one.name] = max(worst.get(one.name, 0), one.worst)

    def place(one: Account) -> tuple[bool, bool, bool, int, str, str]:
        last = one.role or not one.may_login
        return (
            one.system,
            last and one.name not in worst,
            one.role,
            -worst.get(one.name, 0),
            one.name,
            (one.host or ""),
        )

    return sorted(accounts, key=place)


def drifted(accounts: Iterable[Account]) -> int:
    """How many have a password that somebody else set after our last rotation."""
    return sum(1 for one in accounts if one.drift.drift is Drift.CHANGED)


def overdue(accounts: Iterable[Account]) -> int:
    return sum(1 for one in accounts if one.due is Due.OVERDUE)


# ---- paths of membership ---------------------------------------------------------------------


Graph = Mapping[str, Sequence[str]]  # the roles whose rights each name may use


def graph(pairs: Iterable[tuple[str, str]]) -> Graph:
    """Of pairs (member, role): the member inherits, may SET ROLE, or may grant itself either."""
    roles: dict[str, list[str]] = {}
    for member, role in pairs:
        roles.setdefault(member, []).append(role)
    return roles


def reach(roles: Graph, start: str) -> dict[str, tuple[str, ...]]:
    """Every role that `start` can use, with the shortest way to it, the role itself at its end."""
    found: dict[str, tuple[str, ...]] = {}
    todo: list[tuple[str, tuple[str, ...]]] = [(start, ())]
    for name, way in todo:  # grows while it is walked: breadth first
        for role in sorted(roles.get(name, ())):
            if role not in found and role != start:
                found[role] = (*way, role)
                todo.append((role, found[role]))
    return found


def powers_of(start: str, own: Mapping[str, Sequence[Power]], roles: Graph) -> tuple[Power, ...]:
    """What an account holds itself and through its roles, the worst first; each right once, by the
    shortest way."""
    found = {power.name: power for power in own.get(start, ())}
    for role, way in reach(roles, start).items():
        for power in own.get(role, ()):
            found.setdefault(power.name, msgspec.structs.replace(power, via=way))
    return tuple(sorted(found.values(), key=lambda power: (-power.severity, len(power.via), power.name)))
