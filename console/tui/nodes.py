"""Whether a widget is there: a screen that is left goes from the leaves up."""

from __future__ import annotations

from textual.css.query import NoMatches
from textual.dom import DOMNode
from textual.widget import Widget


def has(node: DOMNode, kind: type[Widget] | str) -> bool:
    """Asked several times a second: a query walks through all nodes, `query_one` remembers what it found."""
    try:
        node.query_one(kind)
    except NoMatches:
        return False
    return True
