"""What the target's operator lacks, as far as the monitor's login may know it."""

from __future__ import annotations

from collections.abc import Sequence

from console.engine.mysql.grants import lacking
from console.engine.mysql.link import Link
from console.engine.mysql.rows import account_literal
from console.engine.port import Need
from console.errors import PrivilegeMissing


async def operator_lacks(link: Link, needs: Sequence[Need]) -> tuple[str, ...]:
    """Nothing where the login may not read accounts, or where the name alone does not tell which it is."""
    operator = link.target.operator
    if operator is None or not needs:
        return ()
    _, identity = await link.connected()
    if operator.user == identity.user.rpartition("@")[0]:
        rows = await link.fetch("grants", "its own rights")
        return lacking(_lines(rows), needs, account_literal(identity.user))
    try:
        accounts = await link.fetch("accounts_named", "accounts", operator.user)
        if [row["name"] for row in accounts] != [operator.user]:
            return ()
        host = str(accounts[0]["host"])
        rows = await link.fetch("grants_of", "the operator's rights", operator.user, host)
    except PrivilegeMissing:
        return ()
    return lacking(_lines(rows), needs, account_literal(f"{operator.user}@{host}"))


def _lines(rows: Sequence[dict[str, object]]) -> list[str]:
    return [str(next(iter(row.values()))) for row in rows]
