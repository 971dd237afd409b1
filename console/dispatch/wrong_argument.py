"""What is wrong with an argument, in words: its name, what was given, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

_PATH = re.compile(r" - at `\$\.(\w+)")
_MISSING = re.compile(r"missing required field `(\w+)`")


def words(args: type[msgspec.Struct], given: Mapping[str, object], error: msgspec.ValidationError) -> str:
    """A sentence for what msgspec refused of `given`."""
    missing = _MISSING.search(str(error))
    if missing:
        return f"{missing[1]}= is missing"
    found = _PATH.search(str(error))
    if found is None:
        return " ".join(str(error).split())
    name = found[1]
    value = given.get(name)
    named = msgspec.json.schema(args)["$defs"]
    schema = named[args.__name__]["properties"].get(name, {})
    # An enum stands under its own name.
    allowed = _allowed({**schema, **named.get(str(schema.get("$ref", "")).rpartition("/")[2], {})})
    if isinstance(value, list | tuple) and "repeated" not in allowed:
        return f"{name}= is given {len(value)} times, and takes {allowed} once"
    return f"{name}={_shown(value)}: it takes {allowed}"


def _shown(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()


def _allowed(schema: Mapping[str, Any]) -> str:
    """The JSON schema of one argument as words; null is what stands for nothing given."""
    choices = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    kinds = {str(one.get("type")) for one in choices}
    if kinds == {"string", "number"}:
        return "a duration such as 90s, 10m or 2h"
    if kinds == {"string", "array"}:
        return "text, repeated for several"
    return " or ".join(_one(one) for one in choices)


def _one(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return f"one of {', '.join(str(one) for one in schema['enum'] if one != '')}"
    if schema.get("format") == "date-time":
        return "a time such as 2026-11-20T22:00:00Z"
    kind = _KINDS.get(str(schema.get("type")), "another value")
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{kind} from {low} to {high}"
    return kind if low is None else f"{kind} of {low} or more"


_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "array": "text, repeated for several",
}
