"""Decisions of a rotation: whatever is cut off wherever, a known password logs in, and it ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.model.probe import Answer
from console.model.rotation_state import Held, Move, next_move

ME = "r2"


@pytest.mark.parametrize(
    ("held", "pending", "current", "move"),
    [
        (Held(), None, None, Move.STAGE),
        (Held(current="r1"), None, None, Move.STAGE),
        (Held(current="r1", pending=ME), None, None, Move.TRY_PENDING),
        (Held(current="r1", pending=ME), Answer.ACCEPTED, None, Move.PROMOTE),
        (Held(current="r1", pending=ME), Answer.UNKNOWN, None, Move.STOP_UNKNOWN),
        (Held(current="r1", pending=ME), Answer.REJECTED, None, Move.TRY_CURRENT),
        (Held(current="r1", pending=ME), Answer.REJECTED, Answer.ACCEPTED, Move.APPLY),
        (Held(current="r1", pending=ME), Answer.REJECTED, Answer.UNKNOWN, Move.STOP_UNKNOWN),
        (Held(current="r1", pending=ME), Answer.REJECTED, Answer.REJECTED, Move.STOP_FOREIGN),
        (Held(pending=ME), Answer.REJECTED, None, Move.APPLY),
        (Held(current=ME, pending=ME, previous="r1"), None, None, Move.CLEAN),
        (Held(current=ME, previous="r1"), None, None, Move.DONE),
    ],
)
def test_each_state_has_its_move(
    held: Held, pending: Answer | None, current: Answer | None, move: Move
) -> None:
    assert next_move(ME, held, pending=pending, current=current) is move


class World:
    """A server with or without overlap, and a store; an operation may be cut off before or after it."""

    def __init__(self, *, overlap: bool) -> None:
        self.overlap = overlap
        self.accepts = ["r1"]
        self.held = Held(current="r1")
        self.applied = 0

    def answer(self, entry: str | None) -> Answer:
        return Answer.ACCEPTED if entry in self.accepts else Answer.REJECTED

    def effects(self, move: Move) -> list[Held | str]:
        """What a move does, in its order; each of them is done or not."""
        held = self.held
        match move:
            case Move.STAGE:
                return [Held(current=held.current, pending=ME, previous=held.previous)]
            case Move.APPLY:
                return ["alter"]
            case Move.PROMOTE:
                return [
                    Held(current=held.current, pending=held.pending, previous=held.current),
                    Held(current=held.pending, pending=held.pending, previous=held.current),
                    Held(current=held.pending, previous=held.current),
                ]
            case Move.CLEAN:
                return [Held(current=held.current, previous=held.previous)]
        return []

    def do(self, effect: Held | str) -> None:
        if isinstance(effect, Held):
            self.held = effect
            return
        self.applied += 1
        before = self.accepts[0]
        self.accepts = [ME, before] if self.overlap else [ME]

    def known(self) -> bool:
        """Some entry of the store logs in."""
        return any(one in self.accepts for one in (self.held.current, self.held.pending) if one)


def run(world: World, budget: int) -> bool:
    """Until it is done (True), or was cut off after so many effects."""
    pending = current = None
    while True:
        move = next_move(ME, world.held, pending=pending, current=current)
        if move is Move.DONE:
            return True
        if move is Move.TRY_PENDING:
            pending = world.answer(world.held.pending)
        elif move is Move.TRY_CURRENT:
            current = world.answer(world.held.current)
        else:
            assert move not in (Move.STOP_UNKNOWN, Move.STOP_FOREIGN)
            for effect in world.effects(move):
                if not budget:
                    return False
                budget -= 1
                world.do(effect)
                assert world.known()
            pending = current = None


@given(overlap=st.booleans(), cuts=st.lists(st.integers(0, 6), max_size=8))
def test_cut_off_anywhere_and_again_it_ends_with_a_password_that_logs_in(
    overlap: bool, cuts: list[int]
) -> None:
    world = World(overlap=overlap)
    for budget in cuts:
        run(world, budget)
        assert world.known()
    assert run(world, 100)
    assert world.held == Held(current=ME, previous="r1")
    assert world.accepts[0] == ME
    assert world.applied == 1
    assert ("r1" in world.accepts) is overlap


@given(
    held=st.builds(
        Held,
        current=st.sampled_from([None, "", "r1", ME]),
        pending=st.sampled_from([None, "r1", ME]),
        previous=st.sampled_from([None, "r0", "r1"]),
    ),
    pending=st.none() | st.sampled_from(Answer),
    current=st.none() | st.sampled_from(Answer),
)
def test_nothing_is_applied_unless_the_pending_secret_was_refused(
    held: Held, pending: Answer | None, current: Answer | None
) -> None:
    move = next_move(ME, held, pending=pending, current=current)
    if move is Move.APPLY:
        assert pending is Answer.REJECTED
        assert current is Answer.ACCEPTED or held.current is None
    if Answer.UNKNOWN in (pending, current):
        assert move is not Move.APPLY or pending is Answer.REJECTED
