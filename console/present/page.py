"""What reports are made of, as Markdown and as HTML: nothing that a server says may become markup; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from console.present.units import clean, clean_block

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"  # it loads nothing and runs nothing
STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1f2328;
background:#fff}table{border-collapse:collapse;width:100%;margin:1rem 0}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #d0d7de;vertical-align:top;
overflow-wrap:anywhere}
code,pre{font:13px ui-monospace,monospace}pre{white-space:pre-wrap;background:#f6f8fa;padding:.6rem}
.v{color:#fff;padding:.2rem .7rem;border-radius:.3rem;font-weight:600}
.FAILED,.BROKEN{color:#cf222e;font-weight:600}.skipped{color:#57606a}svg{max-width:100%}
""".strip()
_SIGNS: Final = str.maketrans({sign: f"\\{sign}" for sign in "\\|`*_[]<>~&"})
# Of a line: a heading, a list, an underline of a heading or of a table's head.
_BEGINS: Final = re.compile(r"^(?:[#=]|\+(?=\s|$)|-(?=[\s:-]|$)|:(?=-)|\d{1,9}(?=[.)](?:\s|$)))")
_TICKS: Final = re.compile("`+")
LIMIT: Final = 2000


# ---- Markdown -----------------------------------------------------------------------------------------


def mark(text: str, limit: int = LIMIT) -> str:
    """One line of Markdown that is read as the text itself, wherever a line, an item or a cell may stand."""
    found = clean(text, limit).strip().translate(_SIGNS)
    found = found.replace("://", ":\\//").replace("www.", "www\\.")  # readers make links of bare addresses
    start = _BEGINS.match(found)
    if start is None:
        return found
    return f"{start[0]}\\{found[start.end() :]}" if start[0].isdigit() else f"\\{found}"


def fenced(text: str, limit: int = 100_000) -> list[str]:
    """A block of code: its fence is longer than any in the text."""
    body = clean_block(text, limit)
    fence = "`" * max(3, 1 + max((len(run) for run in _TICKS.findall(body)), default=0))
    return [fence + "text", *body.split("\n"), fence]


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table. Its cells are plain text."""
    return [
        f"| {' | '.join(mark(one) for one in head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(mark(one) for one in row)} |" for row in rows),
    ]


# ---- HTML ---------------------------------------------------------------------------------------------


def page(title: str, badge: str, colour: str, parts: Iterable[str]) -> str:
    """One page that needs nothing else. `parts` is markup."""
    told = f'<span class="v" style="background:{colour}">{said(badge)}</span>'
    whole = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{said(title)}</title>',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        f"<style>{STYLE}</style></head><body>",
        f"<h1>{said(title)} {told}</h1>",
        *parts,
        "</body></html>",
    ]
    return "\n".join(part for part in whole if part) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are markup."""
    top = "<tr>" + "".join(f"<th>{said(one)}</th>" for one in head) + "</tr>" if head else ""
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{top}\n{body}</table>"


def listed(items: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{said(one)}</li>" for one in items) + "</ul>" if items else ""


def said(text: str, limit: int = LIMIT) -> str:
    """Plain text as markup; its lines stay lines."""
    return escape("\n".join(clean(line, limit) for line in text.split("\n")))
