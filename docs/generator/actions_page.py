"""docs/reference/actions.md, from the registry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import actions
from console.dispatch.action import Action, Lasting, Offline, Resumable
from console.present.actions import LABELS, by_engine, risk
from console.present.fields import Field, explained, fields
from docs.generator.markdown import code, link, sentence, table
from docs.generator.markdown import page as made

_INTRO = """Every action dbdeck is loaded with. `dbdeck actions NAME` tells the same of one. What it would
do on *your* server (the exact statements, who is in the way, what undoes it by name) is told by `dbdeck
plan ACTION …`, which only reads.

*Locks* are what the effect holds on the server and whom that keeps waiting; *rights* are what the
[operator](../privileges.md) needs beyond logging in. The risk of a plan decides what is asked for:
[policy](../config.md#policy). How to run one is in [commands](../cli.md#dbdeck-apply)."""


def page() -> str:
    return made("Actions", [*_INTRO.splitlines(), ""], _contents(), *(_about(one) for one in actions.ALL))


def _contents() -> list[str]:
    rows = [(link(one.name), str(one.risk), _engines(one), one.summary) for one in actions.ALL]
    return table(("action", "risk", "engines", "what it does"), rows)


def _engines(action: Action[Any]) -> str:
    return ", ".join(LABELS[flavor] for flavor in action.flavors)


def _about(action: Action[Any]) -> Iterator[str]:
    yield from (f"## `{action.name}`", "", sentence(action.summary), "")
    if said := type(action).__doc__:
        yield from (" ".join(said.split()), "")
    yield from (f"- Risk: {risk(action)}", f"- What undoes it: {action.facts.undo}")
    yield from (f"- {one}" for one in _traits(action))
    yield ""
    on = by_engine(action, action.flavors)
    yield from table(("engine", "locks", "rights"), [(label, one.locks, one.rights) for label, one in on])
    yield from table(("argument", "type", "default"), [_argument(one) for one in fields(action.Args)])
    for paragraph in explained(action.Args):
        yield from (paragraph, "")


def _traits(action: Action[Any]) -> Iterator[str]:
    if isinstance(action, Offline):
        yield "It takes no connection to the target: its server may be down"
    if isinstance(action, Lasting):
        yield "It may take hours, and has a connection of its own"
    if isinstance(action, Resumable):
        yield "What it left undone is done by `dbdeck apply --resume ID`"


def _argument(one: Field) -> tuple[str, str, str]:
    return code(one.name), one.type, "required" if one.default is None else code(one.default)
