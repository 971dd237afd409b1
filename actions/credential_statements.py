"""The statements of credentials: what changes a password, ends an overlap, or keeps somebody from logging in.

A password is sent as a verifier made here. What people and the ledger see names its kind. PostgreSQL manual,
"ALTER ROLE"; MySQL manual 15.7.1.1 "ALTER USER" and 8.2.15 "Password Management" (dual passwords); MariaDB
"ALTER USER" and "Authentication from MariaDB 10.4" (`VIA … OR …`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from console.engine.port import Statement
from console.engine.queries import quote_ident, quote_literal
from console.model.accounts import Membership
from console.model.target import ServerIdentity
from console.model.verifiers import POSTGRESQL, VerifierKind, sendable
from console.secrets import Secret

Key = tuple[str, str | None]


class NewPassword(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be set. `retain`: the server keeps the old one itself (MySQL); `keeps_old`: it is told the
    old one beside the new (MariaDB). `valid_until` moves with the password. `lets_in`: the account may log in
    from then on (one of two that take turns). `own`: the account changes itself, by no right over others.
    """

    kind: VerifierKind
    retain: bool = False
    keeps_old: bool = False
    valid_until: datetime | None = None
    lets_in: bool = False
    own: bool = False


def account(key: Key, flavor: str) -> str:
    """As a statement names it."""
    name, host = key
    if flavor == POSTGRESQL:
        return quote_ident(name, flavor)
    return f"{quote_literal(name, flavor)}@{quote_literal(host or '%', flavor)}"


def shown(server: ServerIdentity, keys: Sequence[Key], new: NewPassword) -> str:
    """The statement as it is planned, recorded and shown: without the verifier."""
    return _text(server, keys, new, f"<{new.kind} verifier>", "<the old verifier>")


def set_password(
    server: ServerIdentity, keys: Sequence[Key], new: NewPassword, verifier: str, old: str = ""
) -> Statement:
    """Raises UsageError for a text that this server would not take for a verifier."""
    plugin = POSTGRESQL if server.flavor == POSTGRESQL else new.kind
    sendable(verifier, plugin)
    if new.keeps_old:
        sendable(old, plugin)
    quoted = quote_literal(verifier, server.flavor)
    sql = _text(server, keys, new, quoted, quote_literal(old, server.flavor) if old else "")
    return Statement(sql=sql, shown=shown(server, keys, new))


def set_plaintext(
    server: ServerIdentity, keys: Sequence[Key], new: NewPassword, password: Secret, old: Secret | None = None
) -> Statement:
    """For servers that take no verifier. The password is in the statement; so is `old` where it is asked."""
    quoted = quote_literal(password.reveal(), server.flavor)
    before = quote_literal(old.reveal(), server.flavor) if old is not None else ""
    return Statement(
        sql=_in_clear(server, keys, new, quoted, before), shown=shown_in_clear(server, keys, new)
    )


def replaces(server: ServerIdentity, new: NewPassword) -> bool:
    """Whether the old password is told, too: PASSWORD REQUIRE CURRENT asks for it who changes themselves."""
    return new.own and server.flavor == "mysql"


def shown_in_clear(server: ServerIdentity, keys: Sequence[Key], new: NewPassword) -> str:
    return _in_clear(server, keys, new, "<the password in clear>", "<the old one in clear>")


def _in_clear(server: ServerIdentity, keys: Sequence[Key], new: NewPassword, password: str, old: str) -> str:
    """MariaDB's SET PASSWORD is the one form that its binlog has as a hash."""
    if server.flavor == POSTGRESQL:
        until = f" valid until '{new.valid_until.isoformat()}'" if new.valid_until else ""
        return f"alter role {account(keys[0], server.flavor)} password {password}{until}"
    if server.flavor == "mariadb":
        return f"set password for {account(keys[0], server.flavor)} = password({password})"
    how = f"identified by {password}{f' replace {old}' if replaces(server, new) else ''}"
    how += " retain current password" if new.retain else ""
    return "alter user " + ", ".join(f"{account(key, server.flavor)} {how}" for key in keys)


def _text(server: ServerIdentity, keys: Sequence[Key], new: NewPassword, verifier: str, old: str) -> str:
    if server.flavor == POSTGRESQL:
        until = f" valid until '{new.valid_until.isoformat()}'" if new.valid_until else ""
        login = "login " if new.lets_in else ""
        return f"alter role {account(keys[0], server.flavor)} {login}password {verifier}{until}"
    if server.flavor == "mysql":
        how = f"identified with {new.kind} as {verifier}{' retain current password' if new.retain else ''}"
    elif new.own:
        return f"set password for {account(keys[0], server.flavor)} = {verifier}"
    else:
        how = f"identified via {new.kind} using {verifier}"
        how += f" or {new.kind} using {old}" if new.keeps_old else ""
    return "alter user " + ", ".join(f"{account(key, server.flavor)} {how}" for key in keys)


def discard_old(server: ServerIdentity, keys: Sequence[Key]) -> Statement:
    """MySQL forgets the password that RETAIN kept; a second time is as good."""
    named = ", ".join(f"{account(key, server.flavor)} discard old password" for key in keys)
    return _plain(f"alter user {named}")


def create(server: ServerIdentity, key: Key, kind: VerifierKind, verifier: str) -> Statement:
    """An account that may do nothing but log in; an empty verifier is for showing it only."""
    if verifier:
        sendable(verifier, POSTGRESQL if server.flavor == POSTGRESQL else kind)
    name, quoted = account(key, server.flavor), quote_literal(verifier, server.flavor)
    how = {
        POSTGRESQL: f"create role {name} login password {{}}",
        "mysql": f"create user {name} identified with {kind} as {{}}",
        "mariadb": f"create user {name} identified via {kind} using {{}}",
    }[server.flavor]
    head, _, tail = how.rpartition("{}")
    return Statement(sql=f"{head}{quoted}{tail}", shown=f"{head}<{kind} verifier>{tail}")


def drop(server: ServerIdentity, key: Key) -> Statement:
    what = "role" if server.flavor == POSTGRESQL else "user"
    return _plain(f"drop {what} if exists {account(key, server.flavor)}")


def shut_out(server: ServerIdentity, keys: Sequence[Key]) -> Statement:
    """Of a pair that take turns, the one whose turn is over: no login, and no password to log in with."""
    return _plain(f"alter role {account(keys[0], server.flavor)} nologin password null")


def read_verifier(user: str) -> Statement:
    """What PostgreSQL keeps of a role's password, for who may see it."""
    sql = "select rolpassword from pg_catalog.pg_authid where rolname = $1"
    return Statement(sql=sql, args=(user,), shown=f"{sql.replace('$1', quote_literal(user, POSTGRESQL))}")


def lock(server: ServerIdentity, keys: Sequence[Key]) -> Statement:
    """Nobody logs in any more; sessions that are there stay."""
    if server.flavor == POSTGRESQL:
        return _plain(f"alter role {account(keys[0], server.flavor)} nologin")
    return _plain("alter user " + ", ".join(account(key, server.flavor) for key in keys) + " account lock")


def unlock(server: ServerIdentity, keys: Sequence[Key]) -> Statement:
    if server.flavor == POSTGRESQL:
        return _plain(f"alter role {account(keys[0], server.flavor)} login")
    return _plain("alter user " + ", ".join(account(key, server.flavor) for key in keys) + " account unlock")


def revoke_role(server: ServerIdentity, of: Membership) -> Statement:
    """PostgreSQL 16 keeps each grantor's grant for itself, and takes away only the one that is named."""
    by = f" granted by {quote_ident(of.grantor, server.flavor)}" if of.grantor else ""
    return _plain(
        f"revoke {_role(of, server.flavor)} from {account((of.member, of.host), server.flavor)}{by}"
    )


def grant_role(server: ServerIdentity, of: Membership) -> Statement:
    """The grant as it was (PostgreSQL manual, "GRANT"; MySQL manual 15.7.1.6; MariaDB "GRANT")."""
    how = " with admin option" if of.admin else ""
    if of.inherits is not None:
        options = (("admin", of.admin), ("inherit", of.inherits), ("set", bool(of.becomes)))
        how = " with " + ", ".join(f"{name} {str(value).lower()}" for name, value in options)
    by = f" granted by {quote_ident(of.grantor, server.flavor)}" if of.grantor else ""
    who = account((of.member, of.host), server.flavor)
    return _plain(f"grant {_role(of, server.flavor)} to {who}{how}{by}")


def _role(of: Membership, flavor: str) -> str:
    if flavor == "mysql":
        return account((of.role, of.role_host), flavor)
    return quote_ident(of.role, flavor)


def _plain(sql: str) -> Statement:
    return Statement(sql=sql, shown=sql)
