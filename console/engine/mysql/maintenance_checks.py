"""What `doctor` finds out about the reads that maintenance is decided by."""

from __future__ import annotations

from console.engine.mysql.link import Link
from console.engine.mysql.numbers import NO_TABLE
from console.engine.mysql.table_rows import visibility
from console.errors import PrivilegeMissing
from console.model.target import Check


async def maintenance_findings(link: Link) -> list[Check]:
    return [
        await _visible(link),
        await _readable(link, "table_statistics", "table statistics", "when statistics were collected"),
        await _readable(link, "index_sizes", "index sizes", "how large indexes are"),
    ]


async def _visible(link: Link) -> Check:
    name = "tables and indexes"
    _, identity = await link.connected()
    try:
        hidden = int((await link.fetch("tables_hidden", name))[0]["hidden"])
    except PrivilegeMissing as missing:
        return Check(name=name, ok=None, detail="which tables there are is unknown", hint=missing.hint)
    if hidden:
        detail = f"{hidden} tables are hidden from this login"
        return Check(name=name, ok=None, detail=detail, hint=visibility(identity.user))
    return Check(name=name, ok=True, detail="all are visible")


async def account_finding(link: Link) -> Check:
    """Not vital: who does not want to open verifiers to the monitor does without."""
    try:
        await link.fetch("accounts", "accounts")
    except PrivilegeMissing as missing:
        return Check(name="accounts", ok=None, detail="who may log in is unknown", hint=missing.hint)
    return Check(name="accounts", ok=True, detail="can be seen, and their passwords checked")


async def _readable(link: Link, read: str, name: str, what: str) -> Check:
    try:
        await link.fetch(read, name, NO_TABLE, NO_TABLE)
    except PrivilegeMissing as missing:
        return Check(name=name, ok=None, detail=f"{what} is unknown", hint=missing.hint)
    return Check(name=name, ok=True, detail="readable")
