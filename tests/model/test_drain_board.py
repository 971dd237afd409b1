"""Who is from before a rotation, what the board says of it, and whom it proposes to end first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.model.accounts import Account
from console.model.drain import drain
from console.model.drain_board import DrainBoard, Draining, Kept, draining, idle_group, next_to_end, ordered
from console.model.sessions import Protection, Session, State
from console.present import drain as words
from console.present.table import Tone
from tests.fakes import IDENTITY, NOW, make_session

ROTATED = NOW - timedelta(hours=1)
KEPT = Kept(rotation="0f1e2d3c-aaaa", proved_at=ROTATED, session=50, previous=True)
MYSQL = msgspec.structs.replace(IDENTITY, flavor="mysql")
BEFORE, SINCE = ROTATED - timedelta(minutes=5), ROTATED + timedelta(minutes=5)


def session(number: int, **over: Any) -> Session:
    return make_session(number, **{"started_at": BEFORE, "user": "app", "state": State.IDLE, **over})


def line(*sessions: Session, kept: Kept | None = KEPT, server: Any = IDENTITY, **over: Any) -> Draining:
    return draining([Account(name="app", overlap=False, **over)], kept, sessions, server)


def test_postgresql_tells_by_the_start_of_a_session() -> None:
    found = line(session(1), session(2, started_at=SINCE), session(3, user="other"))
    assert (found.seen.older, found.seen.newer) == (1, 1)
    assert [one.id for one in found.seen.left] == [1]


def test_mysql_tells_by_the_number_of_a_connection() -> None:
    found = line(session(49), session(51), session(50), server=MYSQL)
    assert (found.seen.older, found.seen.newer) == (1, 2)


def test_nobody_is_left_from_before_the_server_was_restarted() -> None:
    again = msgspec.structs.replace(MYSQL, started_at=SINCE)
    found = line(session(7), server=again)
    assert (found.seen.older, found.seen.newer, found.seen.drained) == (0, 1, True)


def test_a_start_within_its_own_error_of_the_rotation_is_no_restart() -> None:
    """Uptimes are whole seconds: a rotation in the server's first second must not look drained."""
    near = msgspec.structs.replace(MYSQL, started_at=ROTATED + timedelta(seconds=1))
    assert line(session(7), server=near).seen.older == 1


@pytest.mark.parametrize(
    ("kept", "sessions"),
    [(None, ()), (Kept(previous=True), ()), (KEPT, (session(1, visible=False),)), (KEPT, None)],
)
def test_what_cannot_be_told_is_unknown_and_never_nought(kept: Kept | None, sessions: Any) -> None:
    found = draining([Account(name="app", overlap=True)], kept, sessions, IDENTITY)
    assert (found.seen.older, found.seen.newer) == (None, None)
    assert not found.ready
    [shown] = words.lines(DrainBoard(accounts=(found,), now=NOW))
    assert shown.cells[4:6] == ("?", "?")
    assert shown.cells[-1].startswith("?")
    [row] = words.document(DrainBoard(accounts=(found,), now=NOW))
    assert (row["before"], row["since"], row["drained"]) == (None, None, None)


def test_what_broke_off_says_how_to_go_on_and_is_not_retired() -> None:
    broken = line(kept=msgspec.structs.replace(KEPT, pending="r-17"))
    assert not broken.ready
    assert words.tone(broken) is Tone.BAD
    assert words.command(broken, "shop") == (
        "dbdeck apply credential.rotate -t shop account=app rotation=r-17"
    )
    named = msgspec.structs.replace(broken, action="a-1")
    assert words.command(named, "shop") == "dbdeck apply --resume a-1 -t shop"


def test_drained_offers_to_retire() -> None:
    assert words.command(line(), "shop") == "dbdeck apply credential.retire -t shop account=app"
    assert words.command(line(session(1)), "shop") == ""


def test_broken_off_first_then_drained_then_the_fewest_to_go_and_unknown_last() -> None:
    def named(user: str, older: int | None, pending: str | None = None) -> Draining:
        seen = drain(user, (None, 0), (), IDENTITY, overlap=False)
        kept = msgspec.structs.replace(KEPT, pending=pending)
        return Draining(user=user, seen=msgspec.structs.replace(seen, older=older), kept=kept)

    given_ = [named("u", None), named("two", 2), named("none", 0), named("one", 1), named("broke", 9, "r")]
    assert [one.user for one in ordered(given_)] == ["broke", "none", "one", "two", "u"]


def test_hostile_names_stay_in_their_line() -> None:
    evil = draining([Account(name="a\x1b[2J\nb")], KEPT, [], IDENTITY)
    board = DrainBoard(accounts=(evil,), now=NOW)
    [shown] = words.lines(board)
    assert all(cell.isprintable() for cell in shown.cells)
    assert all(value.isprintable() for _, value in words.details(board, evil, "shop"))


# ---- ending sessions, in stages ----------------------------------------------------------------


def test_idle_ones_are_proposed_before_those_in_a_transaction_and_those_at_work() -> None:
    busy, open_, idle = (
        session(1, state=State.ACTIVE),
        session(2, state=State.IDLE_IN_TRANSACTION),
        session(3),
    )
    proposed = [next_to_end(line(*left).seen) for left in ([busy, open_, idle], [busy, open_], [busy], [])]
    assert [one and one.id for one in proposed] == [3, 2, 1, None]


def test_of_equals_the_oldest_is_proposed() -> None:
    old = session(9, started_at=BEFORE - timedelta(days=1))
    assert next_to_end(line(session(1), old).seen) == old
    assert next_to_end(line(session(9), session(4), server=MYSQL).seen) == session(4)


def test_what_is_protected_is_never_proposed() -> None:
    assert next_to_end(line(session(1, protection=Protection.OWN)).seen) is None


STATES = st.sampled_from([State.IDLE, State.ACTIVE, State.IDLE_IN_TRANSACTION, State.ENDING])


@given(st.lists(st.tuples(st.booleans(), STATES), max_size=8))
def test_nobody_from_after_the_rotation_is_proposed(people: list[tuple[bool, State]]) -> None:
    sessions = [
        session(number, started_at=BEFORE if before else SINCE, state=state)
        for number, (before, state) in enumerate(people, start=1)
    ]
    proposed = next_to_end(line(*sessions).seen)
    assert proposed is None or proposed.started_at == BEFORE


def idle(number: int, **over: Any) -> Session:
    given_ = {"application": "shop", "state": State.IDLE_IN_TRANSACTION, "state_seconds": 90.5}
    return session(number, **{**given_, **over})


def test_a_group_idle_in_transactions_is_named_by_patterns_that_fit_nobody_else() -> None:
    found = line(idle(1), idle(2, state_seconds=70.9), session(3))
    assert idle_group(found) == {
        "older_than": "70s", "user": "app", "client": "10.0.0.7", "application": "shop", "limit": 2,
    }  # fmt: skip


def test_patterns_mean_the_names_and_not_what_is_in_them() -> None:
    found = idle_group(line(idle(1, application="a*[b"), idle(2, application="a*[b")))
    assert found is not None
    assert found["application"] == "a[*][[]b"


def test_without_patterns_of_their_own_they_are_ended_one_by_one() -> None:
    assert idle_group(line(idle(1), idle(2), idle(3, started_at=SINCE))) is None
    assert idle_group(line(idle(1, application=None), idle(2, application=None))) is None
    assert idle_group(line(idle(1))) is None
