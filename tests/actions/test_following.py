"""Following: it ends early, tells what changed, and sees who comes back."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest

from actions import following
from console.dispatch.action import Plan, Risk, Watch
from console.errors import ServerSilent
from console.model.sessions import State
from tests.fakes import IDENTITY, NOW, ScriptedEngine, make_session, storm

GONE = make_session(1, state=State.IDLE_IN_TRANSACTION, application="checkout")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "QUIET_SECONDS", 0.2)
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.02)


async def plan(engine: ScriptedEngine, statement: str | None = "update x") -> Plan:
    evidence = following.before(await engine.locks(), [GONE], engine.list, [statement])
    return Plan(
        action="a", target="t", risk=Risk.LOW, args={}, subject={}, statements=(), server=IDENTITY,
        made_at=NOW, evidence=evidence,
    )  # fmt: skip


async def follow(
    engine: ScriptedEngine, made: Plan, seconds: float = 5.0, **over: Any
) -> tuple[dict[str, Any], list[str], float]:
    told: list[str] = []
    start = time.monotonic()
    found = await following.follow(made, engine, Watch(seconds=seconds, tell=told.append, **over))
    return found, told, time.monotonic() - start


async def test_a_drained_queue_ends_it_after_the_quiet() -> None:
    engine = ScriptedEngine(storm(3))
    made = await plan(engine)
    engine.end(1)
    found, told, took = await follow(engine, made)
    assert found == {"waiters_before": 3, "waiters_released": 3, "still_waiting_behind": []}
    assert told == ["3 of 3 drained"]
    assert 0.2 <= took < 2


async def test_zero_seconds_is_one_look() -> None:
    engine = ScriptedEngine(storm(3))
    found, _, took = await follow(engine, await plan(engine), seconds=0)
    assert found["waiters_released"] == 0
    assert found["still_waiting_behind"] == [1]
    assert took < 0.9


async def test_it_follows_for_its_time_while_somebody_waits_and_stops_when_told() -> None:
    engine = ScriptedEngine(storm(2))
    made = await plan(engine)
    _, told, took = await follow(engine, made, seconds=0.4)
    assert 0.4 <= took < 1
    assert told == ["0 of 2 drained"], "only what changed is told"
    stop = asyncio.Event()
    stop.set()
    assert (await follow(engine, made, seconds=30, stop=stop))[2] < 0.2


async def test_with_nothing_to_see_it_ends_at_once() -> None:
    engine = ScriptedEngine([GONE])
    found, _, took = await follow(engine, await plan(engine, statement=None), seconds=30)
    assert found["waiters_before"] == 0
    assert took < 0.1


async def test_the_next_root_is_told_with_those_behind_it() -> None:
    engine = ScriptedEngine(storm(3))
    made = await plan(engine)
    renamed = [msgspec.structs.replace(one, id={1: 99, 2: 1}.get(one.id, one.id)) for one in engine.list]
    engine.list = [one for one in renamed if one.id != 99]
    made = msgspec.structs.replace(
        made, evidence={"before": {"waiters": [1, 3, 4], "ended": [], "known": []}}
    )
    found, told, _ = await follow(engine, made, seconds=0.1)
    assert (found["new_root"], found["new_root_blocked"]) == (1, 2)
    assert "session 1 is the next root: 2 wait behind it" in told


@pytest.mark.parametrize(
    ("state", "waited", "held"),
    [
        (State.ACTIVE, True, False),
        (State.IDLE_IN_TRANSACTION, True, True),
        (State.IDLE, True, True),
        (State.ACTIVE, False, True),
    ],
)
async def test_who_only_waits_his_turn_is_free(state: State, waited: bool, held: bool) -> None:
    """Behind a former waiter at work the queue drains; behind anybody else it does not."""
    engine = ScriptedEngine([make_session(1, state=state), make_session(2), make_session(3)])
    known = following.Before(waiters=(1, 2, 3) if waited else (2, 3))
    seen = following.sight(await engine.locks(), (), known)
    assert seen.held == ((2, 3) if held else ())
    assert seen.holders == ((1,) if held else ())


async def test_locks_that_are_handed_on_late_are_waited_for() -> None:
    engine = ScriptedEngine(storm(2))
    made = await plan(engine)
    asyncio.get_running_loop().call_later(0.1, engine.end, 1)
    found = await following.follow(made, engine, Watch(seconds=0), settle=1.0)
    assert "not_freed" not in found


async def test_who_has_got_his_lock_and_meets_the_next_holder_is_not_called_free() -> None:
    engine = ScriptedEngine(storm(2))
    made, held = await plan(engine), engine.list
    engine.end(1)
    asyncio.get_running_loop().call_later(0.01, lambda: setattr(engine, "list", held))
    found = await following.follow(made, engine, Watch(seconds=0), settle=1.0)
    assert found["not_freed"] == [2, 3]


async def test_a_client_that_comes_back_with_the_same_statement_is_seen() -> None:
    engine = ScriptedEngine([GONE, make_session(5, application="checkout", query="update  x")])
    made = await plan(engine)
    engine.list = [
        make_session(5, application="checkout", query="update x"),
        make_session(6, application="checkout", query="update x"),
        make_session(7, application="checkout", query="select 1"),
        make_session(8, application="other", query="update x"),
    ]
    found, told, _ = await follow(engine, made)
    assert found["came_back"] == [6], "session 5 was there before, the others are not it"
    assert found["came_back_after"] == 0.0
    assert told[0] == "its client came back as session 6 after 0.0 s"


async def test_a_read_that_fails_takes_nothing_back() -> None:
    engine = ScriptedEngine(storm(1))
    made = await plan(engine)
    engine.end(1)
    looks = 0

    def fail() -> None:
        nonlocal looks
        looks += 1
        engine.fail = ServerSilent("no answer") if looks > 2 else None

    engine.before_read = fail
    found, _, _ = await follow(engine, made)
    assert found["waiters_released"] == 1
    assert found["watch"] == "broke off: no answer"
