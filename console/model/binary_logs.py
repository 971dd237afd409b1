"""MySQL's and MariaDB's binary logs: which there are, and who reads which of them."""

from __future__ import annotations

from datetime import datetime

import msgspec

from console.model.sessions import Session


class BinaryLog(msgspec.Struct, frozen=True, kw_only=True):
    """One file, as the server lists it."""

    name: str
    bytes: int


class BinaryLogs(msgspec.Struct, frozen=True, kw_only=True):
    """The files, the oldest first; the last one is being written.

    `readers` are the connected replicas (and whoever else asks for the log); a replica that is away is in no
    list of the server. `read` are the closed files that they have open now, and None where that is not known,
    as `why` says. `expire_seconds`: 0 is never. `clock` is the server's.
    """

    files: tuple[BinaryLog, ...]
    readers: tuple[Session, ...] = ()
    read: tuple[str, ...] | None = ()
    why: str = ""
    expire_seconds: int
    clock: datetime

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in self.files)

    def before(self, name: str) -> tuple[BinaryLog, ...]:
        """The files older than this one. Raises KeyError where there is no such file."""
        names = [one.name for one in self.files]
        if name not in names:
            raise KeyError(name)
        return self.files[: names.index(name)]
