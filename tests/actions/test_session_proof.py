"""What became of a session, from what is seen of it: never more than that."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actions.session_proof import Aim, Fate, Sent, Verb, fate, judged, sent_to, verdict_on
from console.dispatch.action import Step
from console.model.sessions import Session, State
from console.model.target import ServerIdentity
from tests.fakes import IDENTITY, NOW, STARTED, make_session

MYSQL = msgspec.structs.replace(IDENTITY, flavor="mysql")
IDLE = make_session(7, state=State.IDLE_IN_TRANSACTION, state_seconds=60.0, transaction_started_at=NOW)
AIM = Aim(verb=Verb.TERMINATE, session=IDLE, transaction=NOW, idle=30.0)


def now(**over: Any) -> Session:
    return msgspec.structs.replace(IDLE, **over)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (None, Fate.ENDED),
        (now(started_at=NOW), Fate.ENDED),
        (now(state_seconds=61.0), Fate.UNTOUCHED),
        (now(state_seconds=61.0, wait=None), Fate.UNCLEAR),
        (now(state_seconds=1.0), Fate.MOVED_ON),
        (now(state=State.ACTIVE), Fate.MOVED_ON),
        (now(transaction_started_at=STARTED), Fate.MOVED_ON),
        (now(transaction_started_at=None, state=State.IDLE), Fate.MOVED_ON),
        (now(transaction_started_at=None), Fate.UNCLEAR),
        (now(state=State.ENDING), Fate.UNCLEAR),
        (now(visible=False), Fate.UNCLEAR),
        (now(started_at=None), Fate.UNCLEAR),
    ],
)
def test_a_session_that_was_to_end(seen: Session | None, expected: Fate) -> None:
    assert fate(IDENTITY, AIM, seen) is expected


@pytest.mark.parametrize(
    ("server", "wait", "expected"),
    [
        (IDENTITY, "Lock/transactionid", Fate.UNTOUCHED),
        (IDENTITY, "IO/DataFileRead", Fate.UNCLEAR),
        (MYSQL, None, Fate.UNTOUCHED),
    ],
)
def test_a_statement_that_was_to_stop(server: ServerIdentity, wait: str | None, expected: Fate) -> None:
    running = make_session(7, query_started_at=NOW, wait=wait)
    aim = Aim(verb=Verb.CANCEL, session=running)
    assert fate(server, aim, running) is expected
    assert fate(server, aim, msgspec.structs.replace(running, query_started_at=STARTED)) is Fate.ENDED
    assert fate(server, aim, msgspec.structs.replace(running, state=State.IDLE)) is Fate.ENDED


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ([Fate.ENDED, Fate.ENDED], "applied"),
        ([Fate.ENDED, Fate.MOVED_ON], "applied"),
        ([Fate.ENDED, Fate.UNTOUCHED], "partial"),
        ([Fate.UNTOUCHED, Fate.MOVED_ON], "not_applied"),
        ([Fate.ENDED, Fate.OTHERWISE], "applied"),
        ([Fate.OTHERWISE, Fate.UNTOUCHED], "not_applied"),
        ([Fate.CANCELLED, Fate.UNTOUCHED], "partial"),
        ([Fate.GONE, Fate.UNTOUCHED], "partial"),
        ([Fate.ENDED, Fate.UNCLEAR], "undecidable"),
        ([Fate.UNTOUCHED, Fate.UNCLEAR], "undecidable"),
    ],
)
def test_of_several_the_least_certain_decides(found: list[Fate], state: str) -> None:
    verdict = verdict_on([AIM, AIM], found, "nothing")
    assert verdict.state == state
    assert sum(len(ids) for ids in verdict.evidence.values()) == 2


@pytest.mark.parametrize(
    ("sent", "gone", "moved", "same", "unclear"),
    [
        (Sent.SENT, Fate.ENDED, Fate.UNCLEAR, Fate.UNCLEAR, Fate.UNCLEAR),
        (Sent.SPARED, Fate.OTHERWISE, Fate.MOVED_ON, Fate.MOVED_ON, Fate.MOVED_ON),
        (Sent.REFUSED, Fate.OTHERWISE, Fate.MOVED_ON, Fate.UNTOUCHED, Fate.UNTOUCHED),
        (Sent.NOT_SENT, Fate.OTHERWISE, Fate.MOVED_ON, Fate.UNTOUCHED, Fate.UNTOUCHED),
        (Sent.UNSEEN, Fate.GONE, Fate.MOVED_ON, Fate.UNTOUCHED, Fate.UNCLEAR),
    ],
)
def test_only_who_was_sent_something_was_ended_by_it(
    sent: Sent, gone: Fate, moved: Fate, same: Fate, unclear: Fate
) -> None:
    seen = (Fate.ENDED, Fate.MOVED_ON, Fate.UNTOUCHED, Fate.UNCLEAR)
    assert [judged(AIM, fate, sent) for fate in seen] == [gone, moved, same, unclear]


def test_a_statement_is_cancelled_and_its_session_not_ended() -> None:
    aim = Aim(verb=Verb.CANCEL, session=IDLE)
    assert judged(aim, Fate.ENDED, Sent.SENT) is Fate.CANCELLED
    verdict = verdict_on([AIM, aim], [Fate.ENDED, Fate.CANCELLED], "nothing")
    assert verdict.summary == "of 2: 1 ended, 1 cancelled"


def test_who_has_no_step_was_sent_nothing_and_without_an_answer_nobody_knows() -> None:
    aims = [Aim(verb=Verb.TERMINATE, session=make_session(number)) for number in (1, 2, 3)]
    steps = [Step(subject=1, answer="spared"), Step(subject=2)]
    assert sent_to(aims, steps) == [Sent.SPARED, Sent.UNSEEN, Sent.NOT_SENT]
    assert sent_to(aims, None) == [Sent.UNSEEN] * 3


def test_of_none_there_is_nothing_to_do() -> None:
    assert verdict_on([], [], "nobody").state == "applied"
