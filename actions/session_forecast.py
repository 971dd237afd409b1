"""What ending a session, or its statement, would do: pure functions over what was just read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

import msgspec

from actions.words import counted, who
from console.model.blocking import BlockingTree
from console.model.locks import Closure, bits, closure
from console.model.sessions import Session, State
from console.model.whatif import Aftermath, after, jams, node_of
from console.present.units import waited

# Rows a second that InnoDB undoes. The quick end was measured with everything in memory and nothing else
# running (200,000 updated rows: MariaDB 10.11 219,000 to 439,000, MySQL 9.7 110,000 to 188,000); the slow
# end leaves room for a busy server that reads the pages from disk first.
UNDO_FAST, UNDO_SLOW = 400_000, 20_000
LISTED = 10
_POOLERS = ("pgbouncer", "proxysql", "pgcat", "odyssey", "maxscale")
_COMMIT = re.compile(
    r"\s*(?:/\*.*?\*/\s*)*(?:commit|end|prepare\s+transaction|xa\s+(?:commit|prepare))\b", re.IGNORECASE
)


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What a forecast is made of: one session among the others, and the queues as they are.

    `statement` is the running or last one as far as it is known. `standbys` is the value of
    synchronous_standby_names, where the session commits and the server has such a setting. `prepared` names
    the XA transaction that the session has prepared and not finished.
    """

    flavor: str
    session: Session
    tree: BlockingTree
    others: tuple[Session, ...] = ()
    statement: str | None = None
    standbys: str = ""
    prepared: str | None = None


# ---- forecasts ---------------------------------------------------------------------------------


def terminating(scene: Scene) -> tuple[str, ...]:
    """What comes of ending the session."""
    if scene.prepared is not None:
        return (detaches(scene.prepared),)
    return (*queue_forecast(scene.tree, {scene.session.id}), *_jam(scene, "ending"), *_undo(scene))


def detaches(name: str) -> str:
    """A prepared XA transaction outlives its session."""
    return (
        f"frees nobody and undoes nothing: its XA transaction {name} is prepared and stays, with its locks; "
        "once its session is gone, transaction.rollback_prepared ends it"
    )


def cancelling(scene: Scene) -> tuple[str, ...]:
    """What comes of ending only the statement that it runs."""
    node = node_of(scene.tree, scene.session.id)
    lines = ["the statement ends with an error"]
    if node is not None and node.wait_seconds is not None:
        lines = [f"it stops waiting for {node.object}"]
    lines += [_kept(scene), *_jam(scene, "cancelling")]
    held = hard_waiters(scene.tree, scene.session.id)
    if held and scene.flavor != "postgresql":
        wait = "waits" if held == 1 else "wait"
        lines.append(f"{counted(held, 'session')} {wait} for what its transaction holds, and {wait} on")
    return tuple(line for line in lines if line)


def _kept(scene: Scene) -> str:
    """What becomes of the locks of the statement's transaction."""
    if not scene.session.in_transaction and scene.session.query_seconds is None:
        return ""
    if scene.flavor == "postgresql":
        return (
            "its transaction is aborted with it and frees its locks, except what an outer savepoint's "
            "work holds"
        )
    return "in an explicit transaction, what was locked before stays locked until that ends"


def queue_forecast(tree: BlockingTree, gone: Collection[int]) -> tuple[str, ...]:
    """Who runs and who waits on once the sessions `gone` end."""
    waiting, maybe = behind(tree, gone), unseen(tree, gone)
    if not waiting:
        return (maybe or "nobody waits on it",)
    seen = after(tree, gone)
    left = len(waiting) - len(set(waiting) & set(seen.released))
    lines = []
    if seen.released:
        lines = [
            f"releases {counted(len(seen.released), 'session')} and "
            f"{waited(seen.released_seconds, len(seen.released), seen.unclocked)}"
        ]
    if seen.at_once:
        lines.append(f"{counted(len(seen.at_once), 'session')} run{_s(seen.at_once)} at once{_next(seen)}")
    if left:
        wait = f"wait{_s_of(left)}"
        lines.append(f"{counted(left, 'session')} behind it also {wait} for others, and {wait} on")
    return (*lines, maybe) if maybe else tuple(lines)


def unseen(tree: BlockingTree, among: Iterable[int]) -> str:
    """That sessions wait for a blocker of which the server only tells that it may be one of these."""
    number = max((tree.behind_unseen(one) for one in among), default=0)
    if not number:
        return ""
    others = [one for one in sorted(tree.suspects) if one > 0]
    listed = f"{', '.join(map(str, others[:LISTED]))}{', …' if others[LISTED:] else ''}"
    wait = f"{counted(number, 'session')} wait{_s_of(number)}"
    return f"{wait} for one of the sessions {listed}: the server does not tell for which"


def _next(seen: Aftermath) -> str:
    if seen.next_root is None or seen.next_root not in seen.at_once or not seen.behind_it:
        return ""
    return f"; then session {seen.next_root} is the root, with {seen.behind_it} waiting behind it"


def _s(some: Sequence[int]) -> str:
    return _s_of(len(some))


def _s_of(number: int) -> str:
    return "s" if number == 1 else ""


def _jam(scene: Scene, doing: str) -> tuple[str, ...]:
    """The subject waits itself, and others could pass if it did not stand in the queue."""
    jam = next((one for one in jams(scene.tree) if one.waiter == scene.session.id), None)
    if jam is None:
        return ()
    return (
        f"it waits itself, and stands before others in the queue: {doing} it frees "
        f"{counted(jam.held_up, 'session')} that session {jam.blocker} would let pass",
    )


def _undo(scene: Scene) -> tuple[str, ...]:
    session = scene.session
    if scene.flavor == "postgresql":
        aborts = "its transaction is rolled back: PostgreSQL aborts at once; nothing is undone row by row"
        return (aborts,) if session.in_transaction else ()
    if session.rows_modified:
        return (undo_forecast(session.rows_modified),)
    return ("rolls its open transaction back; it has modified no rows",) if session.in_transaction else ()


def undo_seconds(rows: int) -> tuple[float, float]:
    """(shortest, longest) time InnoDB may need to undo that many modified rows, in seconds."""
    return rows / UNDO_FAST, rows / UNDO_SLOW


def undo_forecast(rows: int) -> str:
    shortest, longest = undo_seconds(rows)
    time = "less than a second" if longest < 1 else f"about {_time(shortest)} to {_time(longest)}"
    return (
        f"InnoDB undoes about {counted(rows, 'modified row')}: {time}, more on a busy disk; its locks stay "
        "until then, it cannot be stopped, and a restart does not skip it"
    )


def _time(seconds: float) -> str:
    if seconds < 1:
        return "1 s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


# ---- warnings ----------------------------------------------------------------------------------


def warnings(scene: Scene) -> tuple[str, ...]:
    session = scene.session
    found = [*_committing(scene), *_pooled(session), *_parallel(scene), *_return(scene)]
    if session.kind not in ("client backend", "Query", "Sleep"):
        found.append(f"it is {'an' if session.kind[0] in 'aeiou' else 'a'} {session.kind}")
    return tuple(found)


def commits(session: Session) -> bool:
    """A COMMIT runs in it: ending it now may come before or after the point of no return."""
    return session.state is State.ACTIVE and _COMMIT.match(session.query or "") is not None


def _committing(scene: Scene) -> tuple[str, ...]:
    if not commits(scene.session):
        return ()
    risk = "it is committing: afterwards the transaction may be committed or not; look before repeating it"
    if scene.standbys:
        risk += (
            f" (synchronous_standby_names is {scene.standbys!r}: it may be committed here and missing there)"
        )
    return (risk,)


def _pooled(session: Session) -> tuple[str, ...]:
    pooler = (session.application or "").lower()
    if any(name in pooler for name in _POOLERS):
        return ("it belongs to a pooler: another client may be behind it by now",)
    return ()


def _parallel(scene: Scene) -> tuple[str, ...]:
    session = scene.session
    if session.leader is not None and session.leader != session.id:
        return (f"it is a parallel worker of session {session.leader}, whose statement fails with it",)
    workers = sum(1 for one in scene.others if one.leader == session.id and one.id != session.id)
    return (f"{counted(workers, 'parallel worker')} end with it",) if workers else ()


def _return(scene: Scene) -> tuple[str, ...]:
    again = doing_the_same(scene.session, scene.others, scene.statement)
    if not again:
        return ()
    return (f"its client has {counted(len(again), 'more session')} doing the same: it will likely come back",)


def protected(session: Session) -> tuple[str, ...]:
    return (str(session.protection),) if session.protection else ()


# ---- clients -----------------------------------------------------------------------------------


def of_one_client(one: Session, other: Session) -> bool:
    """The same user from the same address under the same application's name."""
    return (one.user, one.client, one.application) == (other.user, other.client, other.application)


def same_text(one: str | None, other: str | None) -> bool:
    return bool(one and other) and " ".join((one or "").split()) == " ".join((other or "").split())


def doing_the_same(session: Session, others: Iterable[Session], statement: str | None) -> tuple[Session, ...]:
    """Other sessions of its client that run, or last ran, its statement."""
    return tuple(
        one
        for one in others
        if one.id != session.id and of_one_client(one, session) and same_text(one.query, statement)
    )


# ---- the queue ---------------------------------------------------------------------------------


def behind(tree: BlockingTree, blockers: Iterable[int]) -> list[int]:
    """Everyone who waits on one of them, directly or through others; never one of them."""
    ids = tree.graph.ids
    wanted = set(blockers)
    found = 0
    reach: Closure | None = None
    for bit, session in enumerate(ids):
        if session in wanted:
            reach = reach or closure(tree.graph)
            found |= reach.below[bit]
    return sorted(ids[bit] for bit in bits(found) if ids[bit] not in wanted)


def hard_waiters(tree: BlockingTree, session: int) -> int:
    """How many wait directly for what the session holds, not merely for its place in a queue."""
    if session not in tree.graph.ids:
        return 0
    me = 1 << tree.graph.ids.index(session)
    return sum(1 for mask in tree.graph.hard.values() if mask & me)


def waiting_line(tree: BlockingTree, ids: Sequence[int]) -> str:
    """`session 12 (…), session 13 (…) and 4 more`."""
    known = {node.session.id: node.session for node in tree}
    named = [who(known[one]) if one in known else f"session {one}" for one in ids[:3]]
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    return ", ".join(named) + more
