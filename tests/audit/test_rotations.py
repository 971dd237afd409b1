"""The last rotation of an account, by the ledger's rows: what is not known to have ended is not forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from console.audit.record import Entry, Kind, canonical_json
from console.audit.rotations import ROTATE, rotation_rows, rotations
from console.model.drift import Rotated
from tests.audit.sinks import Sink

START = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
SET_AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


class Book:
    """Rows as they were written, a minute apart."""

    def __init__(self) -> None:
        self.rows: list[Entry] = []

    def add(self, kind: Kind, action: UUID, body: dict[str, Any]) -> None:
        number, blank = len(self.rows) + 1, bytes(32)
        self.rows.append(
            Entry(
                id=number, at=START + timedelta(minutes=number), writer=UUID(int=1), seq=number, kind=kind,
                action_id=action, parent=None, idempotency_key=None, body=canonical_json(body),
                body_hash=blank, prev=blank, link=blank, witness=blank, db_user="", peer="", seal=blank,
            )
        )  # fmt: skip

    def intent(self, *users: str, target: str = "t", server: str = "7", action: str = ROTATE) -> UUID:
        keys = [[[user, None]] for user in users]
        made = uuid4()
        subject = {"accounts": [{"keys": one, "rotation": "r"} for one in keys]}
        server_ = {"system_id": server}
        self.add(
            Kind.INTENT, made, {"action": action, "target": target, "subject": subject, "server": server_}
        )
        return made

    def end(self, action: UUID, status: str, kind: Kind = Kind.OUTCOME, **evidence: Any) -> None:
        body = {"action": ROTATE, "target": "t", "status": status, "verify": {"evidence": evidence}}
        self.add(kind, action, body)

    def done(self, user: str, mark: str | None = "aa", **over: Any) -> None:
        at = {user: SET_AT.isoformat()}
        more: dict[str, Any] = {"fingerprints": {user: mark}, "fingerprint_key": "k", "set_at": at}
        self.end(self.intent(user, **over), "applied", **more)

    @property
    def app(self) -> Rotated | None:
        return rotations(self.rows, "t", "7").get("app")


@pytest.fixture
def book() -> Book:
    return Book()


def test_the_last_one_that_is_done_counts(book: Book) -> None:
    book.done("app", "aa")
    book.done("other", "bb")
    book.done("app", "cc")
    assert book.app == Rotated(at=SET_AT, fingerprint="cc", key="k", exact=True, server="7")


def test_what_was_read_afterwards_is_not_exact(book: Book) -> None:
    since = {"app": SET_AT.isoformat()}
    book.end(
        book.intent("app"),
        "applied",
        fingerprints={"app": "aa"},
        fingerprint_key="k",
        same_since=since,
    )
    assert book.app == Rotated(at=SET_AT, fingerprint="aa", key="k", server="7")


def test_one_without_a_fingerprint_ends_what_an_earlier_one_says(book: Book) -> None:
    book.done("app", "aa")
    book.done("app", None)
    assert book.app is not None
    assert book.app.fingerprint is None


def test_one_of_before_fingerprints_were_kept_says_nothing(book: Book) -> None:
    book.end(book.intent("app"), "applied")
    assert book.app == Rotated(at=START + timedelta(minutes=2), server="7")


@pytest.mark.parametrize("status", ["failed", "not_applied", "no_op"])
def test_one_that_did_nothing_is_passed_over(book: Book, status: str) -> None:
    book.done("app", "aa")
    book.end(book.intent("app"), status)
    assert book.app is not None
    assert (book.app.fingerprint, book.app.unsettled) == ("aa", False)


@pytest.mark.parametrize("status", [None, "unknown", "partial"])
def test_one_whose_end_is_not_known_leaves_it_unsettled(book: Book, status: str | None) -> None:
    book.done("app", "aa")
    action = book.intent("app")
    if status is not None:
        book.end(action, status, moves={"app": ["stage", "apply"]})
    assert book.app is not None
    assert (book.app.fingerprint, book.app.unsettled) == ("aa", True)


def test_a_run_that_never_came_to_an_account_leaves_it_as_it_was(book: Book) -> None:
    book.done("app", "aa")
    moves = {"first": ["stage", "apply", "promote"], "app": ["stage"]}
    book.end(book.intent("first", "app"), "partial", moves=moves, fingerprints={"first": "bb"})
    assert book.app is not None
    assert (book.app.fingerprint, book.app.unsettled) == ("aa", False)


def test_what_was_resolved_later_wins(book: Book) -> None:
    action = book.intent("app")
    book.end(action, "unknown")
    book.end(action, "applied", Kind.RESOLVED, fingerprints={"app": "dd"}, fingerprint_key="k")
    assert book.app == Rotated(at=START + timedelta(minutes=3), fingerprint="dd", key="k", server="7")


def test_other_targets_count_only_where_they_are_this_server(book: Book) -> None:
    book.done("app", "aa", target="elsewhere", server="8")
    assert book.app is None
    book.done("app", "bb", target="alias", server="7")
    here = book.app
    book.done("app", "cc", target="t", server="9")
    there = book.app
    assert [one and (one.fingerprint, one.server) for one in (here, there)] == [("bb", "7"), ("cc", "9")]


def test_other_actions_and_damaged_rows_are_passed_over(book: Book) -> None:
    book.intent("app", action="credential.lock")
    book.add(Kind.INTENT, uuid4(), {"action": ROTATE, "target": "t", "subject": {"accounts": "?"}})
    book.add(Kind.OUTCOME, uuid4(), {"status": "applied", "verify": "?"})
    assert book.app is None


async def test_only_rows_of_rotations_are_read(sink: Sink) -> None:
    async with sink.open() as ledger:
        wanted, other = uuid4(), uuid4()
        await ledger.append(Kind.INTENT, other, {"action": "credential.rotated", "target": "t"})
        await ledger.append(Kind.INTENT, wanted, {"action": ROTATE, "target": "ü%_'"})
        await ledger.append(Kind.STEP, wanted, {"action": ROTATE})
        await ledger.append_late(Kind.OUTCOME, wanted, {"action": ROTATE, "status": "applied"})
        assert [(row.action_id, row.kind) for row in await rotation_rows(ledger)] == [
            (wanted, "intent"),
            (wanted, "outcome"),
        ]
        assert len(await ledger.entries(containing="ü%_'")) == 1
