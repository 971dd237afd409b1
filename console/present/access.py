"""The statements that make dbdeck's logins, as a person can paste them; `account.create` sends the same."""

from __future__ import annotations

import re
from collections.abc import Iterable

from console.engine.queries import quote_ident, quote_literal
from console.model.access import POSTGRESQL, Purpose, Right, rights

_PLAIN = re.compile(r"dbdeck[a-z0-9_]*")  # no reserved word of any server begins so
PASSWORD = "'…'"  # noqa: S105 - where a person puts one


def account_in_sql(flavor: str, name: str, host: str | None) -> str:
    """Bare where it needs no quotes, which is what people write."""
    if flavor == POSTGRESQL:
        return name if _PLAIN.fullmatch(name) else quote_ident(name, flavor)
    user = name if _PLAIN.fullmatch(name) else quote_literal(name, flavor)
    return f"{user}@{quote_literal(host or '%', flavor)}"


def grant(right: Right, account: str) -> str:
    """Without the semicolon."""
    what = ", ".join(right.names)
    return f"GRANT {what} ON {right.on} TO {account}" if right.on else f"GRANT {what} TO {account}"


def creation(flavor: str, account: str) -> str:
    if flavor == POSTGRESQL:
        return f"CREATE ROLE {account} LOGIN PASSWORD {PASSWORD}"
    return f"CREATE USER {account} IDENTIFIED BY {PASSWORD}"


def statements(
    purpose: Purpose, flavor: str, version: int, name: str, host: str | None = None
) -> tuple[str, ...]:
    """Everything for one login, each with its semicolon."""
    account = account_in_sql(flavor, name, host)
    wanted = rights(purpose, flavor, version)
    return tuple(f"{one};" for one in (creation(flavor, account), *(grant(one, account) for one in wanted)))


def to_mend(missing: Iterable[Right], flavor: str, name: str, host: str | None = None) -> tuple[str, ...]:
    """The GRANTs of what a login lacks."""
    account = account_in_sql(flavor, name, host)
    return tuple(f"{grant(one, account)};" for one in missing)
