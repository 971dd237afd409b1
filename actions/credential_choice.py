"""Whose passwords a rotation is to change, and how: from what was asked for and what the server tells."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actions import credential_aims as aims
from actions.credential_aims import Aim
from console.engine.port import Engine
from console.errors import UsageError
from console.model.accounts import Account, Accounts, Due
from console.model.target import ServerIdentity, TlsMode


class RotateArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`account`: a role, a MySQL user with all its rows, or one row as `user@host`; repeated for several.
    Or `overdue`: all that the Accounts view calls so. `leave_out`: who cannot be rotated now is left out
    and named, and the others are rotated; `overdue` does so by itself, and else all are refused.
    `overlap`: the old password stays valid until `credential.retire`, where the server can keep two.
    `plugin` moves a MySQL or MariaDB account to another kind. `plaintext` sends the password itself, over
    verified TLS or a unix socket only, where a server takes no verifier: the target's name has to be
    typed. `unverified` goes on where the server lets anybody in without looking at the password.
    `alternate` is the other of two PostgreSQL roles that take turns, so that the one before stays valid;
    both become one owner (ALTER ROLE … SET role). `rotation` is the id of one that broke off.
    `propagate`: run the account's hooks afterwards. `valid_until` is what PostgreSQL's VALID UNTIL moves to
    where a role has one: a plan has it, and comes to no other when it is applied.
    """

    account: str | tuple[str, ...] = ()
    overdue: bool = False
    leave_out: bool = False
    overlap: bool = True
    plugin: str = ""
    unverified: bool = False
    plaintext: bool = False
    alternate: str = ""
    rotation: str | tuple[str, ...] = ()
    propagate: bool = True
    valid_until: str = ""


def chosen(found: Accounts, args: RotateArgs, server: ServerIdentity) -> list[tuple[Account, ...]]:
    """The rows of each user. Raises UsageError."""
    wanted = names(args)
    if bool(wanted) is args.overdue:
        raise UsageError(
            "which accounts? nothing was executed", "give account=NAME, or overdue=true for all that are"
        )
    if args.overdue:
        due = [one for one in found.accounts if one.due is Due.OVERDUE]
        users = dict.fromkeys(one.name for one in due)
        return [tuple(one for one in due if one.name == user) for user in users]
    if args.alternate and len(wanted) != 1:
        raise UsageError("alternate= is of one account; nothing was executed")
    if args.rotation and len(rotations(args)) != len(wanted):
        raise UsageError("as many rotation= as account= are needed; nothing was executed")
    return [aims.rows_of(found.accounts, name, server.flavor) for name in dict.fromkeys(wanted)]


def aim(
    engine: Engine,
    server: ServerIdentity,
    rows: Sequence[Account],
    found: Accounts,
    wanted: tuple[RotateArgs, str],
) -> Aim:
    """Raises UsageError for an account without a password of its own, or with one that is not known."""
    first, rule = rows[0], engine.target.rotation
    args, rotation = wanted
    _refuse_odd(rows, found, turns=bool(args.alternate))
    kind = aims.kind_for(rows, args.plugin, server)
    same = all(set(one.kinds or ()) == {kind} for one in rows)
    two = args.overlap and same and not (args.plaintext and server.flavor == "mariadb")
    if args.plaintext:
        _refuse_open_wire(engine, server, rows)
    if any(one.overlap for one in rows) and not rotation:
        raise UsageError(
            f"{first.name}: an older password is valid from the last rotation, and another would end it; "
            "nothing was executed",
            f"`dbdeck apply credential.retire account={first.name}` first",
        )
    return Aim(
        user=first.name,
        keys=tuple(one.key for one in rows),
        entry=aims.entry_name(engine.target, first.name),
        rotation=rotation or aims.new_id(),
        kind=kind,
        retain=two and server.flavor == "mysql",
        keeps_old=two and server.flavor == "mariadb",
        valid_until=aims.until(rows, rule, found.now, args.valid_until),
        length=rule.password.length,
        alphabet=rule.password.alphabet,
        flavor=server.flavor,
        plaintext=args.plaintext,
        control=aims.may_be_tried(rows),
        unverified=args.unverified,
        hooks=aims.hooks_of(engine.target, first.name) if args.propagate else (),
    )


def names(args: RotateArgs) -> list[str]:
    return [args.account] if isinstance(args.account, str) else list(args.account)


def rotations(args: RotateArgs) -> tuple[str, ...]:
    """The ids of rotations that broke off, one an account."""
    given = args.rotation
    return ((given,) if given else ()) if isinstance(given, str) else given


def _refuse_open_wire(engine: Engine, server: ServerIdentity, rows: Sequence[Account]) -> None:
    """Raises UsageError: a password in clear goes to an end that was verified, or to a socket, or nowhere."""
    verified = server.tls and engine.target.tls in (TlsMode.VERIFY_FULL, TlsMode.VERIFY_CA)
    if not (verified or engine.target.local):
        raise UsageError(
            f"plaintext=true: {engine.target.name} is reached neither over verified TLS nor by a unix "
            "socket; nothing was executed",
            "write tls: verify-full for this target",
        )
    if len(rows) > 1 and server.flavor == "mariadb":
        raise UsageError(
            "plaintext=true: MariaDB sets one row at a time; nothing was executed",
            f"account={rows[0].name}@{rows[0].host}",
        )


def _refuse_odd(rows: Sequence[Account], found: Accounts, *, turns: bool) -> None:
    """Of two that take turns, one does not log in now."""
    name = rows[0].name
    if any(one.role for one in rows) and not turns:
        raise UsageError(f"{name} is a role that nobody logs in as; nothing was executed")
    if any(one.system for one in rows):
        raise UsageError(f"{name} belongs to the server itself; nothing was executed")
    if any(one.external for one in rows):
        raise UsageError(
            f"{name}: somebody else than the server checks who it is ({', '.join(rows[0].plugins)}), so "
            "there is no password to change; nothing was executed"
        )
    if rows[0].host is not None and any(one.kinds is None for one in rows):
        gap = next((one.remedy for one in found.gaps), "")
        raise UsageError(
            f"{name}: how it logs in may not be seen, so no verifier can be made; nothing was executed", gap
        )
