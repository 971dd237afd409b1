"""What is wrong with accounts, ranked, each in a sentence with what mends it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from console.model.accounts import Account, Accounts, Due, Key, label
from console.model.drift import Drift
from console.model.guessing import Guesses
from console.model.hosts import inside, order
from console.model.indexes import Severity
from console.model.verifiers import VerifierKind


class AccountFinding(msgspec.Struct, frozen=True, kw_only=True):
    """`what` is a few words, `why` a sentence, `remedy` what to do."""

    severity: Severity
    account: str
    what: str
    why: str
    remedy: str


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """`guesses` None: no verifier could be read, and `notes` say why."""

    findings: tuple[AccountFinding, ...] = ()
    accounts: int = 0
    guesses: Guesses | None = None
    notes: tuple[str, ...] = ()


_OPEN = ("%", "")
_EXPECTED = ("root", "postgres", "mysql", "rdsadmin", "cloudsqladmin", "azure_superuser")
_CHANGE = "give it a new password; `show accounts` tells who uses it"
_FOREIGN = (
    "find out who did it and look at its sessions; then `dbdeck secret set` the password it has now, or "
    "`dbdeck secret remove` the one it had, and credential.rotate it"
)
_MIGRATE = {
    VerifierKind.MD5: (
        Severity.WARN,
        "md5 verifier",
        "who reads an md5 verifier logs in with it, and passwords are guessed from it millions a second",
        "give it a new password under password_encryption = 'scram-sha-256', with the same in pg_hba.conf",
    ),
    VerifierKind.NATIVE: (
        Severity.WARN,
        "mysql_native_password",
        "its verifier has no salt: equal passwords look equal, and are guessed millions a second",
        "move it to caching_sha2_password (MySQL) or ed25519 (MariaDB)",
    ),
    VerifierKind.OLD: (
        Severity.BAD,
        "mysql_old_password",
        "a verifier of 8 bytes from before MySQL 4.1 protects nothing",
        "move it to ed25519 now",
    ),
    VerifierKind.SHA256: (
        Severity.NOTICE,
        "sha256_password",
        "the plugin is deprecated, and gone from a coming release",
        "move it to caching_sha2_password",
    ),
}


def findings(found: Accounts, guesses: Guesses | None) -> tuple[AccountFinding, ...]:
    """The worst first."""
    people = [one for one in found.accounts if one.may_login and not one.system and not one.role]
    said = [finding for one in people for finding in _of(one)]
    said += _shadows(people)
    if guesses is not None:
        said += _guessed(guesses, {one.key: one for one in found.accounts})
    return tuple(sorted(said, key=lambda one: (-one.severity, one.what, one.account)))


def _of(one: Account) -> Iterator[AccountFinding]:
    if one.drift.drift is Drift.CHANGED:
        yield _finding(Severity.BAD, one, "changed outside", f"its password {changed_outside(one)}", _FOREIGN)
    yield from _open_doors(one)
    for kind in dict.fromkeys(one.kinds or ()):
        if kind in _MIGRATE:
            severity, what, why, remedy = _MIGRATE[kind]
            yield _finding(severity, one, what, why, remedy)
    yield from _excess(one)
    if one.overlap:
        yield _finding(
            Severity.NOTICE,
            one,
            "an older password is valid",
            "an overlap is open: who knows the older password still gets in",
            "end the overlap as soon as nobody needs it: DISCARD OLD PASSWORD, or drop the OR (MariaDB)",
        )
    if one.due is Due.OVERDUE:
        yield _finding(
            Severity.WARN, one, "overdue", "its password is older than `rotation.every` allows", _CHANGE
        )


def changed_outside(one: Account) -> str:
    """Between when and when; MySQL and MariaDB keep the moment themselves."""
    since = one.drift.since
    after = f" after {_moment(since)}" if since else ""
    own = one.changed_at is not None and since is not None and one.changed_at > since
    at = f", at {_moment(one.changed_at)} by the server's own date" if own and one.changed_at else ""
    return f"was changed{after} by none of dbdeck's rotations{at}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _open_doors(one: Account) -> Iterator[AccountFinding]:
    if one.host is None:
        return
    if not one.name:
        yield _finding(
            Severity.BAD,
            one,
            "anonymous account",
            "every user name that has no better account logs in as this one, and it shadows named ones",
            f"DROP USER {_literal(one)};",
        )
    elif one.no_password:
        yield _finding(
            Severity.BAD,
            one,
            "no password",
            "whoever reaches the server from such a host logs in without one",
            f"ALTER USER {_literal(one)} IDENTIFIED BY …; or ACCOUNT LOCK;",
        )
    if one.host in _OPEN:
        worst = one.worst is Severity.BAD
        yield _finding(
            Severity.WARN if worst else Severity.NOTICE,
            one,
            "any host",
            f"it logs in from anywhere{', and has rights over everything' if worst else ''}",
            f"RENAME USER {_literal(one)} TO the network it comes from;",
        )


def _excess(one: Account) -> Iterator[AccountFinding]:
    held = [power for power in one.powers or () if power.severity is Severity.BAD]
    if not held:
        return
    words = [
        power.name + (f" through {' → '.join(power.via)}" if power.via and power.via != (power.name,) else "")
        for power in held
    ]
    yield _finding(
        Severity.NOTICE if one.name in _EXPECTED else Severity.WARN,
        one,
        "rights over everything",
        f"it holds {', '.join(words)}: enough to read and change all data, and mostly to become anybody",
        "expected here; let nobody work as it daily"
        if one.name in _EXPECTED
        else "revoke what it does not need for its work",
    )


def _shadows(people: Sequence[Account]) -> Iterator[AccountFinding]:
    """A more specific host wins before the name does: with its own password and its own rights."""
    hosted = [one for one in people if one.host is not None]
    by_name: dict[str, list[Account]] = {}
    for one in hosted:
        by_name.setdefault(one.name, []).append(one)
    anonymous = by_name.get("", [])
    for one in hosted:
        for other in (*by_name[one.name], *(anonymous if one.name else ())):
            if other is not one and _wins(other, one):
                yield _finding(
                    Severity.WARN if not other.name else Severity.NOTICE,
                    one,
                    "shadowed",
                    f"from {other.host} {label(other.name, other.host)} is taken instead, with its own "
                    "password and rights: the right password of this one is refused there",
                    f"DROP USER {_literal(other)};"
                    if not other.name
                    else "keep both in step, or drop one of them",
                )


def _wins(other: Account, one: Account) -> bool:
    theirs, ours = other.host or "", one.host or ""
    return theirs != ours and inside(theirs, ours) and order(theirs) < order(ours)


def _guessed(guesses: Guesses, known: Mapping[Key, Account]) -> Iterator[AccountFinding]:
    for hit in guesses.hits:
        yield AccountFinding(
            severity=Severity.BAD,
            account=label(*hit.key),
            what="guessed",
            why=f"{hit.which or 'its password'} is {hit.how}",
            remedy=_CHANGE,
        )
    for group in guesses.shared:
        names = [label(*key) for key in group]
        for name in names:
            others = ", ".join(one for one in names if one != name)
            yield AccountFinding(
                severity=Severity.WARN,
                account=name,
                what="shared password",
                why=f"it has the same password as {others}: who learns one has all",
                remedy=_CHANGE,
            )
    yield from (
        _finding(
            Severity.NOTICE,
            known[key],
            "malformed verifier",
            "what is stored for it fits no password: nobody logs in by one",
            "give it a password, or lock it",
        )
        for key in guesses.malformed
        if key in known and known[key].may_login
    )


def _finding(severity: Severity, one: Account, what: str, why: str, remedy: str) -> AccountFinding:
    return AccountFinding(
        severity=severity, account=label(one.name, one.host), what=what, why=why, remedy=remedy
    )


def _literal(one: Account) -> str:
    return "@".join(f"'{part.replace(chr(39), chr(39) * 2)}'" for part in (one.name, one.host or ""))


def worst(found: Iterable[AccountFinding]) -> Severity | None:
    return max((one.severity for one in found), default=None)
