"""What is said of a run does not change with what happens after its outcome."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from console.cli import act
from console.cli.context import Services
from console.dispatch.effect import Run
from console.errors import AuditUnavailable, Exit

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
