"""Whether there is still somebody at the terminal."""

from __future__ import annotations

import select
from typing import TextIO


def hung_up(terminal: TextIO | None) -> bool:
    """Its other end was closed: poll(2) tells so without reading."""
    if terminal is None or terminal.closed:
        return True
    poll = select.poll()
    poll.register(terminal, 0)
    return any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))
