"""The picture of the README: the console on the demo's lock storm, as SVG. `make picture` runs it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import actions
from console.demo.server import demo_server
from console.dispatch.registry import Registry
from console.tui.app import ConsoleApp

_TARGET = Path(__file__).parent.parent / "docs" / "images" / "console.svg"
# The picture shows the fonts of whoever looks at it and asks no server for its own.
_FONT = re.compile(r"@font-face\s*{[^}]*}")


async def main() -> None:
    async with demo_server() as config:
        await asyncio.sleep(20)  # waits of some seconds look like an incident
        app = ConsoleApp(config, Registry(actions.ALL))
        async with app.run_test(size=(132, 38)) as pilot:
            await pilot.pause(3)
            await pilot.press("t")
            await pilot.pause(2)
            svg = app.export_screenshot(title="dbdeck demo")
            await pilot.press("escape")
            await app.desk.close()
    _TARGET.write_text(_FONT.sub("", svg), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
