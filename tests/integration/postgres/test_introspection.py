"""No read makes the driver ask the catalogs for types: it would do so in the middle of an incident."""

from __future__ import annotations

from typing import Any

import pytest

from console.engine.queries import query
from tests.guards.test_sql_is_read_only import ENGINE
from tests.integration.postgres.conftest import Desk

READS = sorted(path.stem for path in (ENGINE / "postgres" / "sql").glob("*.sql"))
# They need what is not there: an extension, PostgreSQL 19, the name of a table, or a question.
ELSEWHERE = {
    *("measure_table", "measure_table_quickly", "measure_index", "progress_repack"),
    *("contents_count", "contents_rows", "ask"),
}


async def test_types_are_known_beforehand(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    session = await desk.session()
    await session.execute("set search_path = pg_catalog")
    name = ""

    async def introspect(*_: Any) -> tuple[list[Any], None]:
        asked.append(name)
        raise LookupError(name)

    monkeypatch.setattr(type(session), "_introspect_types", introspect)
    version = int(await session.fetchval("show server_version_num"))
    for name in READS:
        if name not in ELSEWHERE:
            try:
                await session.prepare(query("postgres", name, "postgresql", version))
            except LookupError:
                continue
    assert asked == []
