"""What a rotation is about: the account, its rows, the entry that holds its secret, and how it is changed."""

from __future__ import annotations

import string
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec

from actions.credential_statements import Key, NewPassword
from console.dispatch.action import Plan
from console.errors import UsageError
from console.model.accounts import Account, label
from console.model.hooks import AccountRule, Hook
from console.model.instants import instant
from console.model.rotation import Rule
from console.model.target import ServerIdentity, Target
from console.model.verifiers import POSTGRESQL, VerifierKind
from console.secret_store import account_entry


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """One user with all its rows. `entry` is its name in the store. `cost` is that of the verifier. `pair` is
    who logs in until now, where two roles take turns (PostgreSQL).

    `unverified`: a login may prove nothing, because the server lets anybody in; the stored verifier has to.
    `control`: a wrong password may be tried: the account is not blocked by one or two.

    `own`: dbdeck's login changes itself, by what each account may do to its own password.

    `hooks` are all of its account in the config; `only` are the names of those to run, none: all. `handed` is
    what earlier runs of this rotation noted as done; `unsure`: nobody can tell what they did.
    """

    user: str
    keys: tuple[Key, ...]
    entry: str
    rotation: str
    kind: VerifierKind
    retain: bool = False
    keeps_old: bool = False
    valid_until: datetime | None = None
    length: int = 32
    alphabet: str = string.ascii_letters + string.digits + "_-"
    cost: int = 0
    flavor: str
    plaintext: bool = False
    pair: str = ""
    control: bool = True
    unverified: bool = False
    own: bool = False
    hooks: tuple[Hook, ...] = ()
    only: tuple[str, ...] = ()
    handed: tuple[str, ...] = ()
    unsure: bool = False

    @property
    def label(self) -> str:
        return " and ".join(label(*key) for key in self.keys)

    @property
    def new(self) -> NewPassword:
        return NewPassword(
            kind=self.kind,
            retain=self.retain,
            keeps_old=self.keeps_old,
            valid_until=self.valid_until,
            lets_in=bool(self.pair),
            own=self.own,
        )

    @property
    def overlap(self) -> bool:
        return self.retain or self.keeps_old or bool(self.pair)

    @property
    def identities(self) -> tuple[str, ...]:
        """What the server calls who logs in as it."""
        return tuple(name if host is None else f"{name}@{host}" for name, host in self.keys)


TRIES_LEFT = 3  # a wrong password is not tried where fewer block the account


def may_be_tried(rows: Sequence[Account]) -> bool:
    return all(one.tries is None or one.tries >= TRIES_LEFT for one in rows)


def aims_of(plan: Plan) -> list[Aim]:
    return msgspec.convert(plan.subject["accounts"], list[Aim])


def frozen(aims: Sequence[Aim]) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(aim) for aim in aims]


def rows_of(found: Sequence[Account], wanted: str, flavor: str) -> tuple[Account, ...]:
    """The rows of a user, or the one row of `user@host`. Raises UsageError where there is none."""
    rows = tuple(one for one in found if one.name == wanted)
    if not rows and flavor != POSTGRESQL and "@" in wanted:
        name, _, host = wanted.rpartition("@")
        rows = tuple(one for one in found if (one.name, one.host) == (name, host))
    if not rows:
        raise UsageError(
            f"there is no account {wanted!r} (that this login may see); nothing was executed",
            "`dbdeck show accounts` lists them",
        )
    return rows


def entry_name(target: Target, user: str) -> str:
    """Where the secret is kept. Raises UsageError where dbdeck itself logs in with one kept elsewhere."""
    found = account_entry(target, user)
    if found is not None:
        return found
    raise UsageError(
        f"dbdeck itself logs in to {target.name} as {user}, with a password that is not in the keyring: "
        "it would lock itself out; nothing was executed",
        f"store it with `dbdeck secret set dbdeck/{target.name}/{user}`, and write "
        f"`password: keyring:dbdeck/{target.name}/{user}` into the config",
    )


def hooks_of(target: Target, user: str) -> tuple[Hook, ...]:
    return target.rotation.accounts.get(user, AccountRule()).hooks


def new_id() -> str:
    return str(uuid4())


def kind_for(rows: Sequence[Account], plugin: str, server: ServerIdentity) -> VerifierKind:
    """What the new verifier is. Raises UsageError for what cannot be made here."""
    if server.flavor == POSTGRESQL:
        return VerifierKind.SCRAM
    kinds = {kind for one in rows for kind in one.kinds or ()} - {VerifierKind.EMPTY}
    wanted = plugin or (str(kinds.pop()) if len(kinds) == 1 else "")
    try:
        kind = VerifierKind(wanted)
    except ValueError:
        kind = VerifierKind.OTHER
    fitting = _MADE[server.flavor]
    if kind not in fitting:
        raise UsageError(
            f"{rows[0].name}: a verifier of the kind {wanted or 'it has'} is not made for {server.label}; "
            "nothing was executed",
            f"plugin={fitting[0]} moves the account to it",
        )
    return kind


_MADE = {
    "mysql": (VerifierKind.CACHING_SHA2, VerifierKind.NATIVE),
    "mariadb": (VerifierKind.ED25519, VerifierKind.NATIVE),
}


def until(rows: Sequence[Account], rule: Rule, now: datetime | None, given: str = "") -> datetime | None:
    """VALID UNTIL moves with the password; it stays away where it was not given. `given`: a plan came to it
    a while ago. Raises UsageError for one that the rule does not come to.
    """
    before = [one.valid_until for one in rows if one.valid_until is not None]
    if not before or now is None or rows[0].host is not None:
        return None
    latest = (now + timedelta(seconds=rule.every or _DAYS_90)).replace(microsecond=0)
    found = instant(given) if given else latest
    if found is None or not max(now, latest - _KEPT) < found <= latest:
        raise UsageError(
            f"valid_until={given}: the rule of rotation comes to {latest.isoformat()} now; "
            "nothing was executed",
            "leave valid_until= away",
        )
    return found


_DAYS_90 = 90 * 86400.0
_KEPT = timedelta(days=1)  # for which a plan may wait
