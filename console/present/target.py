"""The target bar: who is looked at, how safely, and how old what is shown is."""

from __future__ import annotations

from datetime import datetime

import msgspec

from console.model.reading import Problem
from console.model.target import ServerIdentity, Target, TlsMode
from console.present.units import age, clean

# Upper ends of the latency classes, in ms: a figure that flickered would be drawn at every refresh.
_CLASSES = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 15000)


def latency_class(latency_ms: float) -> int:
    return next((top for top in _CLASSES if latency_ms <= top), _CLASSES[-1])


class Latency:
    """The shown class of latency: it moves only when three readings in a row agree that it should.

    The first reading is left out: it holds the time of connecting.
    """

    def __init__(self) -> None:
        self.shown: int | None = None
        self._other = 0
        self._connected = False

    def feed(self, latency_ms: float | None) -> None:
        if latency_ms is None or not self._connected:
            self._connected = latency_ms is not None
            return
        found = latency_class(latency_ms)
        self._other = 0 if found == self.shown else self._other + 1
        if self.shown is None or self._other > 2:
            self.shown, self._other = found, 0

    def __str__(self) -> str:
        if self.shown is None:
            return "connected" if self._connected else "connecting"
        return f"<{self.shown} ms" if self.shown < 1000 else f"<{self.shown // 1000} s"


def tls_badge(target: Target, identity: ServerIdentity | None) -> str:
    """What protects the wire; weaker than verify-full is said loudly."""
    if target.local:
        return "socket"
    if target.tls is TlsMode.OFF:
        return "NO TLS"
    spoken = identity.tls if identity else "TLS"
    return spoken if target.tls is TlsMode.VERIFY_FULL else f"{spoken} ({target.tls})"


def title(target: Target, identity: ServerIdentity | None) -> str:
    parts = [
        target.environment.upper(),
        clean(target.name, 60),
        identity.label if identity else f"{target.engine}, not reached yet",
    ]
    if identity and identity.primary is False:
        parts.append("STANDBY")
    if target.read_only:
        parts.append("read-only")
    parts.append(tls_badge(target, identity))
    return " · ".join(parts)


def foremost(own: Problem | None, other: Problem | None) -> Problem | None:
    """What is told of a view whose read has one problem and another read of the same server another one.

    A right that is missing there says nothing of this one; a server that is away is away for both, since it
    was first missed.
    """
    if other is None or other.kind == "privilege":
        return own
    if own is None or own.kind == "privilege":
        return other
    began = min(filter(None, (own.since, other.since)), default=None)
    return msgspec.structs.replace(own, since=began)


def paused(taken_at: datetime | None, now: datetime) -> str:
    """What nobody polls is not live. In steps of ten seconds: a line over SSH is thin."""
    old = (now - taken_at).total_seconds() // 10 * 10 if taken_at else 0.0
    return f"PAUSED · data {age(old)} old" if old else "PAUSED"


def freshness(
    taken_at: datetime | None, now: datetime, problem: Problem | None, late: float, *, outdated: bool = False
) -> tuple[str, bool]:
    """(words, stale). Nothing ticks while data arrives in time; then the age counts up.

    `late` is how long the running poll has waited beyond what is usual, in seconds, or 0. `outdated` is
    data of a view that was not looked at for a while and is being read again.
    """
    old = (now - taken_at).total_seconds() if taken_at else None
    if outdated and problem is None and not late:
        return f"data {age(old)} old, asking …", True
    if problem is None and not late:
        return ("live" if old is not None else "waiting for the first answer"), False
    since = f"data {age(old)} old" if old is not None else "no data yet"
    if late:
        return f"NO ANSWER for {age(max(late, 1.0))}, {since}", True  # never for 0 s
    if problem and problem.kind == "privilege":
        return f"NO RIGHT to read this, {since}", True  # nothing fails meanwhile, so nothing ticks
    began = (now - problem.since).total_seconds() if problem and problem.since else 0.0
    return f"FAILING for {age(began)}, {since}", True
