"""Every view has a page that tells of each of its columns, keys and reads, and of no other."""

from __future__ import annotations

import pytest
from textual.binding import Binding

from console.tui.screens.views import TABS
from docs.generate import MADE
from docs.generator.pane_facts import FACTS
from docs.generator.panes_page import columns_of, is_read, pane_of
from tests.guards.markdown import codes, rows, section
from tests.guards.sources import ROOT, read

NAMES = [tab.name for tab in TABS]


def test_every_view_has_a_page_and_nothing_else_has() -> None:
    pages = {one.stem for one in (ROOT / "docs" / "panes").glob("*.md")} - {"README"}
    assert pages == set(NAMES) == set(FACTS)
    assert {f"docs/panes/{name}.md" for name in NAMES} <= set(MADE)


@pytest.mark.parametrize("name", NAMES)
def test_every_column_is_told_and_no_other(name: str) -> None:
    assert tuple(FACTS[name].columns) == columns_of(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_source_that_is_a_read_is_there(name: str) -> None:
    """Words stand for what is no read: the ledger, the config, dbdeck itself."""
    facts = FACTS[name]
    for which, engine in enumerate(("postgres", "mysql")):
        told = [(one.postgres, one.mysql)[which] for one in facts.columns.values()] + [facts.also[which]]
        for words in told:
            found = [is_read(engine, word) for word in words.split()]
            assert all(found) or not any(found), f"{engine}: {words}"
            assert all(found) or " " in words or words in WORDS, f"{engine} has no read {words}"


WORDS = ("dbdeck",)


@pytest.mark.parametrize("name", NAMES)
def test_the_keys_of_its_page_are_its_bindings(name: str) -> None:
    bindings = [one for one in vars(pane_of(name)).get("BINDINGS", ()) if isinstance(one, Binding)]
    told = {codes(row[-1])[0]: codes(row[0]) for row in rows(section(read(f"docs/panes/{name}.md"), "Keys"))}
    assert told == {one.id: tuple(one.key.split(",")) for one in bindings}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_seen_where_something_is_missing_is_told(name: str) -> None:
    assert list(rows(section(read(f"docs/panes/{name}.md"), "Where something is missing")))


def test_the_page_a_view_points_to_is_there() -> None:
    assert [
        one.more for one in FACTS.values() if not (ROOT / "docs" / one.more.partition("#")[0]).exists()
    ] == []
