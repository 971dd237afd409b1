"""Strict YAML -> plain values, with the place of every node. Shared by the config and by runbooks.

Strict means: no aliases, no tags, no duplicate keys, only true and false as booleans, plain decimal numbers,
and limits to size and depth.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

import msgspec
import yaml

from console.errors import ConfigError

Path_ = tuple[str | int, ...]
MOST_BYTES = 512 * 1024
MOST_DEPTH = 48
_INT = re.compile(r"[-+]?\d{1,18}")
_FLOAT = re.compile(r"[-+]?\d+\.\d+")
T = TypeVar("T")


class Place(NamedTuple):
    """Where something stands in a file; both count from one."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


Places = Mapping[Path_, Place]
START = Place(1, 1)


def read_yaml(text: str, name: str) -> tuple[Any, dict[Path_, Place]]:
    """(values, place of each path). Raises ConfigError with the place of everything that is not strict."""
    if len(text) > MOST_BYTES:
        raise ConfigError(f"{name} is larger than {MOST_BYTES // 1024} kB; it was not read")
    places: dict[Path_, Place] = {(): START}
    try:
        _refuse_events(text, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError(f"{name}, {_place(mark)}: {error.problem or 'not valid YAML'}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not valid YAML: {error}") from None
    return ({} if node is None else _value(node, (), places, name)), places


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark else START


def _refuse_events(text: str, name: str) -> None:
    """Before anything is composed: neither an alias nor a depth costs us more than its reading."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        place = _place(event.start_mark)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ConfigError(f"{name}, {place}: anchors and aliases are not allowed; write the value out")
        if getattr(event, "tag", None):
            raise ConfigError(f"{name}, {place}: tags are not allowed")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise ConfigError(f"{name}, {place}: nested more than {MOST_DEPTH} deep")


def _value(node: yaml.Node, path: Path_, places: dict[Path_, Place], name: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, places, name)
    if isinstance(node, yaml.SequenceNode):
        places.update({(*path, i): _place(child.start_mark) for i, child in enumerate(node.value)})
        return [_value(child, (*path, i), places, name) for i, child in enumerate(node.value)]
    return _scalar(node)


def _mapping(node: yaml.MappingNode, path: Path_, places: dict[Path_, Place], name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, child in node.value:
        place = _place(key_node.start_mark)
        key = key_node.value
        if not isinstance(key, str):
            raise ConfigError(f"{name}, {place}: a key must be a plain word")
        if key in found:
            raise ConfigError(f"{name}, {place}: the key {key!r} is written twice")
        places[(*path, key)] = place
        found[key] = _value(child, (*path, key), places, name)
    return found


def _scalar(node: yaml.Node) -> object:
    """Only true, false, null and plain decimal numbers are not strings: `no`, `on`, 0x1f, 1_000 are."""
    text = str(node.value)
    if getattr(node, "style", None) is not None:
        return text
    if text in ("true", "false"):
        return text == "true"
    if text in ("", "~", "null"):
        return None
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


# ---- faults in words -------------------------------------------------------------------------


def nearest(path: Path_, places: Mapping[Path_, T]) -> Path_:
    """The path, or what it is in, where it is not written itself."""
    while path and path not in places:
        path = path[:-1]
    return path


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint: the nearest of the known words, else all of them."""
    listed = list(known)
    near = difflib.get_close_matches(word, listed, n=1)
    return f"did you mean {near[0]}?" if near else f"valid here: {', '.join(listed)}"


_AT = re.compile(r"^(?P<what>.*?)(?: - at (?:`key` in )?`\$(?P<path>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `(?P<field>.*)`")
_MISSING = re.compile(r"missing required field `(?P<field>.*)`")


def explain(message: str, kind: Any, places: Places, name: str, at: Path_ = ()) -> ConfigError:
    """What msgspec says of values that are no `kind`, with its place; `at` is where those values stand."""
    match = _AT.match(message)
    what, where = (match["what"], match["path"] or "") if match else (message, "")
    unknown = _UNKNOWN.search(what)
    path = _find_path(where, places, unknown["field"] if unknown else None, at)
    place = places.get(path, START)
    dotted = ".".join(str(part) for part in path)
    inside = path[len(at) :]
    if unknown:
        return ConfigError(
            f"{name}, {place}: unknown key {dotted}",
            did_you_mean(unknown["field"], _keys_at(kind, inside[:-1])),
        )
    missing = _MISSING.search(what)
    if missing:
        return ConfigError(f"{name}, {place}: {dotted or 'the file'} lacks the key {missing['field']!r}")
    return ConfigError(f"{name}, {place}: {dotted or 'the file'}: {what}", _choices(kind, inside))


def _find_path(where: str, places: Places, field: str | None, at: Path_) -> Path_:
    """msgspec names a place as `.targets[...].monitor`: the first path of the file that fits it.

    `[...]` is any key; where several fit, the one that has the unknown field.
    """
    parts = re.findall(r"\.([^.\[]+)|\[(\.\.\.|\d+)\]", where)
    pattern: list[str | int | None] = [
        *at,
        *(word or (None if index == "..." else int(index)) for word, index in parts),
    ]
    if field is not None:
        pattern.append(field)
    fits = [path for path in places if _fits(pattern, path)]
    return fits[0] if fits else nearest(at, places)


def _fits(pattern: Sequence[str | int | None], path: Path_) -> bool:
    pairs = zip(pattern, path, strict=False)
    return len(path) == len(pattern) and all(want is None or want == have for want, have in pairs)


def _keys_at(kind: Any, path: Path_) -> list[str]:
    """The valid keys of the mapping at a path, walking the structs."""
    for part in path:
        kind = _child(kind, part)
    return [field.encode_name for field in msgspec.structs.fields(kind)] if _is_struct(kind) else []


def _choices(kind: Any, path: Path_) -> str:
    """The valid words of an enumeration."""
    for part in path:
        kind = _child(kind, part)
    return f"one of: {', '.join(kind)}" if isinstance(kind, type) and issubclass(kind, StrEnum) else ""


def _child(kind: Any, part: str | int) -> Any:
    if _is_struct(kind):
        found = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        kind = found.get(str(part), object)
    else:
        inner = getattr(kind, "__args__", (object,))
        kind = inner[-1 if getattr(kind, "__origin__", None) is dict else 0]
    options = [one for one in getattr(kind, "__args__", ()) if _is_struct(one)]
    return options[0] if options and getattr(kind, "__origin__", None) not in (dict, tuple) else kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
