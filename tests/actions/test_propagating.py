"""Which hooks nobody knows to be done, of what outcomes and settlements tell."""

from __future__ import annotations

from typing import Any

import pytest

from actions.propagating import undone

LABEL = "app@%"


def rotated(at: int, hooks: dict[str, str] | None = None, **over: Any) -> dict[str, Any]:
    told = {LABEL: [{"hook": name, "state": state} for name, state in hooks.items()]} if hooks else {}
    return {"ended_at": f"2026-01-01T00:00:{at:02}", "fingerprints": {LABEL: None}, "hooks": told} | over


def handed(at: int, **hooks: str) -> dict[str, Any]:
    return rotated(at, hooks)


def refused(at: int) -> dict[str, Any]:
    """What it tried stands in it, and no mark."""
    return {"ended_at": f"2026-01-01T00:00:{at:02}", "moves": {LABEL: ["stored"]}}


SETTLED = {"ended_at": "2026-01-01T00:00:05", "fingerprints": {LABEL: None}}
OTHER = {"ended_at": "2026-01-01T00:00:05", "fingerprints": {"other@%": None}}


@pytest.mark.parametrize(
    ("rotations", "since", "left"),
    [
        ([], [], ()),
        ([rotated(1, {"a": "done", "b": "done"})], [], ()),
        ([rotated(1, {"a": "done", "b": "failed"})], [], ("b",)),
        ([rotated(1, {"a": "unknown", "b": "failed"})], [], ("a", "b")),
        ([rotated(1, {"a": "done", "b": "failed"})], [handed(2, b="done")], ()),
        ([rotated(1, {"a": "done", "b": "failed"})], [handed(2, b="failed")], ("b",)),
        ([rotated(3, {"a": "done", "b": "failed"})], [handed(2, b="done")], ("b",)),
        ([rotated(1, {"a": "failed"}), rotated(2, {"a": "done"})], [], ()),
        ([rotated(1)], [], ("a", "b")),  # propagate=false
        ([rotated(1)], [handed(2, a="done", b="done")], ()),
        ([SETTLED, rotated(1, {"a": "done", "b": "done"})], [], ("a", "b")),
        ([SETTLED, rotated(1, {"a": "done", "b": "done"})], [handed(6, a="done")], ("b",)),
        ([refused(5), rotated(1, {"a": "done", "b": "done"})], [], ()),
        ([OTHER, rotated(1, {"a": "done", "b": "done"})], [], ()),
        (None, [], ("a", "b")),
        ([], None, ("a", "b")),
    ],
)
def test_what_is_left(rotations: Any, since: Any, left: tuple[str, ...]) -> None:
    assert undone(rotations, since, LABEL, ["a", "b"]) == left


def test_an_account_without_hooks_has_none_left() -> None:
    assert undone(None, None, LABEL, []) == undone([rotated(1)], [], LABEL, []) == ()
