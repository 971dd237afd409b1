"""What `doctor` shows of a PostgreSQL server. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from console.model.target import Check


def checks(row: dict[str, Any], cost: tuple[float, float]) -> tuple[Check, ...]:
    role = row["role"]
    powerful = row["superuser"] or row["signal_backend"]
    skew = row["clock"] - datetime.now().astimezone().timestamp()
    free = row["max_connections"] - row["reserved"] - row["used"]
    return (
        Check(
            name="sessions and locks",
            ok=row["read_all_stats"],
            detail="sees every session" if row["read_all_stats"] else "other roles' sessions stay hidden",
            hint="" if row["read_all_stats"] else f"GRANT pg_monitor TO {role};",
            vital=True,
        ),
        Check(
            name="monitor cannot act",
            ok=not powerful,
            detail=f"the polling role {'could' if powerful else 'cannot'} end sessions by itself",
            hint="" if not row["signal_backend"] else f"REVOKE pg_signal_backend FROM {role};",
        ),
        _verifiers(role, readable=row["verifiers"]),
        Check(
            name="connection slots",
            ok=free > 0,
            detail=f"{row['used']} of {row['max_connections']} used, {row['reserved']} for superusers only",
        ),
        Check(
            name="clock",
            ok=abs(skew) < 2,
            detail=f"the server is {skew:+z.1f} s from this machine",
        ),
        Check(
            name="load of one poll",
            ok=cost[0] < 20,
            detail=f"about {cost[0]:.1f} ms on the server every refresh; round trip {cost[1]:.1f} ms",
        ),
    )


def _verifiers(role: str, *, readable: bool) -> Check:
    """Not vital: who does not want to open verifiers to the monitor does without."""
    if readable:
        return Check(name="accounts", ok=True, detail="how passwords are kept is seen, and can be checked")
    return Check(
        name="accounts",
        ok=None,
        detail="how passwords are kept is unknown, and they cannot be checked",
        hint=f"GRANT SELECT (rolname, rolpassword, rolcanlogin) ON pg_catalog.pg_authid TO {role};",
    )
