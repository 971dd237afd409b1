"""What a run asks: answers of the command line, and of a person at the terminal."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Iterable, Mapping

import msgspec

from console.cli import output
from console.errors import UsageError
from console.present import runs as words
from console.present.units import clean
from console.runbook.runner import Answer, is_answer
from console.runbook.steps import Ask, level_of


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Answers are by step: its key, or its own id for every item of a loop."""

    reason: str = ""
    ticket: str = ""
    yes: bool = False
    confirm: tuple[str, ...] = ()
    attest: tuple[str, ...] = ()
    decide: tuple[str, ...] = ()
    as_json: bool = False


def flag_for(asked: Ask) -> str:
    """What answers it on the command line. Of an item of a loop by its key: its id would answer for all."""
    own = asked.key if "[" in level_of(asked.key) else asked.key[len(level_of(asked.key)) :]
    if asked.question == "manual":
        return f"--attest {_word(own, 'TEXT')}"
    if asked.question == "confirm":
        return f"--confirm {_word(own, asked.phrase)}"
    if asked.question == "action":
        return f"--yes --confirm {_word(own, asked.phrase)}" if asked.phrase else "--yes"
    return f"--decide {_word(own, '|'.join(asked.choices))}"


def _word(key: str, value: str) -> str:
    """As a shell takes it."""
    return shlex.quote(f"{key}={value}")


class Decider:
    """Answers from the command line; at a terminal it asks for what is not given."""

    def __init__(self, options: RunOptions) -> None:
        self._yes = options.yes
        self._confirm = _answers("--confirm", options.confirm)
        self._attest = _answers("--attest", options.attest)
        self._decide = _answers("--decide", options.decide)
        self._used: set[tuple[str, str]] = set()
        self._asked: set[str] = set()

    async def __call__(self, asked: Ask) -> Answer | None:
        given = self._given(asked)
        if given is not None and not is_answer(asked, given):
            if given.text:
                output.note(f"dbdeck: {_not_taken(asked, given)}; it was not taken")
            given = None
        if given is None and sys.stdin.isatty() and sys.stderr.isatty():
            return await asyncio.to_thread(_ask, asked)
        return given

    @property
    def unasked(self) -> list[str]:
        """Answers to what was not asked, as they were given: of a step that comes later, or of none."""
        given = [("--confirm", one) for one in self._confirm]
        given += [("--attest", one) for one in self._attest] + [("--decide", one) for one in self._decide]
        return [f"{flag} {key}" for flag, key in given if key not in self._asked]

    def _given(self, asked: Ask) -> Answer | None:
        self._asked |= {asked.key, asked.key[len(level_of(asked.key)) :]}
        if asked.question == "manual":
            text = _of(self._attest, asked.key)
            return None if text is None else Answer(decision="done", text=text)
        if asked.question == "confirm":
            text = _of(self._confirm, asked.key)
            return None if text is None else Answer(decision="yes", text=text)
        if asked.question == "action":
            text = _of(self._confirm, asked.key) or ""
            return Answer(decision="yes", text=text) if self._yes else None
        chosen = _of(self._decide, asked.key)
        again = (asked.key, asked.question)
        if chosen is None or again in self._used:
            return None  # one flag is one answer: what is asked again is not what was meant
        self._used.add(again)
        return Answer(decision=chosen, text=chosen)


def _not_taken(asked: Ask, given: Answer) -> str:
    """What an answer of the command line is not: else a script waits, and nobody knows for what."""
    if asked.phrase and given.decision in asked.choices:
        return f"{clean(given.text)!r} for {asked.key} is not the phrase {clean(asked.phrase)!r}"
    return f"{clean(given.decision)!r} for {asked.key} is none of {', '.join(asked.choices)}"


def _of(table: Mapping[str, str], key: str) -> str | None:
    return table.get(key, table.get(key[len(level_of(key)) :]))


def _answers(flag: str, given: Iterable[str]) -> dict[str, str]:
    found = {}
    for word in given:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"{flag} {word!r} is not STEP=TEXT; nothing was started")
        found[key] = value
    return found


def _ask(asked: Ask) -> Answer | None:
    """At a terminal. An empty line answers nothing, and the run waits."""
    for _, line in words.asked(asked):
        output.note(line)
    if asked.question == "manual":
        text = output.prompt("what was done (empty: not yet): ")
        return Answer(decision="done", text=text) if text else None
    if asked.phrase:
        text = output.prompt(f"type {asked.phrase!r} to go on, or no: ")
        if text == "no":
            return Answer(decision="no")
        return Answer(decision="yes", text=text) if text else None
    text = output.prompt(f"{' or '.join(asked.choices)}: ")
    return Answer(decision=text, text=text) if text else None
