"""What a plan says of a rotation: what happens to whom, and when they notice."""

from __future__ import annotations

from collections.abc import Sequence

from actions.credential_aims import Aim
from actions.words import counted
from console.model.accounts import Account, label
from console.model.hooks import covered
from console.model.target import Target, TlsMode
from console.model.verifiers import VerifierKind

LISTED = 5
_RIGHTS = {"mysql": "CREATE USER or APPLICATION_PASSWORD_ADMIN", "mariadb": "CREATE USER"}


def forecast(given: Sequence[Aim], rows: Sequence[Account]) -> tuple[str, ...]:
    said = []
    for aim in given:
        ends = "both log in until credential.retire" if aim.overlap else "the old one ends at once"
        said.append(
            f"{aim.label}: {aim.length} characters, kept as {aim.entry}#pending before the server is told; "
            f"then {ends}"
        )
        if aim.valid_until is not None:
            said.append(f"{aim.label}: VALID UNTIL moves to {aim.valid_until.isoformat()}")
    logged_in = sum(one.logins.total for one in rows if one.logins is not None)
    if logged_in:
        said.append(
            f"{counted(logged_in, 'session')} of it {'stays' if logged_in == 1 else 'stay'} logged in; "
            "the next login wants the new password"
        )
    for aim in given:
        wrong = ", and by one wrong one that has to be refused" if aim.control else ""
        said.append(f"{aim.label}: proved by a login with the new password{wrong}")
        if not aim.control:
            said.append(f"{aim.label}: no wrong password is tried, because one or two block it")
    return tuple(said)


def _of_own(given: Sequence[Aim], rows: Sequence[Account]) -> list[str]:
    """What an account may not do to itself."""
    staying = {key for aim in given if aim.valid_until is None for key in aim.keys}
    both = [
        f"{aim.label} changes itself, and keeps both passwords only with {_RIGHTS[aim.flavor]}"
        for aim in given
        if aim.own and not aim.overlap
    ]
    return both + [
        f"{one.name}: VALID UNTIL stays {one.valid_until.isoformat()}: a role may not move its own"
        for one in rows
        if one.valid_until is not None and one.host is None and one.key in staying
    ]


def warnings(given: Sequence[Aim], rows: Sequence[Account], target: Target) -> tuple[str, ...]:
    said = []
    depend = [(one, dependent) for one in rows for dependent in one.dependents]
    hooks = {key: aim.hooks for aim in given for key in aim.keys}
    depend = [(one, who) for one, who in depend if not covered(hooks.get(one.key, ()), who.name)]
    said += [
        f"{dependent.kind} {dependent.name} logs in as {label(*one.key)}: it breaks {dependent.breaks}, "
        "and no hook hands the new password on to it"
        for one, dependent in depend[:LISTED]
    ]
    if len(depend) > LISTED:
        said.append(f"and {len(depend) - LISTED} more depend on it: `dbdeck show accounts`")
    for aim in given:
        if len(aim.keys) > 1:
            said.append(f"{aim.label}: only the row that matches this machine is proved by a login")
        if aim.kind is VerifierKind.CACHING_SHA2 and target.tls is TlsMode.OFF:
            said.append(
                f"{aim.label}: clients without TLS are refused until one has logged in over TLS (2061): the "
                "server's cache of passwords is emptied, and the login that proves it has no TLS here either"
            )
    said += _of_own(given, rows)
    if any(aim.plaintext for aim in given):
        said.append(
            "the server is told the password in clear: it may be in its log (log_statement, general log), in "
            "pg_stat_activity and pg_stat_statements"
        )
    said += [
        f"{label(*one.key)} also logs in by {', '.join(one.plugins)}: only the password is left to it"
        for one in rows
        if VerifierKind.EXTERNAL in (one.kinds or ())
    ]
    md5 = [label(*one.key) for one in rows if VerifierKind.MD5 in (one.kinds or ())]
    if md5:
        said.append(f"{', '.join(md5)}: md5 becomes scram-sha-256, which clients of before 2017 do not know")
    return tuple(said)
