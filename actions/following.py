"""What comes of ending sessions: whether their queue drains, who is the next root, who comes back."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from actions.session_forecast import behind, of_one_client, same_text
from console.dispatch.action import Plan, Watch
from console.engine.port import Engine
from console.errors import DbdeckError
from console.model.blocking import UNSEEN, BlockingTree
from console.model.deadlocks import statement_shape
from console.model.locks import bits, closure
from console.model.sessions import Session, State

QUIET_SECONDS = 3.0
LOOK_SECONDS = 0.5
LISTED = 20
TEXT_LIMIT = 2000


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """Whose session was ended, and what it ran; `statement` None is not known."""

    id: int
    user: str | None = None
    client: str | None = None
    application: str | None = None
    statement: str | None = None


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen when the plan was made: in a plan's evidence under `before`.

    `waiters` waited behind the subjects, which are `ended`; `known` are the other sessions that the
    same clients had then.
    """

    waiters: tuple[int, ...] = ()
    ended: tuple[Client, ...] = ()
    known: tuple[int, ...] = ()


def before(
    tree: BlockingTree, subjects: Sequence[Session], others: Iterable[Session], texts: Sequence[str | None]
) -> dict[str, Any]:
    """Evidence for a plan. `texts` are the subjects' statements, in their order."""
    ids = {one.id for one in subjects}
    known = sorted(
        one.id for one in others if one.id not in ids and any(of_one_client(one, each) for each in subjects)
    )
    maybe = {UNSEEN} if ids & tree.suspects else set()
    made = Before(
        waiters=tuple(behind(tree, ids | maybe)),
        ended=tuple(_client(one, text) for one, text in zip(subjects, texts, strict=True)),
        known=tuple(known),
    )
    return {"before": msgspec.to_builtins(made)}


def likeness(action: str, session: Session, statement: str | None) -> str:
    """Equal for doing the same to the same client's same statement; empty where its statement is unknown."""
    if not statement:
        return ""
    parts = (action, session.user, session.client, session.application, statement_shape(statement))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _client(session: Session, statement: str | None) -> Client:
    return Client(
        id=session.id,
        user=session.user,
        client=session.client,
        application=session.application,
        statement=statement[:TEXT_LIMIT] if statement else None,
    )


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """One look. `waiting` maps those of the former waiters who wait to the first of their blockers.

    `held` are those of them who do not merely wait their turn: behind somebody who did not wait with
    them, or who has got his lock and sits on it. `holders` are these.
    """

    waiting: dict[int, int] = {}
    held: tuple[int, ...] = ()
    holders: tuple[int, ...] = ()
    root: int | None = None
    behind_root: int = 0
    back: tuple[int, ...] = ()


async def follow(plan: Plan, engine: Engine, watch: Watch, *, settle: float = 0.0) -> dict[str, Any]:
    """Look every half a second until all former waiters are released and nothing new was seen for a
    while, until `watch.stop`, or until the time is over. A read that fails ends it; what was seen counts.

    `settle`: seconds given to those who wait at first, however short the watch is: locks are handed on one
    after the other, and who has just got his may meet the next holder a moment later. One look is none then.
    """
    told = msgspec.convert(plan.evidence.get("before", {}), Before)
    story = _Story(told, watch)
    try:
        await _look_on(story, engine, watch, settle)
    except DbdeckError as error:
        return {**story.evidence, "watch": f"broke off: {error.message}"}
    return story.evidence


async def _look_on(story: _Story, engine: Engine, watch: Watch, settle: float) -> None:
    clock = asyncio.get_running_loop().time
    start = moved = clock()
    while True:
        now = await _look(engine, story.before)
        if story.hear(now, clock() - start):
            moved = clock()
        quiet = not now.waiting and clock() - moved >= QUIET_SECONDS
        seconds = max(watch.seconds, settle if now.waiting else min(settle, LOOK_SECONDS))
        if quiet or story.nothing_to_see or watch.stop.is_set() or clock() - start >= seconds:
            return
        await pause(watch.stop, min(LOOK_SECONDS, seconds))


async def pause(stop: asyncio.Event, seconds: float) -> bool:
    """Wait, but not beyond `stop`; whether that was set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True


async def _look(engine: Engine, told: Before) -> Sight:
    tree = await engine.locks() if told.waiters else BlockingTree()
    wanted = any(one.statement for one in told.ended)
    sessions = await engine.sessions() if wanted else ()
    return sight(tree, sessions, told)


def sight(tree: BlockingTree, sessions: Iterable[Session], told: Before) -> Sight:
    waiters = set(told.waiters)
    waiting = {
        node.session.id: node.blocked_by[0] for node in tree if node.session.id in waiters and node.blocked_by
    }
    roots = [node for node in tree if node.root and node.blocks and node.session.id in waiters]
    root = max(roots, key=lambda node: node.blocks, default=None)
    held, holders = _held(tree, waiters)
    return Sight(
        waiting=waiting,
        held=held,
        holders=holders,
        root=root.session.id if root else None,
        behind_root=root.blocks if root else 0,
        back=tuple(came_back(sessions, told)),
    )


def _held(tree: BlockingTree, waiters: set[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    graph = tree.graph
    at_work = {node.session.id for node in tree if node.session.state is State.ACTIVE}
    reach, direct = closure(graph), graph.direct
    roots = sum(1 << bit for bit in bits(graph.involved) if not direct.get(bit))
    # Whoever of the former waiters has his lock now and works will pass it on.
    passing = sum(1 << bit for bit, one in enumerate(graph.ids) if one in waiters and one in at_work)
    found, above = [], 0
    for bit, one in enumerate(graph.ids):
        holding = reach.above[bit] & roots & ~passing
        if one in waiters and direct.get(bit) and holding:
            found.append(one)
            above |= holding
    return tuple(found), tuple(max(graph.ids[bit], 0) for bit in bits(above))


def came_back(sessions: Iterable[Session], told: Before) -> list[int]:
    """New sessions of an ended one's client that run, or last ran, its statement."""
    old = {*told.known, *(one.id for one in told.ended)}
    return [
        one.id
        for one in sessions
        if one.id not in old
        and any(
            (one.user, one.client, one.application) == (gone.user, gone.client, gone.application)
            and same_text((one.query or "")[:TEXT_LIMIT], gone.statement)
            for gone in told.ended
        )
    ]


class _Story:
    """What was seen so far, and told when it changed."""

    def __init__(self, told: Before, watch: Watch) -> None:
        self.before = told
        self.nothing_to_see = not told.waiters and not any(one.statement for one in told.ended)
        self._watch = watch
        self._last: Sight | None = None
        self._roots: dict[int, int] = {}
        self._back: dict[int, float] = {}

    def hear(self, now: Sight, at: float) -> bool:
        """Take in a look made `at` seconds after the start; whether it showed something new."""
        last, self._last = self._last, now
        news = [one for one in now.back if one not in self._back]
        self._back |= dict.fromkeys(news, round(at, 1))
        for one in news:
            self._watch.tell(f"its client came back as session {one} after {at:.1f} s")
        if now.root is not None and now.root not in self._roots:
            self._watch.tell(f"session {now.root} is the next root: {now.behind_root} wait behind it")
        if now.root is not None:
            self._roots[now.root] = max(now.behind_root, self._roots.get(now.root, 0))
        if self.before.waiters and (last is None or last.waiting.keys() != now.waiting.keys()):
            self._watch.tell(f"{self._released} of {len(self.before.waiters)} drained")
        return last is None or bool(news) or (last.waiting, last.root) != (now.waiting, now.root)

    @property
    def _released(self) -> int:
        waiting = self._last.waiting if self._last else {}
        return len(self.before.waiters) - len(waiting)

    @property
    def evidence(self) -> dict[str, Any]:
        """`not_freed`, `new_root` and `came_back` are there only where they were seen."""
        if self._last is None:
            return {"waiters_before": len(self.before.waiters)}
        found: dict[str, Any] = {
            "waiters_before": len(self.before.waiters),
            "waiters_released": self._released,
            "still_waiting_behind": sorted(set(self._last.waiting.values()))[:LISTED],
        }
        if self._last.held:
            found |= {"not_freed": list(self._last.held), "held_by": list(self._last.holders[:LISTED])}
        if self._roots:
            worst = max(self._roots, key=lambda one: self._roots[one])
            found |= {"new_root": worst, "new_root_blocked": self._roots[worst]}
        if self._back:
            found |= {"came_back": sorted(self._back)[:LISTED], "came_back_after": min(self._back.values())}
        return found
