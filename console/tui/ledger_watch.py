"""Whether the ledger that is open still answers: nobody reads it while other views are looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from console.errors import DbdeckError

if TYPE_CHECKING:
    from console.audit.ledger import Ledger

EVERY_SECONDS = 5.0
SILENT_SECONDS = 1.0  # without an answer, until it is told; and until it is asked again, where it was busy


class LedgerWatch:
    """`silence` says what is wrong; empty while the ledger answers. `changed` is called when it changes."""

    def __init__(self, ledger: Ledger, changed: Callable[[], None]) -> None:
        self.silence = ""
        self._ledger = ledger
        self._changed = changed

    async def keep(self) -> None:
        """Until it is cancelled."""
        while True:
            known = await self.look()
            await asyncio.sleep(EVERY_SECONDS if known else SILENT_SECONDS)

    async def look(self) -> bool:
        """Whether anything is known now; a read of ours that is under way says nothing."""
        asked = asyncio.ensure_future(self._ledger.answers())
        try:
            return await self._heard(asked)
        finally:
            asked.cancel()

    async def _heard(self, asked: asyncio.Future[bool]) -> bool:
        began = time.monotonic()
        done, _ = await asyncio.wait({asked}, timeout=SILENT_SECONDS)
        if time.monotonic() - began > 2 * SILENT_SECONDS:
            return False  # this process was stopped: whose silence it was is not known
        if not done and not self.silence:
            self._say("the audit ledger does not answer")
        try:
            if not await asked:
                return False
        except DbdeckError as error:
            self._say(error.message)
        else:
            self._say("")
        return True

    def _say(self, silence: str) -> None:
        if silence != self.silence:
            self.silence = silence
            self._changed()
