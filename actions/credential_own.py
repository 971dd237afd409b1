"""dbdeck's own account, where it has no right over accounts: what every account may do to its own password.

Tried on MySQL 9.7 and MariaDB 10.11. MySQL takes `ALTER USER … IDENTIFIED BY` of oneself, in clear only (the
form with a verifier takes CREATE USER), with REPLACE where PASSWORD REQUIRE CURRENT asks for it, and RETAIN
CURRENT PASSWORD with APPLICATION_PASSWORD_ADMIN. MariaDB takes a verifier by SET PASSWORD, and keeps one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actions.credential_aims import Aim
from console.engine.port import Engine, Need
from console.errors import PrivilegeMissing, UsageError
from console.model.accounts import Account, Accounts, Gap, label
from console.model.target import ServerIdentity
from console.model.verifiers import POSTGRESQL

OF_OTHERS = Need(schema="*", name="*", privileges=("CREATE USER",))
TO_KEEP_BOTH = Need(
    schema="*", name="*", privileges=("APPLICATION_PASSWORD_ADMIN",), enough=("CREATE USER",)
)  # MySQL manual 8.2.15, "Dual Password Support"


async def accounts(engine: Engine, names: Sequence[str]) -> Accounts:
    """All that there are, or dbdeck's own where it is wanted alone and no other may be seen.

    Raises what `Engine.accounts` raises.
    """
    try:
        return await engine.accounts()
    except PrivilegeMissing as missing:
        own = await engine.own_account()
        operator = engine.target.operator
        if own is None or operator is None or own.name != operator.user:
            raise
        if set(names) - {own.name, label(*own.key)} or not names:
            raise
        return Accounts(accounts=(own,), gaps=(Gap(what="other accounts", remedy=missing.hint),))


async def by_own_right(aim: Aim, rows: Sequence[Account], engine: Engine, server: ServerIdentity) -> Aim:
    """The aim as the operator can reach it, where it is its own account and may not change others.

    Raises UsageError, with the GRANT, where it cannot.
    """
    operator = engine.target.operator
    if operator is None or operator.user != aim.user or aim.pair:
        return aim
    if server.flavor == POSTGRESQL:
        return _fixed_end(aim, rows[0], server)
    lacks = await engine.lacking((OF_OTHERS,))
    if not lacks:
        return aim
    if len(rows) > 1:
        raise UsageError(
            f"{aim.label}: {operator.user} may change the row alone that it logs in as; nothing was executed",
            f"account={label(*rows[0].key)}, or {lacks[0]}",
        )
    if server.flavor == "mariadb":
        return _by_verifier(aim, rows[0], lacks[0])
    return await _in_clear(aim, rows[0], engine, lacks[0])


def _fixed_end(aim: Aim, row: Account, server: ServerIdentity) -> Aim:
    """A role sets its own password, and when it ends only as a superuser, or up to 15 with CREATEROLE."""
    powers = {power.name for power in row.powers or () if not power.via}
    may = "SUPERUSER" in powers or ("CREATEROLE" in powers and server.version_num < 160000)
    return aim if may else msgspec.structs.replace(aim, valid_until=None)


def _by_verifier(aim: Aim, row: Account, lacks: str) -> Aim:
    if set(row.kinds or ()) != {aim.kind}:
        raise UsageError(
            f"{aim.label}: to log in by {aim.kind} alone takes a right that it lacks: {lacks.rstrip(';')}; "
            "nothing was executed",
            "without plugin= its password is changed as it is kept now",
        )
    return msgspec.structs.replace(aim, own=True, keeps_old=False)


async def _in_clear(aim: Aim, row: Account, engine: Engine, lacks: str) -> Aim:
    if not aim.plaintext:
        raise UsageError(
            f"{aim.label} may not: {lacks.rstrip(';')}; and without that MySQL takes its own new password in "
            "clear only; nothing was executed",
            "that GRANT, or plaintext=true: over verified TLS or a unix socket, with the target's name typed",
        )
    if set(row.kinds or ()) != {aim.kind}:
        raise UsageError(
            f"{aim.label}: plugin= takes a right that it lacks: {lacks.rstrip(';')}; nothing was executed"
        )
    # An older password that nobody may see would be ended by RETAIN.
    keeps = aim.retain and row.overlap is False and not await engine.lacking((TO_KEEP_BOTH,))
    return msgspec.structs.replace(aim, own=True, retain=keeps)


def needs(aim: Aim) -> tuple[Need, ...]:
    """CREATE USER on MySQL and MariaDB; what PostgreSQL asks for is asked of the role itself."""
    if aim.own:
        return (TO_KEEP_BOTH,) if aim.retain else ()
    found = [msgspec.structs.replace(OF_OTHERS, role=aim.user)]
    if aim.flavor == "mariadb" and aim.plaintext:
        found.append(Need(schema="mysql", name="*", privileges=("UPDATE",)))  # of SET PASSWORD
    return tuple(found)
