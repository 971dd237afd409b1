"""The blocking tree as cells and as rows of a document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from console.model.blocking import BlockingTree, LockNode
from console.model.sessions import Protection
from console.model.whatif import Aftermath, Jam, after, jams, node_of, queued_behind
from console.present.sessions import key, reference, state, statement, text
from console.present.table import Column, Line, Lines, Tone
from console.present.units import UNKNOWN, age, clean, count, counted, waited

COLUMNS = (
    Column(title="session", width=17, whole=True),
    Column(title="wait", width=6, align="right"),
    Column(title="blocks", width=6, align="right"),
    Column(title="state", width=10),
    Column(title="user", width=10, drop=4),
    Column(title="object", width=22, drop=1, names=True),
    Column(title="mode", width=16, drop=2),
    Column(title="xact", width=6, align="right", drop=5),
    Column(title="application", width=12, drop=6),
    Column(title="statement", width=20, grow=True),
)
_DEEPEST = 5
BESIDE = _DEEPEST + 4  # what stands in front of a session's number at most: its depth, and how it waits


def lines(nodes: Sequence[LockNode]) -> Lines[LockNode]:
    unsure = _unsure(nodes)
    return Lines(nodes, lambda node: _line(node, sure=node.session.id not in unsure))


def _unsure(nodes: Iterable[LockNode]) -> frozenset[int]:
    """Of whom it is not known how many they block: any of them may be the unseen blocker."""
    return nodes.suspects if isinstance(nodes, BlockingTree) else frozenset()


def _line(node: LockNode, *, sure: bool) -> Line:
    session = node.session
    return Line(
        key=key(session),
        cells=(
            tree(node),
            "ROOT" if node.root else age(node.wait_seconds),
            count(node.blocks) if node.blocks else "" if sure else UNKNOWN,
            state(session),
            text(session.user),
            clean(node.object or "", 200),
            mode(node),
            age(session.transaction_seconds) if session.transaction_seconds is not None else "",
            text(session.application),
            statement(session),
        ),
        tone=tone(node),
    )


def tone(node: LockNode) -> Tone:
    if node.root or node.cycle:
        return Tone.BAD
    return Tone.WARN if node.blocks else Tone.NORMAL


def tree(node: LockNode) -> str:
    """The id with its place in the tree; `╰` waits for a lock, `┄` only for its turn in the queue."""
    number = "prepared" if node.session.prepared else str(node.session.id)
    if node.depth == 0:
        return f"{'↻ ' if node.cycle else ''}{number}"
    shown = min(node.depth, _DEEPEST)
    deeper = f"{node.depth}" if node.depth > _DEEPEST else ""
    return " " * shown + deeper + ("┄ " if node.edge == "soft" else "╰ ") + number


_MODES = {
    "AccessShareLock": "AccessShare",
    "RowShareLock": "RowShare",
    "RowExclusiveLock": "RowExclusive",
    "ShareUpdateExclusiveLock": "ShareUpdateExcl",
    "ShareLock": "Share",
    "ShareRowExclusiveLock": "ShareRowExcl",
    "ExclusiveLock": "Exclusive",
    "AccessExclusiveLock": "AccessExclusive",
}


def mode(node: LockNode) -> str:
    """Short, because every mode of PostgreSQL ends in Lock."""
    return _MODES.get(node.mode or "", clean(node.mode or "", 40))


def summary(nodes: Sequence[LockNode]) -> str:
    """One line above the tree."""
    waiting = [node for node in nodes if node.wait_seconds is not None or node.edge]
    roots = sum(1 for node in nodes if node.root)
    if not nodes:
        return "nobody waits for a lock"
    known = [node.wait_seconds for node in waiting if node.wait_seconds is not None]
    deadlock = " · a deadlock is forming" if any(node.cycle for node in nodes) else ""
    return (
        f"{len(waiting)} waiting behind {roots} root blocker{'' if roots == 1 else 's'}, "
        f"{waited(sum(known), len(waiting), len(waiting) - len(known))}{deadlock}"
    )


def jam(tree: BlockingTree, found: Sequence[Jam] | None = None) -> str:
    """The worst session that stops others only by standing before them in the queue; empty for none.

    `found` are the tree's jams, from whoever has them already.
    """
    worst = next(iter(jams(tree) if found is None else found), None)
    if worst is None:
        return ""
    node = node_of(tree, worst.waiter)
    doing = f" ({clean(node.session.query or '', 60)})" if node and node.session.query else ""
    blocker, freed = _numbered(worst.blocker), "it" if worst.held_up == 1 else "them"
    spared = node.session.protection if node else None
    end = f"cancelling it frees {freed}"
    if spared is not None:  # of a replica the applier: it would stop with an error
        end = f"it is not to be cancelled ({spared.partition(':')[0]}); ending {blocker} frees {freed}, too"
    return (
        f"{worst.waiter}{doing} waits for {blocker} and holds up {counted(worst.held_up, 'other')} "
        f"whom {blocker} would let pass: {end}"
    )


def _numbered(session: int) -> str:
    """A graph id in words: prepared transactions are minus their number, the unseen far below."""
    if session > 0:
        return str(session)
    return "a prepared transaction" if session > -(1 << 61) else "an unseen session"


def unconfirmed(tree: Iterable[LockNode]) -> str:
    """The root that most wait for, where it has no lock to wait for but a standby to confirm its commit."""
    found = [one for one in tree if one.root and one.session.protection is Protection.SYNC_REP]
    worst = max(found, key=lambda one: one.blocks, default=None)
    if worst is None:
        return ""
    return (
        f"{worst.session.id} holds up {counted(worst.blocks, 'other')} because its commit waits for a "
        "synchronous standby: the Overview and the runbook replication-lag tell whether one streams"
    )


def notes(tree: Iterable[LockNode]) -> list[str]:
    said = (jam(tree) if isinstance(tree, BlockingTree) else "", unconfirmed(tree))
    return [one for one in said if one]


def forecast(tree: BlockingTree, node: LockNode) -> str:
    """What ending the session would do to the queues."""
    if not node.blocks:
        return ""
    seen = after(tree, {node.session.id})
    if not seen.released:
        return "frees nobody: all who wait for it wait for others too"
    freed = f"frees {len(seen.released)} and {_waited(seen)}"
    if seen.next_root is None:
        return f"{freed}; nobody waits behind them then"
    follows = f"{_numbered(seen.next_root)} is the next root then, with {seen.behind_it} behind it"
    return f"{freed}; {len(seen.at_once)} at once; {follows}"


def _waited(seen: Aftermath) -> str:
    return waited(seen.released_seconds, len(seen.released), seen.unclocked)


def storm(tree: Sequence[LockNode], least: int) -> str:
    """What to call out when at least so many wait; empty below."""
    waiting = sum(1 for node in tree if node.edge)
    if waiting < least:
        return ""
    worst = next((node for node in tree if node.root), None)
    name = f", {worst.blocks} of them behind {worst.session.prepared or worst.session.id}" if worst else ""
    return f"lock storm: {waiting} sessions wait{name}"


def details(node: LockNode, tree: BlockingTree | None = None) -> list[tuple[str, str]]:
    """Everything about one node, label and value, for the pane beside the tree."""
    session = node.session
    maybe = tree.behind_unseen(session.id) if tree is not None else 0
    blocks = (
        f"{counted(node.blocks, 'session')}; ending it releases {node.releases}" if node.blocks else "nobody"
    )
    if maybe:
        known = f"{blocks}; " if node.blocks else ""
        blocks = f"{known}not known: {maybe} wait for an unseen blocker that may be it"
    pairs = [
        ("session", f"{session.id} started {_moment(session.started_at)}"),
        ("user", f"{text(session.user)} @ {text(session.client)} in {text(session.database)}"),
        ("application", f"{text(session.application) or 'no name'} ({text(session.kind)})"),
        ("state", f"{state(session)} for {age(session.state_seconds)}"),
        (
            "transaction",
            age(session.transaction_seconds) if session.transaction_seconds is not None else "none",
        ),
        (
            "waits for",
            f"{clean(node.object or '', 300)} {mode(node)}" if node.edge else "nobody: a root blocker",
        ),
        ("blocked by", blockers(node) if node.edge else ""),
        ("blocks", blocks),
        ("ending it", forecast(tree, node) if tree is not None and not session.prepared else ""),
        ("protected", str(session.protection) if session.protection else ""),
    ]
    if node.root:
        pairs[5] = ("holds", f"{clean(node.object or '', 300)} {mode(node)}")
    return [(label, value) for label, value in pairs if value]


def blockers(node: LockNode) -> str:
    shown = ", ".join(str(number) for number in node.blocked_by[:8])
    more = node.blocked_by_count - min(8, len(node.blocked_by))
    how = "" if node.edge == "hard" else " (ahead in the queue; holds nothing that conflicts)"
    return f"{shown}{f' and {more} more' if more > 0 else ''}{how}"


def _moment(at: object) -> str:
    return str(at) if at else "unknown"


def document(nodes: Iterable[LockNode]) -> list[dict[str, Any]]:
    """Rows of `show locks --json`: one a session in the wait graph, roots first; null is unknown."""
    nodes = nodes if isinstance(nodes, BlockingTree) else tuple(nodes)
    unsure = _unsure(nodes)
    queued = queued_behind(nodes) if isinstance(nodes, BlockingTree) else None
    return [
        {
            "session": reference(node.session),
            "blocked_by": list(node.blocked_by),
            "blocked_by_count": node.blocked_by_count,
            "root": node.root,
            "blocks": None if not node.blocks and node.session.id in unsure else node.blocks,
            "wait_seconds": node.wait_seconds,
            "edge": node.edge,
            "mode": node.mode,
            "object": node.object,
            "state": node.session.state,
            "user": node.session.user,
            "database": node.session.database,
            "application": node.session.application,
            "client": node.session.client,
            "transaction_seconds": node.session.transaction_seconds,
            "releases": node.releases,
            "releases_seconds": node.releases_seconds,
            "holds_up": None if queued is None else queued[node.session.id],
            "depth": node.depth,
            "cycle": node.cycle,
            "protected": node.session.protection,
            "visible": node.session.visible,
            "query": node.session.query,
        }
        for node in sorted(nodes, key=lambda node: not node.root)
    ]
