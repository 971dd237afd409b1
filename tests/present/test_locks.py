"""Cells of the blocking tree: hostile text is shown, never obeyed."""

from __future__ import annotations

from console.model.blocking import UNSEEN, blocking_forest
from console.model.locks import Edge, wait_graph
from console.model.sessions import UNSEEN_KIND, Session, State
from console.present import locks
from tests.fakes import ScriptedEngine, make_session, storm

HOSTILE = "select '\x1b[2J\x1b]0;pwned\x07'\r\n\t[red]x[/red] \x9b31m \u202egnp"


async def test_roots_come_first_and_say_so() -> None:
    nodes = await ScriptedEngine(storm(2)).locks()
    lines = locks.lines(nodes)
    assert [line.cells[0].strip() for line in lines] == ["1", "╰ 2", "╰ 3"]
    assert lines[0].cells[1:4] == ("ROOT", "2", "idle in tx")
    assert locks.summary(nodes) == "2 waiting behind 1 root blocker, 24s of waiting"


async def test_hostile_text_reaches_no_cell_as_it_is() -> None:
    root = make_session(1, state=State.IDLE_IN_TRANSACTION, query=HOSTILE, user=HOSTILE, application=HOSTILE)
    nodes = await ScriptedEngine([root, make_session(2, query="x" * 100_000)]).locks()
    shown = [cell for line in locks.lines(nodes) for cell in line.cells]
    shown += [value for node in nodes for _, value in locks.details(node)]
    for cell in shown:
        assert cell.isprintable(), ascii(cell)
        assert len(cell) < 2_000
    assert any("[red]x[/red]" in cell for cell in shown)


async def test_a_hidden_session_is_unknown_and_not_zero() -> None:
    hidden = make_session(1, visible=False, query=None, state=State.UNKNOWN)
    line = locks.lines(await ScriptedEngine([hidden, make_session(2)]).locks())[0]
    assert "hidden" in line.cells
    assert "(no privilege to see it)" in line.cells


async def test_a_process_of_the_server_says_what_it_is_and_a_silent_client_nothing() -> None:
    applier = make_session(1, kind="logical replication apply worker", query=None, application=None)
    shown = locks.lines(await ScriptedEngine([applier, make_session(2, query=None)]).locks())
    assert [line.cells[-1] for line in shown] == ["(logical replication apply worker)", ""]


async def test_the_document_has_the_fields_of_the_contract() -> None:
    rows = locks.document(await ScriptedEngine(storm(2)).locks())
    assert [row["root"] for row in rows] == [True, False, False]
    contract = {
        "session", "blocked_by", "blocked_by_count", "root", "blocks", "wait_seconds", "edge", "mode",
        "object", "state", "user", "application", "client", "transaction_seconds", "query",
    }  # fmt: skip
    assert contract <= rows[0].keys()
    assert rows[1]["blocked_by"] == [1]
    assert rows[0]["wait_seconds"] is None


def test_an_unknown_number_of_waiters_is_shown_as_unknown() -> None:
    graph = wait_graph((), {}, edges=(Edge(7, 5), Edge(3, UNSEEN)))
    unseen = Session(id=0, started_at=None, kind=UNSEEN_KIND, visible=False)
    tree = blocking_forest(graph, {UNSEEN: unseen, 7: make_session(7)}, {})
    tree.suspects = frozenset({7})
    (line,) = [line for line in locks.lines(tree) if line.cells[0].strip().endswith("7")]
    assert line.cells[2] == "?"
    rows = {row["session"]["id"]: row["blocks"] for row in locks.document(tree)}
    assert (rows[7], rows[5], rows[0], rows[3]) == (None, 1, 1, 0)
    (node,) = [node for node in tree if node.session.id == 7]
    assert dict(locks.details(node, tree))["blocks"].startswith("not known: 1 wait for an unseen blocker")
    assert any("the server does not tell whose" in line.cells[-1] for line in locks.lines(tree))
