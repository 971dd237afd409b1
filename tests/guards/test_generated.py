"""What is made from the code is what the code makes now; and every link of the documents leads to a place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from console.config import Config
from docs.generate import MADE
from docs.generator.config_page import keys_of, meanings
from docs.generator.licences import licence, pinned
from docs.generator.manual import page as manual
from docs.generator.markdown import anchor, table
from tests.guards.sources import ROOT, read

PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", MADE)
def test_it_is_what_make_docs_makes(name: str) -> None:
    assert read(name) == MADE[name](), "run `make docs`"


def _headings(text: str) -> set[str]:
    """Anchors as GitHub makes them: a heading that is there again gets a number."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", _BLOCK.sub("", text), re.MULTILINE):
        base = anchor(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip())
        found.add(next(one for one in (base, *(f"{base}-{i}" for i in range(1, 99))) if one not in found))
    return found


def dead(page: Path, text: str) -> list[str]:
    """Links that stay within the checkout and lead nowhere, by their file or their anchor."""
    found = []
    for target in _LINK.findall(text):
        if "://" in target:
            continue
        name, _, part = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        if not there.exists() or (part and part not in _headings(there.read_text(encoding="utf-8"))):
            found.append(target)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_and_anchor_leads_somewhere(page: Path) -> None:
    assert dead(page, page.read_text(encoding="utf-8")) == []


def test_a_dead_link_and_a_dead_anchor_are_seen() -> None:
    text = "# Here\n[a](nowhere.md) [b](README.md) [c](README.md#nothing) [d](#gone) [e](https://example.net/x#y)"
    assert dead(ROOT / "README.md", text) == ["nowhere.md", "README.md#nothing", "#gone"]


def test_every_page_is_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        names = [
            one.partition("#")[0]
            for one in _LINK.findall(page.read_text(encoding="utf-8"))
            if "://" not in one
        ]
        ahead += [(page.parent / name).resolve() for name in names if name]
    assert {page for page in PAGES if page not in seen} == set()


def test_the_config_reference_has_a_meaning_for_every_key() -> None:
    said = meanings(read("docs/config.md"))
    assert {one.path for one in keys_of(Config)} <= set(said)


def test_every_distribution_that_is_installed_with_dbdeck_has_a_licence() -> None:
    text = read("docs/licences.md")
    for name in {**pinned("run"), **pinned("demo")}:
        row = re.search(rf"^\| `{re.escape(name)}` \| [^|]+ \| (.*) \|$", text, re.MULTILINE)
        assert row
        assert row[1].strip()
        assert licence(name) in ("", row[1])


def test_a_border_in_a_cell_is_escaped() -> None:
    assert table(("a",), [("x|y",)]) == ["| a |", "|---|", "| x\\|y |", ""]


def test_no_line_of_the_man_page_is_a_macro_that_is_not_ours() -> None:
    ours = {".TH", ".SH", ".SS", ".TP", ".PP", ".B", '.\\"'}
    lines = manual().splitlines()
    assert [one for one in lines if one.startswith((".", "'")) and one.split()[0] not in ours] == []
