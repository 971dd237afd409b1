"""The library of runbooks as the console has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from console.dispatch.registry import Registry
from console.errors import DbdeckError
from console.present.reads import READS
from console.present.runbooks import Books
from console.runbook.lint import Catalogue
from console.runbook.loader import Library, load_folders
from console.runbook.sound import faults, must_be_sound

Shipped = Callable[[], Iterable[tuple[str, str]]]


class Bookcase:
    """The runbooks there are, read again only when a file of the config's folders changed; linted are those
    that are not shipped, or call one that is not.
    """

    def __init__(self, folders: Sequence[Path], shipped: Shipped, registry: Registry) -> None:
        self._folders = folders
        self._shipped = shipped
        self._catalogue = Catalogue(registry, frozenset(READS))
        self._stamp: object = None
        self._library = Library(())
        self._books = Books(documents=())
        self._reading = asyncio.Lock()

    @property
    def loaded(self) -> Library:
        """What was read last; nothing before."""
        return self._library

    async def library(self) -> Library:
        await self._read()
        return self._library

    async def books(self) -> Books:
        await self._read()
        return self._books

    def must_be_sound(self, name: str) -> None:
        """Raises ConfigError for an error in it, UsageError where there is none of this name."""
        must_be_sound(self._library, name, self._catalogue, datetime.now(UTC).date())

    async def _read(self) -> None:
        async with self._reading:
            stamp = await asyncio.to_thread(self._looked)
            if stamp == self._stamp:
                return
            self._library, self._books = await asyncio.to_thread(self._loaded)
            self._stamp = stamp

    def _looked(self) -> tuple[object, ...]:
        """What changes when a file does; a folder that cannot be read is told when it is loaded."""
        found: list[object] = ["read"]
        for folder in self._folders:
            try:
                found += [(one.name, one.stat().st_mtime_ns, one.stat().st_size) for one in folder.iterdir()]
            except OSError as error:
                found.append(str(error))
        return tuple(found)

    def _loaded(self) -> tuple[Library, Books]:
        shipped = tuple(self._shipped())
        library = load_folders(self._folders, shipped)
        ours = {text for _, text in shipped}
        today = datetime.now(UTC).date()
        wrong = {}
        for one in library:
            try:
                if all(called.text in ours for called in library.with_callees(one.id).values()):
                    continue  # linted before they were shipped, and once more before a run is started
                found = faults(library, one.id, self._catalogue, today)
            except DbdeckError as error:
                wrong[one.id] = error.message
                continue
            if found:
                wrong[one.id] = f"{found[0].rule}: {found[0].message}"
        documents = tuple((one.document, one.source) for one in library)
        told = tuple(fault.message for fault in library.faults)
        return library, Books(documents=documents, wrong=wrong, faults=told)
