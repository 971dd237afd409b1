"""Kills the runner of each library runbook once, at each row of its ledger; the next one ends the run.

python -m tests.dying --first 2 --last 40 --page       # hours; the page is docs/crash-points.md

Each number is one run of those tests of tests/integration/runbooks whose runners die: real situations on
real servers, and how each has to end. A runbook that ends in fewer rows was not killed, and is left out
from there on.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec

from tests.crashing.report import between
from tests.running import DEATHS_LOG
from tests.servers import places

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "crash-points.md"
TESTS = ("tests/integration/runbooks", "--timeout", "800", "-q", "--tb=short")
THOSE_THAT_DIE = "(die or killed) and not one-death"


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """`row` is the number of the row after which the runner was killed, `at` the last event of the run."""

    test: str
    runbook: str
    server: str
    row: int
    at: str
    step: str
    passed: bool


class Line(msgspec.Struct, frozen=True, kw_only=True):
    runbook: str
    server: str
    deaths: tuple[Death, ...]

    @property
    def wrong(self) -> int:
        return sum(1 for one in self.deaths if not one.passed)


def deaths(told: Iterable[dict[str, Any]], failed: frozenset[str]) -> list[Death]:
    return [
        Death(
            test=one["test"],
            runbook=one["runbook"],
            server=_server(one["test"], one["engine"]),
            row=one["row"],
            at=one["event"],
            step=one["step"],
            passed=one["test"] not in failed,
        )
        for one in told
    ]


def _server(test: str, engine: str) -> str:
    """By the parameter of the test, where it has one."""
    return next((name for name in places.NAMES if name in re.split(r"[\[\]-]", test)), engine)


def lines(found: Sequence[Death]) -> list[Line]:
    keys = sorted({(one.runbook, one.server) for one in found})
    return [
        Line(
            runbook=runbook,
            server=server,
            deaths=tuple(one for one in found if (one.runbook, one.server) == (runbook, server)),
        )
        for runbook, server in keys
    ]


def table(found: Sequence[Line]) -> str:
    said = [
        "| runbook | server | deaths | rows | steps the run stood at | ended otherwise |",
        "|---|---|---:|---|---|---:|",
    ]
    for one in found:
        rows = sorted({death.row for death in one.deaths})
        steps = list(
            dict.fromkeys(death.step for death in sorted(one.deaths, key=lambda d: d.row) if death.step)
        )
        said.append(
            f"| `{one.runbook}` | {one.server} | {len(one.deaths)} | {rows[0]}-{rows[-1]} "
            f"| {', '.join(f'`{step}`' for step in steps)} | {one.wrong} |"
        )
    return "\n".join(said)


def one_run(row: int, folder: Path, jobs: int, which: str, more: Sequence[str]) -> list[Death]:
    log, report = folder / f"{row}.jsonl", folder / f"{row}.xml"
    log.touch()
    environment = {**os.environ, "DBDECK_DEATHS": f"{row},1000", DEATHS_LOG: str(log)}
    wide = ("-n", str(jobs), "--dist", "worksteal")
    subprocess.run(
        [sys.executable, "-m", "pytest", *TESTS, "-k", which, *wide, f"--junitxml={report}", *more],
        cwd=ROOT, env=environment, check=False,
    )  # fmt: skip
    told = [json.loads(line) for line in log.read_text().splitlines()]
    return deaths(told, _failed(report))


def _failed(report: Path) -> frozenset[str]:
    cases = ElementTree.parse(report).iter("testcase")
    return frozenset(
        str(one.get("name"))
        for one in cases
        if one.find("failure") is not None or one.find("error") is not None
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first", type=int, default=2, metavar="ROW")
    parser.add_argument("--last", type=int, default=60, metavar="ROW")
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument(
        "--keep", type=Path, help="a folder for what each run told; what is in it is not run again"
    )
    parser.add_argument("--page", action="store_true", help="write the table into docs/crash-points.md")
    given, more = parser.parse_known_args()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="dbdeck-dying-"))
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Death] = []
    which = THOSE_THAT_DIE
    for row in range(given.first, given.last + 1):
        kept = folder / f"{row}.json"
        if kept.exists():
            now = msgspec.json.decode(kept.read_bytes(), type=list[Death])
        else:
            now = one_run(row, folder, given.jobs, which, more)
            kept.write_bytes(msgspec.json.encode(now))
        if not now:
            break  # no run has so many rows
        found += now
        which = " or ".join(sorted({one.test for one in now}))
    made = table(lines(found))
    sys.stdout.write(f"{made}\n")
    if given.page:
        PAGE.write_text(between(PAGE.read_text(), "runbooks", f"{made}\n"))
    return 1 if any(not one.passed for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
