"""An app that writes down what it hears: `python -m tests.tui.listener FILE`, at a terminal.

`s` leaves the screen to others for a moment, `i` counts how often the reader wakes in a second, `q` ends.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

from textual import work
from textual.events import Key

from console.tui.tight import TightApp


class Listener(TightApp[None]):
    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def on_ready(self) -> None:
        self._note("ready")

    def on_key(self, event: Key) -> None:
        self._note(event.key)
        if event.key == "s":
            with self.suspend():
                self._note("outside")
        elif event.key == "i":
            self._count_wakes()
        elif event.key == "q":
            self.exit()

    @work
    async def _count_wakes(self) -> None:
        before = _wakes()
        await asyncio.sleep(1.0)
        self._note(f"woke {_wakes() - before}")

    def _note(self, text: str) -> None:
        with self._file.open("a") as file:
            file.write(f"{text}\n")


def _wakes() -> int:
    """How often the thread waited so far, as Linux counts."""
    reader = next(thread for thread in threading.enumerate() if thread.name == "textual-input")
    status = Path(f"/proc/self/task/{reader.native_id}/status").read_text()
    return int(status.partition("nonvoluntary")[0].rpartition("voluntary_ctxt_switches:")[2])


if __name__ == "__main__":
    Listener(Path(sys.argv[1])).run()
