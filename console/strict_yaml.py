"""Strict YAML -> plain values, with the place of every node. Shared by the config and by runbooks.

Strict means: no aliases, no tags, no duplicate keys, only true and false as booleans, plain decimal numbers,
and limits to size and depth.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import msgspec
import yaml

from console.errors import ConfigError

Path_ = tuple[str | int, ...]
MOST_BYTES = 512 * 1024
MOST_DEPTH = 48
MOST_NODES = 20_000
LONGEST_KEY = 200
_WORDS = 200  # that a misspelt one is compared with
_INT = re.compile(r"[-+]?\d{1,18}")
_FLOAT = re.compile(r"[-+]?\d{1,18}\.\d{1,18}")
T = TypeVar("T")
# libyaml reads eight times as fast, where PyYAML was built with it. It takes some texts that are no YAML 1.1:
# tabs between words, a comment without a blank after | or >, and a byte order mark within the text. It also
# tells another place for an empty key.
_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DIFFERS = re.compile(r"\t|\ufeff|[|>][-+0-9]*#|(?<![^\s\[{,:?-])\?(?:[\s,\]}]|$)")


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
        line = text.count("\n", 0, MOST_BYTES) + 1
        most = f"{MOST_BYTES // 1024} kB"
        raise ConfigError(f"{name}, {Place(line, 1)}: it is larger than {most}; it was not read")
    if not _DIFFERS.search(text):
        try:
            return _read(text, name, _FAST)
        except (yaml.YAMLError, ConfigError, UnicodeEncodeError):
            pass  # the reader that is written in Python tells better what is wrong, and where
    try:
        return _read(text, name, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        told = error.problem or "not valid YAML"
        raise ConfigError(f"{name}, {_place(mark)}: {told}", _hint(told)) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise ConfigError(f"{name}, {place}: the character U+{error.character:04X} is not allowed") from None


def _read(text: str, name: str, loader: Any) -> tuple[Any, dict[Path_, Place]]:
    reader = _Reader(yaml.parse(text, Loader=loader), name)
    return reader.document(), reader.places


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark else START


_UNQUOTED = ("expected ',' or", "mapping values", "found character", "expected <block end>")


def _hint(problem: str) -> str:
    """What most often is behind it: a sign of YAML within a text that is not quoted."""
    if problem.startswith(_UNQUOTED):
        return "a text with [ ] { } , or with a : or # beside a blank stands in quotes"
    return ""


class _Reader:
    """One pass over YAML's events: whatever is refused is refused before anything is made of it."""

    def __init__(self, events: Iterator[Any], name: str) -> None:
        self._events = events
        self._name = name
        self._nodes = 0
        self.places: dict[Path_, Place] = {(): START}

    def document(self) -> Any:
        found: Any = {}
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._fault(event, "there is more than one document")
                found = self._value(next(self._events), ())
        return {} if found is None else found

    def _fault(self, event: Any, message: str) -> ConfigError:
        return ConfigError(f"{self._name}, {_place(event.start_mark)}: {message}")

    def _checked(self, event: Any, depth: int) -> None:
        self._nodes += 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._fault(event, "anchors and aliases are not allowed; write the value out")
        if getattr(event, "tag", None):
            raise self._fault(event, "tags are not allowed")
        if depth > MOST_DEPTH:
            raise self._fault(event, f"nested more than {MOST_DEPTH} deep")
        if self._nodes > MOST_NODES:
            raise self._fault(event, f"there are more than {MOST_NODES} values")

    def _value(self, event: Any, path: Path_) -> Any:
        self._checked(event, len(path))
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return _scalar(event)

    def _sequence(self, path: Path_) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            inner = (*path, len(found))
            self.places[inner] = _place(event.start_mark)
            found.append(self._value(event, inner))
        return found

    def _mapping(self, path: Path_) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            self._checked(event, len(path))
            key = self._key(event)
            if key in found:
                raise self._fault(event, f"the key {key!r} is written twice")
            inner = (*path, key)
            self.places[inner] = _place(event.start_mark)
            found[key] = self._value(next(self._events), inner)
        return found

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent) or len(event.value) > LONGEST_KEY:
            raise self._fault(event, "a key must be a plain word")
        return str(event.value)


def _scalar(event: Any) -> object:
    """Only true, false, null and plain decimal numbers are not strings: `no`, `on`, 0x1f, 1_000 are."""
    text = str(event.value)
    if event.style:
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
    listed = list(islice(known, _WORDS))
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
