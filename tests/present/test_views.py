"""Deadlocks, transactions and the horizon in cells and words."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from console.model.blocking import BlockingTree, LockNode
from console.model.deadlocks import (
    Deadlock,
    DeadlockHistory,
    LockRef,
    Participant,
    inversion,
    statement_shape,
)
from console.model.horizon import Holder, HolderKind, Horizon, Uncleaned
from console.model.locks import WaitGraph
from console.model.sessions import Protection, State
from console.model.tables import Exhaustion, Table, Tables
from console.model.transactions import OpenTransaction
from console.model.whatif import Jam
from console.present import deadlocks, horizon, locks, tables, transactions
from console.present.table import Tone
from tests.fakes import NOW, ScriptedEngine, make_session, storm


def deadlock(first: str, second: str, **over: object) -> Deadlock:
    one = Participant(
        session=1,
        statement=first,
        wants=LockRef(mode="X", object="row 7 of shop.a"),
        holds=(LockRef(mode="X", object="row 9 of shop.b"),),
        victim=True,
    )
    two = Participant(session=2, statement=second, wants=LockRef(mode="X", object="row 9 of shop.b"))
    made = Deadlock(at=NOW, source="server log", ident=f"{first}{second}", participants=(one, two))
    return msgspec.structs.replace(made, **over)


def test_a_fingerprint_is_of_the_code_paths_and_not_of_their_values() -> None:
    a = deadlock("update a set n = 1 where id = 7", "update b set n = 'x''y' where id in (1, 2, 3)")
    b = deadlock("UPDATE a  SET n = 22\nwhere id = 8", "update b set n = 'z' where id in (4,5)")
    c = deadlock("update a set m = 1 where id = 7", "update b set n = 'x' where id in (1)")
    assert a.fingerprint == b.fingerprint != c.fingerprint
    swapped = msgspec.structs.replace(a, participants=a.participants[::-1])
    assert swapped.fingerprint == a.fingerprint
    assert statement_shape("select 'it''s', 0x1F, 1.5e3 from t1") == "select ?, ?, ? from t1"


def test_the_inversion_is_said_in_words() -> None:
    lines = inversion(deadlock("a", "b").participants)
    assert lines[0] == (
        "session 1 held X on row 9 of shop.b and wanted X on row 7 of shop.a of session 2; it was rolled back"
    )
    assert "what the one before it wants" in lines[1]


def test_a_deadlock_of_which_only_the_time_is_known_is_shown_as_such() -> None:
    bare = Deadlock(at=NOW, source="error log", ident="x")
    (line,) = deadlocks.lines(DeadlockHistory(deadlocks=(bare,)))
    assert line.tone is Tone.MUTED
    assert line.cells[1:3] == ("?", "?")
    assert "only its time is known" in line.cells[-1]
    assert deadlocks.cycle(bare) == []


def test_the_summary_of_a_history_says_what_nothing_describes() -> None:
    history = DeadlockHistory(deadlocks=(deadlock("a", "b"),), counted=4, counted_since=NOW, missed=3)
    assert "1 known, of 1 kind" in deadlocks.summary(history)
    assert "the server counted 4" in deadlocks.summary(history)
    assert history.happened == 4
    assert deadlocks.beside(history)["missed"] == 3
    assert deadlocks.summary(DeadlockHistory()) == "no deadlock is known"
    (row,) = deadlocks.document(history)
    assert (row["victim"], row["count"], len(row["participants"])) == (1, 1, 2)


def test_hostile_text_in_a_log_is_one_clean_line() -> None:
    evil = deadlock("select '\x1b[2J'\n\u202e", "x\ty")
    (line,) = deadlocks.lines(DeadlockHistory(deadlocks=(evil,)))
    assert all(cell.isprintable() for cell in line.cells)
    assert all(said.isprintable() for said in deadlocks.details(DeadlockHistory(deadlocks=(evil,)), evil))


def test_what_is_not_known_of_a_transaction_is_not_zero() -> None:
    unknown = OpenTransaction(session=make_session(1), blocks=None)
    nobody = OpenTransaction(session=make_session(2), blocks=0)
    worst = OpenTransaction(session=make_session(3, state=State.IDLE_IN_TRANSACTION), blocks=3)
    lines = transactions.lines([unknown, nobody, worst])
    assert [line.cells[4] for line in lines] == ["?", "", "3"]
    assert lines[2].tone is Tone.BAD
    assert transactions.document([unknown])[0]["blocks"] is None
    assert "1 idle in transaction, 1 blocking others" in transactions.summary([unknown, nobody, worst])
    assert transactions.summary([]) == "no transaction is open"


def test_the_statements_of_an_idle_transaction_are_its_last_ones() -> None:
    idle = make_session(1, state=State.IDLE_IN_TRANSACTION)
    pairs = transactions.details(OpenTransaction(session=idle, statements=("newest", "older")))
    assert ("last", "newest") in pairs
    assert pairs[-1] == ("", "older")


def test_the_horizon_says_who_and_how_much() -> None:
    slot = Holder(kind=HolderKind.SLOT, name="cdc", age=12_345, remedy="slot.drop name=cdc")
    young = Holder(kind=HolderKind.SNAPSHOT, name="4711", age=10, seconds=2.0)
    seen = Horizon(
        holders=(slot, young),
        history_length=1_500_000,
        undo_bytes=3 << 30,
        uncleaned=(Uncleaned(table="public.t", dead_rows=900, pinned=True),),
    )
    assert horizon.summary(seen) == (
        "replication slot cdc holds cleanup back, 12k transactions back · history list 1.5M · undo 3.0 GB · "
        "900 dead rows in 1 vacuumed table cannot be removed"
    )
    assert [line.tone for line in horizon.lines(seen)] == [Tone.BAD, Tone.NORMAL]
    assert horizon.lines(Horizon(holders=(young,)))[0].tone is Tone.NORMAL, (
        "a running statement is no trouble"
    )
    assert horizon.summary(Horizon()) == "nothing holds cleanup back"
    assert horizon.beside(seen)["uncleaned"][0]["pinned"] is True


def test_numbers_are_told_once_and_all_of_them_only_where_none_is_left() -> None:
    huge = Exhaustion(column="id", sequence="AUTO_INCREMENT", last=2**64 - 2, limit=2**64 - 1)
    one = Table(schema="s", name="t", exhaustion=huge)
    assert tables.why(one).startswith("99% of the numbers of id are used (18,446,744,073,709,551,614 of ")
    told = msgspec.structs.replace(
        one, why="it is at 18,446,744,073,709,551,614 of 18,446,744,073,709,551,615"
    )
    assert tables.why(told) == told.why
    own = Exhaustion(column="", sequence="s.q", last=100, limit=100)
    assert tables.used_up(own) == "100% of the numbers of s.q are used (100 of 100)"


async def test_the_forecast_of_a_node_names_the_next_root() -> None:
    tree = await ScriptedEngine(storm(3)).locks()
    said = dict(locks.details(tree[0], tree))
    assert said["ending it"].startswith("frees 3 and 36s of waiting; 1 at once; 2 is the next root then")
    assert locks.storm(tree, 4) == ""
    assert locks.storm(tree, 3) == "lock storm: 3 sessions wait, 3 of them behind 1"
    assert locks.jam(tree) == ""
    jammed = [locks.jam(tree, [Jam(waiter=9, blocker=1, held_up=number)]) for number in (1, 2)]
    assert jammed == [
        "9 waits for 1 and holds up 1 other whom 1 would let pass: cancelling it frees it",
        "9 waits for 1 and holds up 2 others whom 1 would let pass: cancelling it frees them",
    ]


def test_a_replicas_applier_is_not_advised_to_be_cancelled() -> None:
    """Its statement comes from the source: cancelled, replication stops with an error."""
    applier = LockNode(session=make_session(9, protection=Protection.REPLICA), blocked_by=(1,), edge="hard")
    graph = WaitGraph(ids=(1, 9), hard={}, soft={})
    tree = BlockingTree.of([LockNode(session=make_session(1), root=True, blocks=1), applier], graph, {})
    said = locks.jam(tree, [Jam(waiter=9, blocker=1, held_up=2)])
    assert "cancelling" not in said
    assert said.endswith("it is not to be cancelled (a replica thread); ending 1 frees them, too")


def test_the_order_of_a_history_is_newest_first() -> None:
    from console.model.deadlocks import merged

    old = deadlock("a", "b", at=NOW - timedelta(hours=1), ident="old")
    bare = Deadlock(at=NOW, source="counter", ident="new")
    full = deadlock("c", "d", ident="new")
    assert [one.ident for one in merged((old,), (bare, full))] == ["new", "old"]
    assert merged((old,), (bare, full))[0].participants
    assert merged((full,), (bare,))[0].participants


def test_how_long_ago_a_vacuum_was_counts_by_the_clock_of_the_server_that_dated_it() -> None:
    """This machine's may be an hour off."""
    table = Table(
        schema="shop", name="a", xid_age=1, vacuumed_at=NOW - timedelta(minutes=5), vacuumed_by="auto"
    )
    place = [column.title for column in tables.COLUMNS].index("vacuum")
    wrong = NOW + timedelta(hours=1)
    [line] = tables.lines(Tables(tables=(table,), at=NOW), wrong)
    assert line.cells[place] == "5m00a"
    [line] = tables.lines(Tables(tables=(table,)), wrong)
    assert line.cells[place] == "1h05a"
