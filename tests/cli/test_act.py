"""What is said of a run does not change with what happens after its outcome."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from console.cli import act
from console.cli.context import Services
from console.dispatch.action import Plan, Risk
from console.dispatch.effect import Run
from console.errors import AuditUnavailable, Exit, UsageError
from tests.fakes import IDENTITY

RUN = Run(
    action_id=uuid4(),
    action="session.terminate",
    target="shop",
    effect="applied",
    exit=Exit.OK,
    intent=1,
    outcome=3,
    statements=("KILL 7",),
    verify=None,
    duration_ms=12.0,
)


def options(**over: Any) -> act.ApplyOptions:
    values: dict[str, Any] = {
        "target": "shop",
        "args_from": None,
        "reason": "x",
        "ticket": "",
        "yes": True,
        "confirm": "",
        "timeout": 0.2,
        "watch": 0.0,
        "idempotency_key": None,
        "as_json": True,
    }
    return act.ApplyOptions(**values | over)


async def ends(how: str, run: Run | None, monkeypatch: pytest.MonkeyPatch) -> int:
    """`apply` whose connections and ledger hang, fail or are cancelled while they are closed."""

    async def apply(*arguments: Any) -> None:
        arguments[-1].run = run
        if how == "hangs":
            await asyncio.Event().wait()
        raise AuditUnavailable("the ledger is gone") if how == "fails" else asyncio.CancelledError(how)

    monkeypatch.setattr(act, "_apply", apply)
    services = Services(registry=lambda: None, console=lambda *_: None)  # type: ignore[arg-type, return-value]
    return await act.apply_action(services, "session.terminate", (), options())


@pytest.mark.parametrize("how", ["hangs", "fails", "cancelled"])
async def test_an_effect_with_its_outcome_stays_done(
    how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await ends(how, RUN, monkeypatch) == Exit.OK
    document = json.loads(capsys.readouterr().out)
    assert (document["effect"], document["exit"], document["outcome"]) == ("applied", 0, 3)


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("hangs", Exit.TIMED_OUT),
        ("fails", Exit.AUDIT),
        ("SIGINT", Exit.INTERRUPTED),
        ("SIGHUP", Exit.TERMINATED),
    ],
)
async def test_before_an_outcome_nothing_was_executed(
    how: str, code: Exit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await ends(how, None, monkeypatch) == code
    document = json.loads(capsys.readouterr().out)
    assert (document["effect"], document["exit"], document["intent"]) == ("none", code, None)
    assert "nothing was executed" in document["error"]["message"] or how == "fails"


# ---- a plan in a file --------------------------------------------------------------------------

WITHOUT_ZONE = "2026-11-21T03:00:00"


def in_a_file(folder: Path, subject: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """A plan that was made just now, with the hash of it, and what is in its file."""
    plan = Plan(
        action="a", target="t", risk=Risk.LOW, args={}, subject=subject, statements=(), server=IDENTITY,
        made_at=datetime.now(UTC),
    )  # fmt: skip
    document = {**msgspec.to_builtins(plan), "schema": act.PLAN, "hash": plan.hash}
    path = folder / "plan.json"
    path.write_bytes(msgspec.json.encode(document))
    return path, document


def test_a_time_without_a_zone_is_of_no_plan(tmp_path: Path) -> None:
    """Neither is in the hash."""
    path, document = in_a_file(tmp_path, {})
    assert act.load_plan(path).action == "a"
    server = {**document["server"], "started_at": WITHOUT_ZONE}
    for edited in ({**document, "made_at": WITHOUT_ZONE}, {**document, "server": server}):
        path.write_bytes(msgspec.json.encode(edited))
        with pytest.raises(UsageError, match=r"is no saved plan: .*timezone"):
            act.load_plan(path)


def test_what_is_nested_beyond_reading_is_no_plan(tmp_path: Path) -> None:
    path, document = in_a_file(tmp_path, {"nested": "HERE"})
    text = msgspec.json.encode(document)
    for depth in (600, 200_000):  # beyond what Python hashes, and what is read at all
        path.write_bytes(text.replace(b'"HERE"', b"[" * depth + b"]" * depth))
        with pytest.raises(UsageError, match=r"is no saved plan|was changed"):
            act.load_plan(path)
