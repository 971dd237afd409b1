"""The roles an account was granted, on every engine; never polled."""

from __future__ import annotations

from typing import Any

from console.engine.port import READ_SECONDS, Engine
from console.engine.queries import query
from console.errors import ActionFailed, PrivilegeMissing
from console.model.accounts import Membership

MOST = 1000
_GRANTS = {"mysql": "SELECT ON mysql.role_edges", "mariadb": "SELECT ON mysql.roles_mapping"}


async def memberships(engine: Engine, user: str) -> tuple[Membership, ...]:
    """Of all rows of a user. Raises PrivilegeMissing with the GRANT where they may not be seen."""
    server = await engine.identity()
    package = "postgres" if server.flavor == "postgresql" else "mysql"
    sql = query(package, "memberships", server.flavor, server.version_num)
    try:
        found = await engine.select(sql, (user,), seconds=READ_SECONDS, limit=MOST)
    except ActionFailed as error:
        needed = _GRANTS.get(server.flavor)
        hint = f"GRANT {needed} TO {engine.target.monitor.user}@'%';" if needed else error.hint
        raise PrivilegeMissing(f"the roles of {user} cannot be seen: {error.message}", hint) from None
    if found.truncated:
        raise PrivilegeMissing(f"{user} has more than {MOST} roles, and not all of them were seen")
    return tuple(_membership(row) for row in found.rows)


def _membership(row: dict[str, Any]) -> Membership:
    return Membership(
        role=row["role"],
        role_host=row.get("role_host"),
        member=row["member"],
        host=row.get("host"),
        admin=bool(row["admin"]),
        inherits=row.get("inherits"),
        becomes=row.get("becomes"),
        grantor=row.get("grantor"),
        passed_on=tuple(row.get("passed_on") or ()),
    )
