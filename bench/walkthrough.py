"""The pictures of docs/walkthrough: the console on the demo and on servers that have only its logins, as SVG.

`make walkthrough` runs it. It wants the servers of the tests (`make servers`); one that is missing is told,
and its pictures stay as they are.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import yaml
from textual.pilot import Pilot

import actions
from bench.picture import FONT, shipped
from console.config import Config, parse
from console.demo.server import demo_server
from console.dispatch.registry import Registry
from console.tui.app import ConsoleApp
from tests.servers import accounts
from tests.servers.fleet import Fleet
from tests.servers.mysql import MysqlServer
from tests.servers.places import Missing

_FOLDER = Path(__file__).parent.parent / "docs" / "walkthrough"
NARROW, WIDE = (80, 24), (160, 50)


class Look(NamedTuple):
    """Keys that lead there from what was shown before, and the seconds until it has its data."""

    name: str
    keys: tuple[str, ...]
    seconds: float = 2.0


_DEMO_NARROW = (
    Look("demo-80-locks", ()),
    Look("demo-80-help", ("question_mark",)),
    Look("demo-80-plan", ("escape", "t")),
    Look("demo-80-runbook", ("escape", "6", "s"), 3.0),
    Look("demo-80-deadlocks", ("escape", "1", "1"), 3.0),
)
_DEMO_WIDE = (
    Look("demo-160-tables", ("3",), 4.0),
    Look("demo-160-palette", ("1", "ctrl+p", *"action"), 3.0),
)
_PLAIN = (
    Look("plain-80-nobody-waits", ()),
    Look("plain-80-effects", ("9", "9"), 3.0),
)
_BUSY = (
    Look("{}-80-locks", ()),
    Look("{}-80-plan", ("t",), 3.0),
    Look("{}-80-tables", ("escape", "3"), 4.0),
)


async def main() -> None:
    accounts.publish()
    fleet = Fleet()
    try:
        async with demo_server() as config:
            await asyncio.sleep(20)  # waits of some seconds look like an incident
            await _walk(config, NARROW, _DEMO_NARROW)
            await _walk(config, WIDE, _DEMO_WIDE)
        for name in ("pg18", "mysql", "mariadb"):
            try:
                server = await asyncio.to_thread(fleet.get, name)
            except Missing as error:
                print(f"left as they are: {error}", file=sys.stderr)
                continue
            with TemporaryDirectory(dir=Path.home()) as folder:
                config = _config(name, server, Path(folder))
                if isinstance(server, MysqlServer):
                    async with _queue(server):
                        await _walk(
                            config, NARROW, [one._replace(name=one.name.format(name)) for one in _BUSY]
                        )
                else:
                    await _walk(config, NARROW, _PLAIN)
    finally:
        await asyncio.to_thread(fleet.close)


def _config(name: str, server: Any, folder: Path) -> Config:
    """A ledger in a file and one target, in prod, as `dbdeck init` writes them."""
    audit = {"url": f"sqlite:///{folder}/audit.db", "journal": f"{folder}/journal"}
    target = server.target_dict(environment="prod")
    return parse(yaml.safe_dump({"audit": audit, "targets": {f"{name}-shop": target}}))


@asynccontextmanager
async def _queue(server: MysqlServer) -> AsyncIterator[None]:
    """A row that somebody forgot, and a DDL statement behind a report with readers behind it."""
    database = await server.new_database()
    forgotten, report, *waiters = [await server.connect(accounts.APP, database=database) for _ in range(8)]
    waits: list[asyncio.Task[Any]] = []
    try:
        await _run(forgotten, "create table orders (id int primary key, status varchar(20))")
        await _run(forgotten, "insert into orders values (1, 'new'), (2, 'new')")
        await _run(forgotten, "create table products (id int primary key, name varchar(20))")
        await _run(forgotten, "begin", "update orders set status = 'paid' where id = 1")
        await _run(report, "begin", "select count(*) from products")
        statements = [
            *["update orders set status = 'sent' where id = 1"] * 3,
            "alter table products add column weight int",
            *["select name from products where id = 1"] * 2,
        ]
        for waiter, statement in zip(waiters, statements, strict=True):
            waits.append(asyncio.create_task(_run(waiter, statement)))
            await asyncio.sleep(0.5)
        await asyncio.sleep(10)
        yield
    finally:
        for wait in waits:
            wait.cancel()
        for connection in (forgotten, report, *waiters):
            connection.close()


async def _run(connection: Any, *statements: str) -> None:
    async with connection.cursor() as cursor:
        for statement in statements:
            await cursor.execute(statement)


async def _walk(config: Config, size: tuple[int, int], looks: Sequence[Look]) -> None:
    app = ConsoleApp(config, Registry(actions.ALL), shipped)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(4)
        for look in looks:
            await _press(pilot, look.keys)
            await pilot.pause(look.seconds)
            svg = app.export_screenshot(title=f"dbdeck, {size[0]}x{size[1]}")
            (_FOLDER / f"{look.name}.svg").write_text(FONT.sub("", svg), encoding="utf-8")
        await app.desk.close()


async def _press(pilot: Pilot[int], keys: Sequence[str]) -> None:
    for key in keys:
        await pilot.press(key)
        await pilot.pause(0.3)


if __name__ == "__main__":
    os.chdir(Path(__file__).parent.parent)
    asyncio.run(main())
