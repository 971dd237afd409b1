"""Two PostgreSQL roles that take turns: a role has one password, so that an overlap takes two roles.

Both are members of one owner that nobody logs in as, and become it when they log in (ALTER ROLE … SET role):
what either makes belongs to the owner, and the other can change it (manual, "ALTER ROLE" and 22.3).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actions import rotating
from actions.credential_aims import Aim, rows_of
from console.engine.queries import quote_ident
from console.errors import UsageError
from console.model.accounts import Account
from console.model.verifiers import POSTGRESQL
from console.secret_store import SecretStore


async def turned(aim: Aim, other: str, found: Sequence[Account], store: SecretStore | None) -> Aim:
    """The aim of the role whose turn it is; its entry is that of the pair. Raises UsageError."""
    if aim.flavor != POSTGRESQL:
        raise UsageError(
            "alternate= is for PostgreSQL: this server keeps two passwords itself; nothing was executed",
            "leave it away",
        )
    first, second = (rows_of(found, name, aim.flavor)[0] for name in (aim.user, other))
    if other == aim.user:
        raise UsageError(f"{other} cannot take turns with itself; nothing was executed")
    _one_owner(first, second)
    now, following = await _turn(aim, other, store)
    return msgspec.structs.replace(aim, user=following, keys=((following, None),), pair=now, entry=aim.entry)


async def _turn(aim: Aim, other: str, store: SecretStore | None) -> tuple[str, str]:
    """(who logs in now, whose turn is next). Raises UsageError while the last turn is not over."""
    pair = {aim.user: other, other: aim.user}
    if store is None:
        return aim.user, other
    current, pending, previous = await rotating.entries(store, aim.entry)
    if pending is not None and pending.user in pair:
        return pair[pending.user], pending.user
    now = current.user if current is not None and current.user in pair else aim.user
    if current is not None and current.rotation == aim.rotation:
        return pair[now], now  # it is done already
    if previous is not None and previous.user == pair[now]:
        raise UsageError(
            f"{pair[now]} may still be in use from before the last rotation: its password would end; "
            "nothing was executed",
            f"`dbdeck apply credential.retire account={aim.user}` first",
        )
    return now, pair[now]


def _one_owner(first: Account, second: Account) -> None:
    owners = [one.becomes for one in (first, second)]
    if owners[0] and owners[0] == owners[1]:
        return
    owner = quote_ident(owners[0] or owners[1] or f"{first.name}_owner", POSTGRESQL)
    one, two = (quote_ident(account.name, POSTGRESQL) for account in (first, second))
    raise UsageError(
        f"{first.name} and {second.name} do not become one owner when they log in: what one makes, the other "
        "could not change; nothing was executed",
        f"CREATE ROLE {owner} NOLOGIN; GRANT {owner} TO {one}, {two}; ALTER ROLE {one} SET role = {owner}; "
        f"ALTER ROLE {two} SET role = {owner}; and give {owner} what {one} owns",
    )
