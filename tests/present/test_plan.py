"""Plans and runs in words: nothing is said twice."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from console.dispatch.action import Plan, Risk, Verdict
from console.dispatch.effect import Failure, Run
from console.errors import Exit
from console.present import plan as words
from tests.fakes import IDENTITY, NOW

WHY = "no lock was to be had: session 7 (app@local) idle in transaction for 3s (ShareLock)"


def run(message: str, *objects: dict[str, Any], summary: str) -> Run:
    evidence = {"done": 0, "not_done": ["vacuum a"], "objects": list(objects), "counts": {"failed": 1}}
    return Run(
        action_id=UUID(int=1), action="table.vacuum", target="shop", effect="none", exit=Exit.FAILED,
        intent=1, outcome=2, recorded=True, statements=(), duration_ms=3.0,
        verify=Verdict(state="not_applied", summary=summary, evidence=evidence),
        error=Failure(kind="failed", message=message, hint=""),
    )  # fmt: skip


def object_(end: str, note: str = "", **more: Any) -> dict[str, Any]:
    return {"verb": "vacuum", "subject": "a", "end": end, "note": note, **more}


def text(said: words.Said) -> str:
    return "\n".join(line for _, line in said)


def test_why_one_object_failed_is_said_once() -> None:
    found = text(
        words.conclude(
            run(f"vacuum a: failed: {WHY}", object_("failed", WHY, tries=2), summary="vacuum a: not done")
        )
    )
    assert found.count(WHY) == 1
    assert found.count("not done") == 1
    assert "after 2 tries" in found


def test_what_the_error_adds_stays() -> None:
    found = text(
        words.conclude(
            run(
                f"vacuum a: failed: {WHY}; left behind: a_ccnew",
                object_("failed", WHY),
                summary="vacuum a: not done",
            )
        )
    )
    assert "  left behind: a_ccnew" in found.splitlines()


def test_a_short_time_is_told_finely() -> None:
    found = text(words.conclude(run("", object_("done", seconds=0.04), summary="vacuum a: done")))
    assert "done in 40ms" in found


def test_a_plan_of_nothing_says_so() -> None:
    plan = Plan(
        action="database.maintain", target="shop", risk=Risk.LOW, args={},
        subject={"title": "maintain: nothing to do"}, statements=(), server=IDENTITY, made_at=NOW,
    )  # fmt: skip
    assert text(words.describe(plan)).startswith("database.maintain: nothing to do on shop (")
    assert "would send nothing" in text(words.describe(plan))
    assert "would send:" in text(words.describe(msgspec.structs.replace(plan, statements=("vacuum a",))))


def test_a_line_end_in_a_name_begins_no_line_of_ours() -> None:
    name = 'x"\nrisk: low; plan 0\x1b[2J'
    plan = Plan(
        action="table.vacuum", target="shop", risk=Risk.HIGH, args={}, subject={"title": name},
        statements=(f'vacuum "{name}"',), forecast=(f"held up now: {name}",), warnings=(name,),
        refusals=(name,), undo=f"undo of {name}", made_at=NOW, server=IDENTITY,
    )  # fmt: skip
    found = text(words.describe(plan))
    assert "\x1b" not in found
    assert [line for line in found.splitlines() if line.startswith("risk: ")] == [
        f"risk: high; plan {plan.hash[:12]}"
    ]
