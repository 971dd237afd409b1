"""The JSON schema of runbooks, for editors: from the types, with the arguments of the installed actions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from console.dispatch.registry import Registry
from console.runbook.document import Document

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXPRESSION = {"type": "string", "description": "an expression; a text in it has quotes of its own"}


def schema(registry: Registry, reads: Iterable[str]) -> dict[str, Any]:
    """Unknown keys are refused; `with` has the arguments of its action, each as a value or an expression."""
    (document,), components = msgspec.json.schema_components([Document], ref_template="#/$defs/{name}")
    known = sorted(reads)
    for part in components.values():
        _name_reads(part, known)
    components["ActionStep"] = _actions(components["ActionStep"], registry, components)
    return {"$schema": _DIALECT, "title": "dbdeck runbook", **document, "$defs": components}


def _name_reads(part: dict[str, Any], known: list[str]) -> None:
    properties = part.get("properties", {})
    if "read" in properties:
        properties["read"] = {**properties["read"], "anyOf": [{"enum": known}, {"type": "null"}]}
    if "collect" in properties:
        properties["collect"] = {**properties["collect"], "items": {"enum": known}}


def _actions(step: dict[str, Any], registry: Registry, components: dict[str, Any]) -> dict[str, Any]:
    """`action` is one of those there are, and says what `with` may hold."""
    ways = []
    for action in registry:
        (_,), found = msgspec.json.schema_components(
            [action.Args], ref_template=f"#/$defs/{action.name}.{{name}}"
        )
        arguments = found.pop(action.Args.__name__)
        components |= {f"{action.name}.{name}": part for name, part in found.items()}
        ways.append(
            {
                "if": {"properties": {"action": {"const": action.name}}},
                "then": {"properties": {"with": _given(arguments)}},
            }
        )
    named = {"enum": [action.name for action in registry]}
    return {**step, "properties": {**step["properties"], "action": named}, "allOf": ways}


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    properties = {
        name: {"anyOf": [one, _EXPRESSION]} for name, one in arguments.get("properties", {}).items()
    }
    return {
        "type": "object",
        "properties": properties,
        "required": arguments.get("required", []),
        "additionalProperties": False,
    }
