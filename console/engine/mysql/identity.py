"""Which server answers: asked of the monitor's and the operator's connection alike."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from console.engine.mysql.errors import FAILURES, on_connect, on_read
from console.engine.port import READ_SECONDS
from console.engine.queries import query
from console.errors import Unreachable
from console.model.target import ServerIdentity, Target
from console.wire.mysql import Connection

_VERSION = re.compile(r"(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)")  # old MariaDB prefixes its version for old clients


async def identify(connection: Connection, target: Target) -> ServerIdentity:
    """Raises an Unreachable error."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            version = (await connection.fetch("select version()")).rows[0][0]
            flavor, number = recognise(version)
            row = (await connection.fetch(query("mysql", "identity", flavor, number))).dicts()[0]
    except FAILURES as error:
        raise on_read(error, target, "identity") from None
    except Unreachable as error:
        raise on_connect(error, target) from None
    return identity(row, target)


def recognise(version: str) -> tuple[str, int]:
    """Flavour and numeric version: `9.4.0` is 90400, `10.11.19-MariaDB` is 101119.

    Raises Unreachable for a version that is none.
    """
    parts = _VERSION.match(version)
    if parts is None:
        raise Unreachable(
            f"this server calls itself {version[:40]!r}: no version of MySQL or MariaDB",
            "check the address, and that no proxy answers in the server's place",
        )
    major, minor, patch = (int(part) for part in parts.groups())
    return "mariadb" if "mariadb" in version.lower() else "mysql", major * 10000 + minor * 100 + patch


def identity(row: Mapping[str, Any], target: Target) -> ServerIdentity:
    flavor, number = recognise(row["version"])
    writable = row["read_only"] in ("0", "OFF") and row["super_read_only"] in ("0", "OFF")
    return ServerIdentity(
        flavor=flavor,
        version=row["version"].removeprefix("5.5.5-").partition("-")[0],
        version_num=number,
        system_id=row["system_id"],
        started_at=datetime.fromtimestamp(int(row["started"]), UTC),
        primary=writable,
        tls="unix socket" if target.local else row["tls"] or "off",
        user=row["account"],
        database=row["db"],
    )
