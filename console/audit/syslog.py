"""Lines for a syslog, which nobody here can take back: marks of checkpoints, receipts of a break-glass."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from logging.handlers import SysLogHandler
from typing import Final
from uuid import UUID

from console.audit.one_thread import OneThread
from console.audit.record import Row
from console.audit.table.port import in_time

SECONDS: Final = 1.0


class _Loud(SysLogHandler):
    """One that says when a message cannot be sent."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002 - logging's signature
        raise  # noqa: PLE0704 - called while the fault is handled


def send(address: str, line: str) -> None:
    """`address`: /dev/log, udp://HOST:PORT or tcp://HOST:PORT. Raises OSError, also for a name or a port that
    there cannot be.
    """
    try:
        _send(address, line)
    except (ValueError, OverflowError) as error:
        raise OSError(f"it is no address: {error}") from None


def _send(address: str, line: str) -> None:
    kind, _, rest = address.partition("://")
    where: str | tuple[str, int] = address
    stream: socket.SocketKind | None = None  # of a path: whichever the socket is
    if rest:
        host, _, port = rest.rpartition(":")
        where = (host.strip("[]"), int(port))
        stream = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
    handler = _Loud(where, facility=SysLogHandler.LOG_AUTH, socktype=stream)
    handler.ident = "dbdeck: "
    handler.append_nul = False  # a log shows it as one character more
    # By it a stream tells messages apart (RFC 6587, 3.4.2).
    ended = f"{line}\n" if handler.socktype is socket.SOCK_STREAM else line
    try:
        handler.emit(logging.LogRecord("dbdeck", logging.INFO, "", 0, ended, None, None))
    finally:
        handler.close()


class Receipts:
    """Tells each row of a break-glass to every syslog, when its journal has it and before anything is done.

    A log that does not answer holds nothing up: it is waited for once, and `lost` says how many rows it has
    not taken for all one knows, and why.
    """

    def __init__(self, ledger: UUID, addresses: Sequence[str]) -> None:
        self.lost: dict[str, tuple[int, str]] = {}
        self._ledger = ledger
        self._ways = {one: OneThread(f"syslog {one}") for one in addresses}

    async def tell(self, row: Row) -> None:
        """Raises nothing of the network's."""
        line = receipt_line(self._ledger, row)
        for address, way in self._ways.items():
            await self._tell(address, way, line)

    async def _tell(self, address: str, way: OneThread, line: str) -> None:
        sending = way.ask(lambda: send(address, line))
        if address in self.lost:  # it is sent when the log answers again, and nobody waits to see it
            sending.cancel()
            number, why = self.lost[address]
            self.lost[address] = number + 1, why
            return
        try:
            await in_time(SECONDS, sending)
        except TimeoutError:
            self.lost[address] = 1, f"no answer in {SECONDS:g} s"
        except OSError as error:
            self.lost[address] = 1, error.strerror or str(error)


def receipt_line(ledger: UUID, row: Row) -> str:
    """Its link covers all of the row; nothing of its text is told."""
    return (
        f"audit break-glass ledger={ledger} writer={row.writer} seq={row.seq} kind={row.kind} "
        f"action={row.action_id} link={row.link.hex()}"
    )
