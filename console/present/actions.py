"""What an action is, before anything is planned: for `dbdeck actions NAME`, the palette and the reference."""

from __future__ import annotations

from typing import Any

from console.dispatch.action import Action, Risk
from console.dispatch.facts import On
from console.model.target import EngineKind
from console.present.fields import Field, explained, fields
from console.present.plan import Said
from console.present.table import Tone

LABELS = {"postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB"}
_RISKS = {Risk.LOW: Tone.NORMAL, Risk.MEDIUM: Tone.WARN, Risk.HIGH: Tone.BAD}
_FLAVORS = {EngineKind.POSTGRES: ("postgresql",), EngineKind.MYSQL: ("mysql", "mariadb")}


def describe(action: Action[Any]) -> Said:
    """All of it, as lines with a tone."""
    facts = action.facts
    said: Said = [(Tone.NOTICE, f"{action.name}: {action.summary}")]
    said.append((_RISKS[action.risk], f"risk: {risk(action)}"))
    said.append((Tone.NORMAL, f"undo: {facts.undo}"))
    for label, on in by_engine(action, action.flavors):
        said.append((Tone.NOTICE, label))
        said.append((Tone.NORMAL, f"  locks: {on.locks}"))
        said.append((Tone.NORMAL, f"  needs: {on.rights}"))
    said.append((Tone.NOTICE, "arguments"))
    said += [(Tone.NORMAL, f"  {argument(one)}") for one in fields(action.Args)]
    return [*said, *((Tone.MUTED, f"  {line}") for line in explained(action.Args))]


def risk(action: Action[Any]) -> str:
    return f"{action.risk}; {action.facts.risk}" if action.facts.risk else str(action.risk)


def by_engine(action: Action[Any], flavors: tuple[str, ...]) -> list[tuple[str, On]]:
    """What holds on several engines once, with the names of them all."""
    found: dict[tuple[str, str], tuple[On, list[str]]] = {}
    for flavor in flavors:
        if (on := action.facts.on.get(flavor)) is not None:
            found.setdefault((on.locks, on.rights), (on, []))[1].append(LABELS[flavor])
    return [(", ".join(names), on) for on, names in found.values()]


def beforehand(action: Action[Any], engine: EngineKind, flavor: str = "") -> tuple[str, ...]:
    """A few lines for who is about to give its arguments, on a target of this engine; `flavor` is what the
    server said that it is, where it was asked.
    """
    said = [f"risk: {risk(action)}; undo: {action.facts.undo}"]
    several = by_engine(action, (flavor,) if flavor else _FLAVORS[engine])
    for label, on in several:
        named = f" ({label})" if len(several) > 1 else ""
        said.append(f"locks{named}: {on.locks}")
        said.append(f"needs{named}: {on.rights}")
    return tuple(said)


def argument(one: Field) -> str:
    if one.default is None:
        return f"{one.name} (required): {one.type}"
    return f"{one.name}{f'={one.default}' if one.default else ''}: {one.type}"
