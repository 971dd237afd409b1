"""The map of a run, at any point of it: what was done, which way was taken, what is still ahead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from console.present import run_map
from console.present.run_map import Spot
from console.present.run_page import markdown, page
from console.present.table import Tone
from console.runbook.document import Document, Fixture
from console.runbook.events import Event
from console.runbook.rehearsal import rehearse
from console.runbook.state import Run, advance, replay
from console.runbook.steps import Walk, next_step
from tests.runbook.documents import WHOLE, document

ONE: Document = document(WHOLE)
FIXTURE = Fixture(
    name="one",
    answers={"look": [{"id": 7}, {"id": 8}], "before": {"sessions": [], "locks": []}, "settled": []},
    decisions={"go": "go", "each": "rest", "tell": "told"},
    path=(),
    result="ok",
)


def events() -> list[Event]:
    return [*rehearse({"whole": ONE}, ONE, FIXTURE).events]


def run_after(many: int) -> Run:
    found = replay(events()[:many])
    assert found is not None
    return found


def drawn(run: Run) -> dict[str, Spot]:
    due = next_step({"whole": ONE}, run)
    return {spot.key: spot for spot in run_map.spots({"whole": ONE}, run, due)}


def words(run: Run) -> dict[str, str]:
    return {key: run_map.word(spot) for key, spot in drawn(run).items()}


def until(step: str, kind: str) -> Run:
    """The run right after the first event of this kind on a step."""
    run: Run | None = None
    for event in events():
        run = advance(run, event)
        if type(event).__name__ == kind and getattr(event, "step", "") == step:
            return run
    raise AssertionError(f"there is no {kind} of {step}")


def test_before_anything_the_first_step_is_next() -> None:
    spots = drawn(run_after(2))
    assert [key for key, spot in spots.items() if spot.now] == ["look"]
    assert {spots[key].place for key in ("any?0", "each[…].act")} == {"not known"}


def test_a_way_that_was_not_taken_is_said_so_and_muted() -> None:
    run = until("any", "Chosen")
    assert words(run)["quiet"] == "not taken"
    lines = {line.key: line for line in run_map.lines(list(drawn(run).values()), None)}
    assert lines["quiet"].tone is Tone.MUTED
    assert words(run)["any"] == "done"


def test_a_loop_shows_its_items_once_they_are_known() -> None:
    found = words(until("each[0].act", "Acted"))
    assert (found["each"], found["each[0].act"], found["each[1].act"]) == ("open", "done", "")


def test_what_asks_is_marked() -> None:
    run = until("sure", "Observed")
    due = next_step({"whole": ONE}, run)
    spots = {spot.key: spot for spot in run_map.spots({"whole": ONE}, run, due)}
    assert run_map.word(spots["go"], due) == "asks"


def test_everything_is_over_at_the_end() -> None:
    run = replay(events())
    assert run is not None
    assert run.ended is not None
    spots = drawn(run)
    left = [
        key for key, spot in spots.items() if spot.place == "taken" and run_map.word(spot) == "" and spot.step
    ]
    assert left == []


def test_at_every_event_there_is_one_line_a_key_and_at_most_one_place_to_be() -> None:
    whole = events()
    for many in range(1, len(whole) + 1):
        run = run_after(many)
        spots = run_map.spots({"whole": ONE}, run, next_step({"whole": ONE}, run))
        keys = [spot.key for spot in spots]
        assert len(keys) == len(set(keys))
        assert sum(spot.now for spot in spots) <= 1


# ---- what is said of one step ---------------------------------------------------------------------


def said_of(run: Run, key: str, told: Iterable[Event] = ()) -> Any:
    return page(Walk({"whole": ONE}, run), drawn(run)[key], told)


def test_what_a_step_saved_is_a_table() -> None:
    (table,) = said_of(until("look", "Observed"), "look").tables
    assert (table.name, len(table.rows), table.read) == ("storm", 2, "locks")


def test_a_capture_has_a_table_a_read() -> None:
    tables = said_of(until("before", "Observed"), "before").tables
    assert [table.name for table in tables] == ["evidence.sessions", "evidence.locks"]


def test_texts_are_filled_in_by_what_is_known_there() -> None:
    assert said_of(until("look", "Observed"), "go").texts == ("2 wait. Go on?",)


def test_values_of_a_server_are_no_markdown_and_move_no_terminal() -> None:
    evil = "[click](http://evil) <!-- hidden -->\x1b[2J**bold**"
    text = markdown("it said: {{ x }}", {"x": evil})
    assert "\x1b" not in text
    assert "\\[click\\]\\(http" in text
    assert "\\*\\*bold" in text
    assert "\\<\\!\\-\\-" in text
