"""The report of a drill: nothing that a database is called may break out of it."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from console.model.backups import Backup, Method
from console.model.drill_history import DrillRecord, record_of
from console.model.drills import Area, Check, Outcome, Phase, PhaseName, Report, Verdict
from console.present.drill_report import html, markdown
from console.present.plots import line_plot, sparkline

NOW = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)


def report(name: str = "view shop.daily", verdict: Verdict = Verdict.FAIL) -> Report:
    return Report(
        id="0123456789",
        action_id="7",
        target="shop",
        source="nightly",
        backup=Backup(source="nightly", id="2026-11-26", method=Method.PG_DUMP, path="/b", started_at=NOW),
        verdict=verdict,
        reasons=(f"missing: {name}",),
        started_at=NOW,
        seconds=65.0,
        phases=(
            Phase(name=PhaseName.RESTORE, seconds=40.0),
            Phase(name=PhaseName.VERIFY, seconds=20.0),
            Phase(name=PhaseName.RESTORE, seconds=2.0),
        ),
        checks=(
            Check(area=Area.MEDIA, name="checksums", outcome=Outcome.PASSED),
            Check(area=Area.INVENTORY, name=name, outcome=Outcome.FAILED, detail=name, items=(name, "other")),
        ),
        rto_seconds=42.0,
        rpo_seconds=3600.0,
        rto_target=60.0,
        rpo_target=86400.0,
        commands=(f"pg_restore '{name}'",),
    )


class Tags(HTMLParser):
    """The tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def tags(page: str) -> Tags:
    found = Tags()
    found.feed(page)
    return found


def record(hours: int) -> DrillRecord:
    return DrillRecord(
        id=str(hours),
        source="nightly",
        backup="b",
        method="pg_dump",
        verdict=Verdict.PASS,
        started_at=NOW.replace(hour=hours),
        seconds=1.0,
        rto_seconds=30.0 + hours,
        rpo_seconds=60.0,
    )


def test_what_is_wrong_comes_first() -> None:
    text = markdown(report())
    assert text.index("FAILED") < text.index("| passed |")


def test_stretches_of_one_phase_add_up() -> None:
    assert "| restore | 42s |" in markdown(report())
    assert record_of(report(), "/r.json", "ab").phases == {"restore": 42.0, "verify": 20.0}


def test_the_page_needs_nothing_from_elsewhere() -> None:
    found = tags(html(report(), [record(1), record(2)]))
    assert not {"script", "link", "img", "iframe"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name in ("src", "href") or name.startswith("on")]


def test_drills_of_the_source_are_plotted_with_what_was_promised() -> None:
    page = html(report(), [record(1), record(2)])
    assert page.count("<circle") == 4
    assert "stroke-dasharray" in page


@given(st.text(max_size=60))
def test_no_name_breaks_out_of_the_page(name: str) -> None:
    usual = tags(html(report("plain"), []))
    found = tags(html(report(name), []))
    assert found.tags == usual.tags


@given(st.text(max_size=60))
def test_no_name_breaks_out_of_the_table(name: str) -> None:
    rows = [line for line in markdown(report(name)).split("\n") if line.startswith("| inventory")]
    assert len(rows) == 1
    assert rows[0].replace("\\\\", "").replace("\\|", "").count("|") == 5


def test_hostile_names_stay_text() -> None:
    page = html(report('"><script>alert(1)</script>'), [])
    assert "<script" not in page


def test_a_sparkline_has_a_sign_for_each_value_and_a_blank_for_none() -> None:
    assert sparkline([0.0, None, 8.0], 10) == "▁ █"
    assert sparkline([0.0, None, 8.0], 10, ascii_only=True) == "_ @"
    assert len(sparkline([1.0] * 50, 10)) == 10


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20), st.none() | st.floats(1, 1e6))
def test_every_point_is_within_the_plot(values: list[float], limit: float | None) -> None:
    points = [(NOW.replace(minute=place), value) for place, value in enumerate(values)]
    found = tags(line_plot("RTO", points, limit, str))
    places = [float(value or 0) for name, value in found.attributes if name == "cy"]
    assert all(0 <= place <= 190 for place in places)
