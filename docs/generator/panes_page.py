"""docs/panes: a page for each view, from its class, its bindings, the reads' own headers, and pane_facts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from textual.binding import Binding

from console.cli.main import SUBJECTS
from console.present import overview
from console.present.table import Column
from console.tui import panes
from console.tui.panes.acting import ActingPane
from console.tui.panes.pane import Pane
from console.tui.screens import views
from docs.generator.markdown import code, page, sentence, table
from docs.generator.pane_facts import FACTS, SHOWS, Fact, Facts

_ROOT = Path(__file__).resolve().parents[2]
_SQL = _ROOT / "console" / "engine"
_ENGINES = (("postgres", "PostgreSQL"), ("mysql", "MySQL, MariaDB"))
_VIEW = re.compile(r"\b(?:from|join)\s+(?:lateral\s+)?(\w+\.\w+|pg_\w+)", re.IGNORECASE)
_SCHEMAS = ("information_schema.", "performance_schema.", "mysql.", "pg_")


def pages() -> dict[str, Callable[[], str]]:
    return {"docs/panes/README.md": index} | {
        f"docs/panes/{tab.name}.md": partial(_page, tab.name) for tab in views.TABS
    }


def index() -> str:
    rows = [(code(tab.key), f"[{tab.title}]({tab.name}.md)", sentence(SHOWS[tab.name])) for tab in views.TABS]
    said = "A page for each view of the console. Views with one key follow each other on it."
    return page("Views", [said, ""], table(("key", "view", "what it shows"), rows))


def pane_of(name: str) -> type[Pane[Any, Any]]:
    modules = [import_module(f"{panes.__name__}.{one.name}") for one in iter_modules(panes.__path__)]
    found = [one for module in modules for one in vars(module).values() if isinstance(one, type)]
    return next(one for one in found if issubclass(one, Pane) and one.name_of_subject == name)


def columns_of(name: str) -> tuple[str, ...]:
    """Each title once."""
    kind = pane_of(name)
    shown: tuple[Column, ...] = overview.columns() if name == "overview" else kind.columns
    return tuple(dict.fromkeys(one.title for one in shown if one.title))


def _page(name: str) -> str:
    tab = next(tab for tab in views.TABS if tab.name == name)
    facts = FACTS[name]
    head = [f"{sentence(SHOWS[name])} {sentence(_first(pane_of(name)))}", ""]
    shown = f" `dbdeck show {name}` prints the same." if name in SUBJECTS else ""
    more = f"[{facts.more.partition('#')[0]}](../{facts.more})"
    head += [f"Key {code(tab.key)}, which has {views.titles(tab.key)}.{shown} More: {more}", ""]
    return page(tab.title, head, _columns(name, facts), _keys(name), _reads(facts), _missing(facts))


def _first(kind: type[Pane[Any, Any]]) -> str:
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())


def _columns(name: str, facts: Facts) -> Iterator[str]:
    yield from ("## Columns", "")
    rows = []
    for title in columns_of(name):
        fact = facts.columns[title]
        rows.append((title, fact.what, _source(fact, 0), _source(fact, 1)))
    yield from table(("column", "what it is", "PostgreSQL", "MySQL, MariaDB"), rows)


def _source(fact: Fact, which: int) -> str:
    """Reads as code, words as words."""
    words = (fact.postgres, fact.mysql)[which]
    names = words.split()
    if not names:
        return "not told"
    return ", ".join(code(one) for one in names) if is_read(_ENGINES[which][0], names[0]) else words


def is_read(engine: str, name: str) -> bool:
    return (_SQL / engine / "sql" / f"{name}.sql").exists()


def _keys(name: str) -> Iterator[str]:
    """Its own; those of every view are in docs/keys.md."""
    kind = pane_of(name)
    meanings = dict(_meanings())
    verbs = kind.verbs if issubclass(kind, ActingPane) else {}
    rows = []
    for one in vars(kind).get("BINDINGS", ()):
        if not isinstance(one, Binding):
            continue
        found = re.fullmatch(r"request\('(\w+)'\)", one.action)
        action = verbs[found[1]].action if found and found[1] in verbs else ""
        rows.append(
            (
                " ".join(code(key) for key in one.key.split(",")),
                meanings[one.id or ""],
                code(action),
                code(one.id or ""),
            )
        )
    yield from ("## Keys", "")
    yield from table(("key", "what it does", "action", "id"), rows) or ["None of its own.", ""]
    yield from ("Those of every view: [keys](../keys.md).", "")


def _meanings() -> Iterator[tuple[str, str]]:
    for line in (_ROOT / "docs" / "keys.md").read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"\| (?:`[^`]+` ?)+\| (.*) \| `([\w.-]+)` \|", line):
            yield found[2], found[1]


def reads_of(facts: Facts, which: int) -> list[str]:
    """The names of its reads, each once."""
    words = [(one.postgres, one.mysql)[which] for one in facts.columns.values()] + [facts.also[which]]
    engine = _ENGINES[which][0]
    return list(dict.fromkeys(name for one in words for name in one.split() if is_read(engine, name)))


def _reads(facts: Facts) -> Iterator[str]:
    for which, (engine, title) in enumerate(_ENGINES):
        rows = [_read(engine, name) for name in reads_of(facts, which)]
        if rows:
            yield from (f"## What it reads: {title}", "")
            yield from table(("read", "purpose", "from", "privilege"), rows)


def _read(engine: str, name: str) -> tuple[str, str, str, str]:
    text = (_SQL / engine / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    head = {key: " ".join(said.replace("\n--", " ").split()) for key, said in _HEAD.findall(text)}
    body = "\n".join(line.partition("--")[0] for line in text.splitlines())
    views_ = dict.fromkeys(one for one in _VIEW.findall(body) if one.startswith(_SCHEMAS))
    return code(name), head["Purpose"], ", ".join(map(code, views_)) or "functions", head["Privilege"]


_HEAD = re.compile(r"^-- (Purpose|Privilege): (.*(?:\n--   .*)*)", re.MULTILINE)


def _missing(facts: Facts) -> Iterator[str]:
    yield from ("## Where something is missing", "")
    yield from table(("without", "it says"), facts.missing)
    yield from (
        "What each login needs is in [privileges](../privileges.md); `dbdeck doctor` tells what yours lacks.",
        "",
    )
