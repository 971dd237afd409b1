"""A run is its events: replayed they give the same, an effect is never repeated, rollback goes backwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.runbook.document import ActionStep, Document
from console.runbook.events import (
    Acted,
    Begun,
    Decided,
    Ended,
    Event,
    HandedOver,
    Noted,
    Observed,
    Opened,
    Resumed,
    RollingBack,
    Skipped,
    Started,
    decode,
    encode,
)
from console.runbook.judging import answer
from console.runbook.state import Run, RunFault, Seen, advance, code_of, replay
from console.runbook.steps import Ask, Do, Finish, Next, Record, Settle, next_step
from tests.runbook.documents import HEAD, WHOLE, document

FACTS = {"target": {"name": "t", "environment": "dev"}, "server": {"flavor": "postgresql", "primary": True}}
ACT = "{id: %s, kind: action, action: setting.set, with: {name: \"'a'\", value: \"'b'\"}, %s}"
UNDO = "rollback: [{id: un%s, kind: action, action: setting.reset, with: {name: \"'a'\"}}]"


def of(steps: str, name: str = "one") -> Document:
    return document(HEAD.format(id=name) + "steps:\n" + steps)


def start(one: Document, **params: Any) -> Run:
    return advance(
        None,
        Started(
            run="r", runbook=one.id, digest="", texts={}, target="t", params=params, facts=FACTS, by="ann"
        ),
    )


class Driver:
    """Drives a run by scripted answers and keeps its events."""

    def __init__(self, *documents: Document, **params: Any) -> None:
        self.documents = {one.id: one for one in documents}
        self.run = start(documents[0], **params)
        self.events: list[Event] = [self.run.started]

    @property
    def due(self) -> Next:
        return next_step(self.documents, self.run)

    def happen(self, event: Event) -> None:
        self.run = advance(self.run, event)
        self.events.append(event)

    def settle_records(self) -> Next:
        """Up to what has to be done, asked or finished."""
        while isinstance(due := self.due, Record):
            self.happen(due.event)
        return due

    def begin(self) -> Do:
        due = self.settle_records()
        assert isinstance(due, Do), due
        self.happen(Begun(step=due.key, attempt=due.attempt, acts=isinstance(due.step, ActionStep)))
        return due

    def act(self, effect: str = "applied") -> str:
        due = self.begin()
        state = {"applied": "done", "no_op": "done", "none": "failed", "unknown": "unknown"}[effect]
        self.happen(decode({"event": "acted", "step": due.key, "effect": effect, "state": state}))
        return due.key

    def see(self, rows: list[Any] | None = None, state: str = "done") -> str:
        due = self.begin()
        value = answer(rows) if rows is not None else None
        self.happen(decode({"event": "observed", "step": due.key, "state": state, "value": value}))
        return due.key

    def ask(self) -> Ask:
        due = self.settle_records()
        assert isinstance(due, Ask), due
        return due

    def decide(self, decision: str, by: str = "bob") -> None:
        due = self.ask()
        self.happen(Decided(step=due.key, question=due.question, decision=decision, by=by))

    def finish(self) -> Finish:
        due = self.settle_records()
        assert isinstance(due, Finish), due
        return due


def test_a_loop_over_part_of_a_cut_off_answer_does_nothing() -> None:
    """Also through functions: the worst of them may be among those that were cut off."""
    note = "[{id: n, kind: note, text: x}]"
    for items in ("s", "s.rows", "where(s, 'old', true)", "pluck(above(s, 'age', 1), 'age')"):
        one = of(
            "  - {id: q, kind: query, read: locks, save: s}\n"
            f'  - {{id: each, kind: for_each, in: "{items}", as: x, steps: {note}}}\n'
        )
        driver = Driver(one)
        driver.begin()
        value = answer([{"old": True, "age": 3}], truncated=True)
        driver.happen(Observed(step="q", state="done", value=value))
        assert "cut off" in driver.finish().text


# ---- whose it is -------------------------------------------------------------------------------


def test_a_run_is_anothers_from_the_hand_over_until_somebody_goes_on() -> None:
    driver = Driver(of("  - {id: m, kind: manual, text: x}\n"))
    driver.happen(HandedOver(by="ann", to="bob"))
    assert driver.run.holder == "handed over to bob by ann"
    driver.happen(Resumed(by="bob"))
    assert driver.run.holder == ""


def test_a_run_that_is_stopped_ends_as_that_wherever_it_waits() -> None:
    driver = Driver(of("  - {id: m, kind: manual, text: x}\n"))
    driver.ask()
    driver.happen(Decided(step="", question="stop", decision="stop", by="bob", text="not ours"))
    assert driver.due == Finish(result="stopped", text="bob stopped it: not ours")


# ---- the order of things -----------------------------------------------------------------------


def test_a_branch_that_is_not_known_asks_and_never_falls_through() -> None:
    one = of(
        "  - {id: q, kind: query, read: locks, save: s}\n"
        "  - id: b\n    kind: branch\n"
        "    cases: [{if: 'first(s).age > 3', steps: [{id: x, kind: note, text: x}]}]\n"
    )
    driver = Driver(one)
    driver.see([{"age": None}])
    assert driver.ask().question == "branch"
    driver.decide("0")
    driver.finish()
    assert driver.run.step("x").state == "done"


def test_what_a_step_left_out_would_have_saved_is_not_known() -> None:
    one = of(
        "  - {id: q, kind: query, read: locks, save: s, when: 'false'}\n"
        "  - {id: c, kind: note, text: x, when: s.count == 0}\n"
    )
    driver = Driver(one)
    assert driver.ask().question == "when"
    assert driver.run.step("q").state == "skipped"


def test_the_items_of_a_loop_are_frozen_when_it_begins() -> None:
    one = of(
        "  - {id: q, kind: query, read: locks, save: s}\n"
        "  - {id: l, kind: for_each, in: s, as: i, steps: [{id: again, kind: query, read: locks, save: s}]}\n"
    )
    driver = Driver(one)
    driver.see([{"id": 1}, {"id": 2}])
    assert driver.see([{"id": n} for n in range(9)]) == "l[0].again"
    assert driver.see([]) == "l[1].again"
    assert driver.finish().result == "ok"


def test_more_items_than_allowed_are_none() -> None:
    one = of(
        "  - {id: q, kind: query, read: locks, save: s}\n"
        f"  - {{id: l, kind: for_each, in: s, as: i, max: 1, steps: [{ACT % ('a', '')}]}}\n"
    )
    driver = Driver(one)
    driver.see([{"id": 1}, {"id": 2}])
    assert driver.finish().result == "failed"
    assert driver.run.effects == ()


def test_an_answer_that_was_cut_off_is_not_looped_over() -> None:
    one = of(
        "  - {id: q, kind: query, read: locks, save: s}\n"
        f"  - {{id: l, kind: for_each, in: s, as: i, steps: [{ACT % ('a', '')}]}}\n"
    )
    driver = Driver(one)
    driver.begin()
    driver.happen(Observed(step="q", state="done", value=answer([{"id": 1}], truncated=True)))
    assert "cut off" in driver.finish().text


def test_the_rest_waits_for_a_yes_after_the_canary() -> None:
    one = of(
        f"  - {{id: l, kind: for_each, in: '[1, 2, 3]', as: i, canary: 1, steps: [{ACT % ('a', '')}]}}\n"
    )
    driver = Driver(one)
    assert driver.act() == "l[0].a"
    assert driver.ask().question == "canary"
    driver.decide("rest")
    assert [driver.act(), driver.act()] == ["l[1].a", "l[2].a"]
    assert driver.finish().result == "ok"


def test_the_rest_follows_where_what_it_waits_for_holds() -> None:
    one = of(
        "  - {id: l, kind: for_each, in: '[1, 2]', as: i, canary: 1, go_on_if: 'true', "
        f"steps: [{ACT % ('a', '')}]}}\n"
    )
    driver = Driver(one)
    driver.act()
    assert driver.act() == "l[1].a"


def test_a_canary_that_failed_stops_the_rest() -> None:
    one = of(f"  - {{id: l, kind: for_each, in: '[1, 2]', as: i, canary: 1, steps: [{ACT % ('a', '')}]}}\n")
    driver = Driver(one)
    driver.act("none")
    assert driver.finish().result == "failed"


def test_an_interrupted_action_is_looked_for_and_never_done_again() -> None:
    driver = Driver(of(f"  - {ACT % ('a', '')}\n"))
    driver.begin()
    again = replay(driver.events)
    assert again is not None
    due = next_step(driver.documents, again)
    assert isinstance(due, Settle)
    with pytest.raises(RunFault, match="never repeated"):
        advance(again, Begun(step="a", attempt=2, acts=True))


def test_an_action_whose_intent_was_never_written_may_begin() -> None:
    driver = Driver(of(f"  - {ACT % ('a', '')}\n"))
    driver.begin()
    driver.happen(Acted(step="a", effect="none", state="not_begun"))
    due = driver.due
    assert isinstance(due, Do)
    assert due.attempt == 2


def test_an_interrupted_read_is_done_again() -> None:
    driver = Driver(of("  - {id: q, kind: query, read: locks}\n"))
    driver.begin()
    due = driver.due
    assert isinstance(due, Do)
    assert due.attempt == 2


def test_an_unknown_effect_asks_and_can_only_be_looked_for() -> None:
    driver = Driver(of(f"  - {ACT % ('a', '')}\n  - {{id: n, kind: note, text: x}}\n"))
    driver.act("unknown")
    assert driver.ask().choices == ("settle", "stop")
    driver.decide("settle")
    assert isinstance(driver.due, Settle)
    driver.happen(Acted(step="a", effect="unknown", state="unknown"))
    driver.decide("stop")
    assert driver.finish().result == "unknown"


def test_a_run_is_never_fine_while_an_effect_is_unknown() -> None:
    driver = Driver(of(f"  - {ACT % ('a', '')}\n"))
    driver.act("unknown")
    with pytest.raises(RunFault, match="nobody knows"):
        driver.happen(Ended(result="ok"))


def test_effects_are_taken_back_in_reverse_order() -> None:
    steps = "".join(f"  - {ACT % (name, UNDO % name)}\n" for name in ("a", "b"))
    driver = Driver(of(steps + f"  - {ACT % ('c', 'on_failure: rollback, ' + UNDO % 'c')}\n"))
    assert [driver.act(), driver.act(), driver.act("none")] == ["a", "b", "c"]
    assert [driver.act(), driver.act()] == ["b~unb", "a~una"]
    assert driver.finish().result == "rolled_back"
    assert driver.run.effects == ("a", "b")
    assert code_of("rolled_back", driver.run) == 1


def test_what_nothing_takes_back_is_told() -> None:
    driver = Driver(of(f"  - {ACT % ('a', '')}\n  - {ACT % ('b', 'on_failure: rollback, ' + UNDO % 'b')}\n"))
    driver.act()
    driver.act("none")
    found = driver.finish()
    assert (found.result, "a" in found.text) == ("rollback_failed", True)
    assert code_of(found.result, driver.run) == 8


def test_nothing_is_taken_back_before_it_is_known_what_there_is() -> None:
    driver = Driver(of(f"  - {ACT % ('a', UNDO % 'a')}\n"))
    driver.act("unknown")
    driver.happen(RollingBack(why="a person says so"))
    driver.decide("settle")
    assert isinstance(driver.due, Settle)
    driver.happen(Acted(step="a", effect="applied", state="done"))
    assert driver.act() == "a~una"
    assert driver.finish().result == "rolled_back"


def test_a_rollback_that_fails_is_told_and_its_effect_stands() -> None:
    driver = Driver(
        of(f"  - {ACT % ('a', UNDO % 'a')}\n  - {{id: q, kind: query, read: locks, on_failure: rollback}}\n")
    )
    driver.act()
    driver.see(state="failed")
    driver.act("none")
    assert driver.finish().result == "rollback_failed"
    assert code_of("rollback_failed", driver.run) == 8


@pytest.mark.parametrize(
    ("decision", "result"), [("continue", "ok"), ("stop", "stopped"), ("rollback", "rolled_back")]
)
def test_a_failure_that_asks_is_decided(decision: str, result: str) -> None:
    driver = Driver(of("  - {id: q, kind: query, read: locks, on_failure: ask}\n"))
    driver.see(state="failed")
    driver.decide(decision)
    assert driver.finish().result == result


def test_a_failure_may_be_tried_again() -> None:
    driver = Driver(of("  - {id: q, kind: query, read: locks, on_failure: ask}\n"))
    driver.see(state="failed")
    driver.decide("retry")
    driver.see([])
    assert driver.finish().result == "ok"
    assert driver.run.step("q").attempt == 2


def test_failures_that_are_passed_over_are_counted() -> None:
    steps = "".join(f"  - {{id: q{n}, kind: query, read: locks, on_failure: continue}}\n" for n in range(5))
    driver = Driver(of(steps))
    for _ in range(3):
        driver.see(state="failed")
    assert driver.finish().result == "failed"


def approving(head: str, *approvals: tuple[str, str, int], requester: str = "") -> Next:
    """What is next after approvals of (name, login, minute), at minute 10 by the ledger's clock."""
    one = document(HEAD.format(id="one") + f"approvals: {head}\nsteps: [{{id: c, kind: confirm, text: x}}]")
    began = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
    run = advance(None, start(one).started, Seen(at=began, person=requester))
    for name, login, minute in approvals:
        said = Decided(step="approval", question="approval", decision="approve", by=name)
        run = advance(run, said, Seen(at=began + timedelta(minutes=minute), person=login))
    later = Seen(at=began + timedelta(minutes=10), person=requester)
    return next_step({"one": one}, advance(run, Resumed(by="carol"), later))


def is_approved(due: Next) -> bool:
    assert isinstance(due, Ask)
    return due.question != "approval"


def test_an_approval_expires_by_the_ledgers_clock() -> None:
    assert is_approved(approving("{expires: 6m}", ("bob", "", 5)))
    late = approving("{expires: 4m}", ("bob", "", 5))
    assert not is_approved(late)
    assert isinstance(late, Ask)
    assert "of bob it is older than 4m" in late.text


def test_who_runs_it_may_be_kept_from_approving_it() -> None:
    assert is_approved(approving("{}", ("carol", "", 5)))
    assert not is_approved(approving("{distinct_from: [executor]}", ("carol", "", 5)))


def test_two_logins_are_two_people_and_one_is_one_whatever_they_are_called() -> None:
    assert is_approved(approving("{}", ("ann", "login_b", 5), requester="login_a"))
    assert not is_approved(approving("{}", ("bob", "login_a", 5), requester="login_a"))
    twice = (("bob", "login_b", 5), ("carol", "login_b", 6))
    assert not is_approved(approving("{count: 2}", *twice, requester="login_a"))


def test_a_run_that_has_begun_its_steps_is_not_approved_again() -> None:
    one = document(
        HEAD.format(id="one") + "approvals: {expires: 1s}\nsteps: [{id: c, kind: confirm, text: x}]"
    )
    run = advance(advance(None, start(one).started), Noted(step="n", text="x"))
    assert is_approved(next_step({"one": one}, run))


def test_a_run_wants_the_approval_of_others() -> None:
    one = document(HEAD.format(id="one") + "approvals: {count: 1}\nsteps: [{id: n, kind: note, text: x}]")
    driver = Driver(one)
    driver.decide("approve", by="ann")
    assert driver.ask().question == "approval"
    driver.decide("approve", by="bob")
    assert driver.finish().result == "ok"


def test_a_called_runbook_has_names_of_its_own() -> None:
    caller = of(
        "  - {id: q, kind: query, read: locks, save: s}\n"
        "  - {id: c, kind: call, runbook: two, with: {n: s.count}}\n"
    )
    callee = document(
        HEAD.format(id="two")
        + "params: {n: {type: integer}}\nsteps:\n"
        + "  - {id: q, kind: query, read: locks, save: s, when: n == 1}\n"
        + "  - {id: e, kind: end, result: ok}\n"
    )
    driver = Driver(caller, callee)
    driver.see([{"id": 1}])
    assert driver.see([]) == "c/q"
    assert driver.finish().result == "ok"
    assert driver.run.step("c").state == "done"


def test_a_called_runbook_that_fails_fails_its_caller() -> None:
    callee = document(HEAD.format(id="two") + "steps: [{id: e, kind: end, result: escalate, text: call her}]")
    assert Driver(of("  - {id: c, kind: call, runbook: two}\n"), callee).finish().result == "escalate"


def test_calls_are_not_nested_for_ever() -> None:
    one = of("  - {id: c, kind: call, runbook: one}\n")
    assert "call 6" in Driver(one).finish().text


def test_a_no_at_a_gate_ends_the_run() -> None:
    driver = Driver(of("  - {id: c, kind: confirm, text: sure}\n"))
    driver.decide("no")
    assert driver.finish().result == "stopped"


# ---- any run ---------------------------------------------------------------------------------


def invariants(driver: Driver) -> None:
    run = driver.run
    assert replay([decode(encode(event)) for event in driver.events]) == run
    begun = [(event.step, event.attempt) for event in driver.events if isinstance(event, Begun)]
    assert len(begun) == len(set(begun))
    applied = [e.step for e in driver.events if isinstance(e, Acted) and e.effect == "applied"]
    assert len(applied) == len(set(applied)), "an effect was repeated"
    forward = [step for step in applied if "~" not in step]
    back = [e.step for e in driver.events if isinstance(e, Acted) and e.effect in ("applied", "no_op")]
    undone = [step.partition("~")[0] for step in back if "~" in step]  # by us, or there was nothing left
    assert undone == [step for step in reversed(forward) if step in undone]
    if run.ended is not None and run.ended.result == "rolled_back":
        assert set(undone) == set(forward)


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_any_course_of_a_run_keeps_its_invariants(data: st.DataObject) -> None:
    """Whatever reads say, actions come to, people decide, and wherever it breaks off."""
    driver = Driver(document(WHOLE), older=300)
    for _ in range(120):
        if data.draw(st.integers(0, 9)) == 0:  # its runner died; another one goes on by the ledger
            again = replay(driver.events)
            assert again == driver.run
        due = driver.due
        match due:
            case Record(event=event):
                driver.happen(event)
            case Ask():
                decision = data.draw(st.sampled_from(due.choices))
                driver.happen(Decided(step=due.key, question=due.question, decision=decision, by="b"))
            case Settle():
                nothing = ("none", "not_begun" if due.now.state == "begun" else "failed")
                ends = [("applied", "done"), ("unknown", "unknown"), nothing]
                effect, state = data.draw(st.sampled_from(ends))
                driver.happen(decode({"event": "acted", "step": due.key, "effect": effect, "state": state}))
            case Do():
                _do(data, driver, due)
            case Finish():
                driver.happen(Ended(result=due.result, text=due.text))
                break
    invariants(driver)


def _do(data: st.DataObject, driver: Driver, due: Do) -> None:
    acts = isinstance(due.step, ActionStep)
    driver.happen(Begun(step=due.key, attempt=due.attempt, acts=acts))
    if data.draw(st.integers(0, 6)) == 0:
        return  # it breaks off here
    if acts:
        effects = [("applied", "done"), ("none", "failed"), ("unknown", "unknown"), ("no_op", "done")]
        effect, state = data.draw(st.sampled_from(effects))
        driver.happen(decode({"event": "acted", "step": due.key, "effect": effect, "state": state}))
        return
    rows = data.draw(st.lists(st.fixed_dictionaries({"id": st.integers(1, 9)}), max_size=4))
    state = data.draw(st.sampled_from(["done", "done", "failed", "unknown"]))
    driver.happen(decode({"event": "observed", "step": due.key, "state": state, "value": answer(rows)}))


_KEYS = st.sampled_from(["look", "any", "each", "each[0].act", "go", "tell", "each[0].act~undo"])
_EVENTS = st.one_of(
    st.builds(Begun, step=_KEYS, attempt=st.integers(1, 3), acts=st.booleans()),
    st.builds(Skipped, step=_KEYS, why=st.just("w")),
    st.builds(Opened, step=_KEYS, items=st.just([1, 2])),
    st.builds(Observed, step=_KEYS, state=st.sampled_from(["done", "failed", "unknown"])),
    st.builds(
        Acted,
        step=_KEYS,
        effect=st.sampled_from(["none", "applied", "unknown"]),
        state=st.sampled_from(["done", "failed", "unknown", "not_begun"]),
    ),
    st.builds(
        Decided,
        step=_KEYS,
        question=st.sampled_from(["failure", "outcome", "confirm", "unknown", "approval", "canary"]),
        decision=st.sampled_from(["retry", "continue", "stop", "settle", "yes", "no", "holds"]),
        by=st.just("b"),
    ),
    st.builds(RollingBack, why=st.just("w")),
    st.builds(Ended, result=st.sampled_from(["ok", "failed"])),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_EVENTS, max_size=25))
def test_an_event_that_cannot_follow_changes_nothing(events: list[Event]) -> None:
    run = start(document(WHOLE))
    effects: tuple[str, ...] = ()
    for event in events:
        try:
            after = advance(run, event)
        except RunFault:
            continue
        assert run.ended is None
        assert after.effects[: len(effects)] == effects, "an effect was forgotten"
        assert after.events == run.events + 1
        run, effects = after, after.effects
