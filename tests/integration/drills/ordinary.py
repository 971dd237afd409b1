"""Run by an ordinary user: restore one dump, and say how many rows came back and what failed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from console.model.backups import Method, Source
from tests.integration.drills.drilling import drilled


async def main(folder: str, name: str, binaries: str) -> None:
    source = Source(method=Method.PG_DUMP, path=folder)
    async with drilled(source, name, Path(binaries)) as drill:
        ((rows,),) = await drill.ask("select count(*) from s.t")
        failed = [*drill.failed(), *drill.broken(), *await drill.fenced()]
        sys.stdout.write(f"{rows} {failed}\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
