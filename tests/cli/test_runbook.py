"""Answers from the command line: by key or by the step's own id, and each decision once."""

from __future__ import annotations

import pytest

from console.cli.runbook_answers import Decider, RunOptions, flag_for
from console.errors import UsageError
from console.runbook.steps import Ask

CHOICES = {"manual": ("done", "no"), "failure": ("retry", "stop")}


def ask(question: str, key: str = "each[0].act", phrase: str = "") -> Ask:
    choices = CHOICES.get(question, ("yes", "no"))
    return Ask(key=key, question=question, text="?", choices=choices, phrase=phrase)  # type: ignore[arg-type]


async def decision(options: RunOptions, *asked: Ask) -> list[tuple[str, str] | None]:
    decider = Decider(options)
    found = [await decider(one) for one in asked]
    return [None if one is None else (one.decision, one.text) for one in found]


@pytest.mark.parametrize(
    ("asked", "flag"),
    [
        (ask("manual", "tell"), "--attest tell=TEXT"),
        (ask("manual", "each[0].tell"), "--attest 'each[0].tell=TEXT'"),
        (ask("confirm", "sure", "end it"), "--confirm 'sure=end it'"),
        (ask("failure", "each"), "--decide 'each=retry|stop'"),
        (ask("action", "each[1].act", "shop"), "--yes --confirm 'each[1].act=shop'"),
        (ask("action"), "--yes"),
    ],
)
def test_what_answers_a_question_is_told_as_a_shell_takes_it(asked: Ask, flag: str) -> None:
    """Of an item of a loop by its key: by the id alone the items to come would be answered as well."""
    assert flag_for(asked) == flag


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


@pytest.mark.parametrize(
    ("options", "asked", "said"),
    [
        (RunOptions(decide=("act=skip",)), ask("failure"), "'skip' for each[0].act is none of retry, stop"),
        (RunOptions(confirm=("act=end",)), ask("confirm", phrase="end it"), "is not the phrase 'end it'"),
        (RunOptions(yes=True, confirm=("act=sohp",)), ask("action", phrase="shop"), "'sohp' for each[0].act"),
    ],
)
async def test_an_answer_that_is_none_is_told(
    options: RunOptions, asked: Ask, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script would see the run wait once more, and not why."""
    assert await decision(options, asked) == [None]
    assert said in capsys.readouterr().err


async def test_answers_to_what_was_not_asked_are_known() -> None:
    decider = Decider(RunOptions(decide=("act=retry", "atc=stop"), confirm=("sure=yes",)))
    await decider(ask("failure"))
    assert decider.unasked == ["--confirm sure", "--decide atc"]
