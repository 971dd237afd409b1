"""TCP keepalive: who waits for hours for an answer must notice that nobody is there any more."""

from __future__ import annotations

import asyncio
import socket

# After half a minute of silence, six probes ten seconds apart: a cut is noticed within two minutes.
_OPTIONS = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6))


def keep_alive(transport: asyncio.BaseTransport | None) -> None:
    """Nothing to do on a unix socket, whose end is noticed at once."""
    found = transport.get_extra_info("socket") if transport is not None else None
    if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS:
        option = getattr(socket, name, None)  # macOS calls the first one otherwise
        if option is not None:
            found.setsockopt(socket.IPPROTO_TCP, option, value)
