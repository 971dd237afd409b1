"""Every point of every scenario, on real servers that it starts itself; writes docs/crash-points.md.

python -m tests.crashing --every
python -m tests.crashing --points 6 --servers pg18 --only 'session.*'
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from console.dispatch.lease import sweep
from tests.crashing.keeping import publish
from tests.crashing.killing import ROOT, Undertaker, mostly_after, scaffold, spread, undertaker
from tests.crashing.report import Line, put_into, summary, table
from tests.crashing.scenarios import of_flavor
from tests.crashing.situation import Scenario
from tests.servers import places
from tests.servers.fleet import Fleet, Server

PAGE = ROOT / "docs" / "crash-points.md"
SERVERS = "pg18,mysql,mariadb"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def label(name: str) -> str:
    word = {"mysql": "MySQL", "mariadb": "MariaDB"}.get(name, "PostgreSQL")
    return f"{word} {places.version(name)}"


async def one_line(
    scenario: Scenario, server: Server, folder: Path, by: Undertaker, given: argparse.Namespace
) -> Line:
    async with scaffold(scenario, server, folder, by) as here:
        whole = await here.whole()
        number = min(given.points or whole.turns, scenario.few or whole.turns)
        if given.before > 1 and not scenario.few:
            chosen = mostly_after(whole, number, given.before, given.seed)
        else:
            chosen = spread(whole.turns, number, given.seed)
        found = [one async for one in here.deaths(chosen)]
    return Line(title=scenario.title, server=label(server.name), turns=whole.turns, points=tuple(found))


async def lines(
    given: argparse.Namespace, fleet: Fleet, done: Collection[tuple[str, str]]
) -> AsyncIterator[Line]:
    base = Path(tempfile.mkdtemp(prefix="crashing-", dir=given.folder))
    async with undertaker() as by:
        for name in given.servers.split(","):
            server = await asyncio.to_thread(fleet.get, name)
            for place, scenario in enumerate(of_flavor(server.flavor)):
                if not fnmatchcase(scenario.title, given.only) or (scenario.title, label(name)) in done:
                    continue
                began = time.monotonic()
                try:
                    line = await one_line(scenario, server, base / f"{name}-{place}", by, given)
                except (AssertionError, TimeoutError, OSError) as error:
                    say(f"{scenario.title} on {name} broke: {error!r}")
                    continue
                say(f"{line.row.strip()} {time.monotonic() - began:.0f} s")
                for one in (*line.wrong, *line.faulty):
                    say(f"  {one}")
                yield line


def options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crashing", description=__doc__)
    parser.add_argument("--every", action="store_true", help="every turn, but of those that take long")
    parser.add_argument("--points", type=int, default=0, help="so many of each scenario")
    parser.add_argument("--before", type=int, default=1, help="before the intent only each so many-th turn")
    parser.add_argument("--servers", default=SERVERS)
    parser.add_argument("--only", default="*", help="a shell pattern of scenarios")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1000)
    parser.add_argument("--folder", default="/var/tmp", help="not on tmpfs")
    parser.add_argument("--save", help="keep the lines here, as JSON; what is in it is not run again")
    parser.add_argument("--page", action="store_true", help=f"write the table into {PAGE.name}")
    given = parser.parse_args(words)
    given.points = given.points or (0 if given.every else 8)
    return given


async def main(given: argparse.Namespace) -> int:
    sweep()
    publish()
    say(f"seed {given.seed}")
    fleet = Fleet()
    found = kept(given.save)
    try:
        async for one in lines(given, fleet, {(line.title, line.server) for line in found}):
            found.append(one)
            if given.save:
                Path(given.save).write_bytes(msgspec.json.encode(found))
    finally:
        await asyncio.to_thread(fleet.close)
    say(table(found) + summary(found))
    if given.page:
        write_page(found)
    return int(any(line.wrong or line.faulty for line in found))


def kept(path: str | None) -> list[Line]:
    """Of an earlier run that was broken off."""
    if path is None or not Path(path).exists():
        return []
    return msgspec.json.decode(Path(path).read_bytes(), type=list[Line])


def write_page(found: Sequence[Line]) -> None:
    when = f"{datetime.now(UTC):%Y-%m-%d}, on {', '.join(sorted({one.server for one in found}))}."
    PAGE.write_text(put_into(PAGE.read_text(), found, when))


if __name__ == "__main__":
    sys.exit(asyncio.run(main(options(sys.argv[1:]))))
