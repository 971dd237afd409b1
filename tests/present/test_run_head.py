"""The head of a run's screen: what is under way, and on whom it waits."""

from __future__ import annotations

from datetime import timedelta

from console.present.run_head import clock
from console.present.run_map import Spot
from console.runbook.document import ActionStep
from console.runbook.events import Begun, Decided, Event
from console.runbook.history import Recorded
from tests.fakes import NOW

STEP = ActionStep(id="end", action="session.terminate")
SPOT = Spot(key="end", depth=0, text="end", step=STEP)
LOOKED = Begun(step="look")
YES = Decided(step="end", question="action", decision="yes", by="ann")


def said(event: Event) -> str:
    events = [Recorded(id=1, at=NOW, event=event)]
    return clock(SPOT, events, {}, NOW + timedelta(seconds=12), asked=None, over=False)


def test_an_action_that_nobody_said_yes_to_is_being_planned() -> None:
    assert "is being planned" in said(LOOKED)


def test_after_a_yes_it_is_the_server_that_is_waited_for() -> None:
    assert said(YES) == "end: ann said yes 12s ago; it begins when the server answers"


def test_a_yes_to_another_step_says_nothing_of_this_one() -> None:
    assert "is being planned" in said(Decided(step="x", question="action", decision="yes", by="ann"))
