"""The pictures of README and tour: the console on the demo's lock storm, as SVG. `make picture` runs it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from textual.pilot import Pilot

import actions
from console.demo.server import demo_server
from console.dispatch.registry import Registry
from console.tui.app import ConsoleApp

_FOLDER = Path(__file__).parent.parent / "docs" / "images"
# The picture shows the fonts of whoever looks at it and asks no server for its own.
FONT = re.compile(r"@font-face\s*{[^}]*}")
# name -> (keys that lead there from what was shown before, seconds until it has its data)
_TOUR = {
    "console": (("t",), 2.0),
    "tour-locks": (("escape",), 1.0),
    "tour-transactions": (("2",), 3.0),
    "tour-horizon": (("2",), 3.0),
    "tour-tables": (("3",), 4.0),
    "tour-runbooks": (("6",), 3.0),
    "tour-audit": (("9",), 3.0),
}


async def main() -> None:
    async with demo_server() as config:
        await asyncio.sleep(20)  # waits of some seconds look like an incident
        app = ConsoleApp(config, Registry(actions.ALL), shipped)
        async with app.run_test(size=(132, 38)) as pilot:
            await pilot.pause(3)
            for name, (keys, seconds) in _TOUR.items():
                await pilot.press(*keys)
                await pilot.pause(seconds)
                _save(app, name)
                if name == "tour-locks":
                    await _terminate(pilot)
            await app.desk.close()


async def _terminate(pilot: Pilot[int]) -> None:
    """Something for the audit pane to show: the root blocker is ended, with a reason."""
    await pilot.press("t")
    await pilot.pause(2)
    await pilot.press(*("space" if one == " " else one for one in "blocks checkout"), "enter")
    await pilot.pause(5)
    await pilot.press("escape")
    await pilot.pause(1)


def _save(app: ConsoleApp, name: str) -> None:
    svg = app.export_screenshot(title="dbdeck demo")
    (_FOLDER / f"{name}.svg").write_text(FONT.sub("", svg), encoding="utf-8")


def shipped() -> list[tuple[str, str]]:
    from importlib.resources import files

    found = (one for one in files("runbooks").iterdir() if one.name.endswith(".yaml"))
    return sorted((f"runbooks/{one.name}", one.read_text(encoding="utf-8")) for one in found)


if __name__ == "__main__":
    asyncio.run(main())
