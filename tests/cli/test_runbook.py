"""Answers from the command line: by key or by the step's own id, and each decision once."""

from __future__ import annotations

import pytest

from console.cli.runbook_answers import Decider, RunOptions
from console.errors import UsageError
from console.runbook.steps import Ask


def ask(question: str, key: str = "each[0].act", phrase: str = "") -> Ask:
    return Ask(key=key, question=question, text="?", choices=("yes", "no"), phrase=phrase)  # type: ignore[arg-type]


async def decision(options: RunOptions, *asked: Ask) -> list[tuple[str, str] | None]:
    decider = Decider(options)
    found = [await decider(one) for one in asked]
    return [None if one is None else (one.decision, one.text) for one in found]


async def test_a_step_is_named_by_its_own_id_or_by_its_key() -> None:
    by_id = RunOptions(decide=("act=retry",))
    by_key = RunOptions(decide=("each[0].act=stop", "act=retry"))
    assert await decision(by_id, ask("failure")) == [("retry", "retry")]
    assert await decision(by_key, ask("failure")) == [("stop", "stop")]


async def test_a_decision_is_given_once() -> None:
    """A step that fails again and again would be tried for ever."""
    assert await decision(RunOptions(decide=("act=retry",)), ask("failure"), ask("failure")) == [
        ("retry", "retry"),
        None,
    ]


async def test_an_action_wants_a_yes_and_what_is_to_be_typed() -> None:
    assert await decision(RunOptions(confirm=("act=shop",)), ask("action", phrase="shop")) == [None]
    assert await decision(RunOptions(yes=True, confirm=("act=shop",)), ask("action")) == [("yes", "shop")]


async def test_a_yes_answers_neither_hand_nor_gate() -> None:
    assert await decision(RunOptions(yes=True), ask("manual"), ask("confirm")) == [None, None]


async def test_what_names_no_step_is_refused() -> None:
    with pytest.raises(UsageError, match="STEP=TEXT"):
        Decider(RunOptions(attest=("done",)))
