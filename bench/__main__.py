"""All that can be measured here, in one run: `python -m bench [--small] [--json FILE]`, or `make bench`."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from bench import headless, pane, report, scale, trouble
from bench.peers import DBDECK, absent


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="one round, and without the largest sizes")
    parser.add_argument("--only", default="", help="programs, with commas between")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found: dict[str, Any] = {}
    found["pane"] = await pane.measure(1 if given.small else 3, 20, given.only)
    print(f"Locks pane, 500 sessions, 200 waiting, 160x50\n{report.beside(found['pane'], DBDECK.name)}\n")
    found["trouble"] = await trouble.measure(given.only)
    print(f"Trouble\n{report.beside(found['trouble'], DBDECK.name)}\n")
    found["headless"] = await headless.measure(5 if given.small else 15)
    for group in found["headless"].values():
        cells = [[name, report.figure(value)] for name, value in group.items()]
        print(f"{report.table(['', 'ms'], cells)}\n")
    found["scale"] = await scale.measure(given.small, scale.LEDGER)
    print(f"not installed: {', '.join(absent()) or 'none'}")
    report.write(given.json, found)


if __name__ == "__main__":
    asyncio.run(main())
