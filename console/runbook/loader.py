"""Runbooks from text, files and folders: strict YAML -> documents, every fault with its line and column."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from console.errors import ConfigError, UsageError
from console.new_file import read_trusted
from console.runbook.document import KINDS, Call, Case, Document, Step, walk
from console.strict_yaml import START, Path_, Place, Places, did_you_mean, explain, nearest, read_yaml

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LISTS: Final[Mapping[str, tuple[str, ...]]] = {
    "branch": ("else",),
    "for_each": ("steps",),
    "action": ("rollback",),
}


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A document with its text. `source` is for people."""

    document: Document
    text: str
    digest: str
    source: str

    @property
    def id(self) -> str:
        return self.document.id

    def place(self, path: Path_) -> Place:
        """Where it stands, or what it is in: looked up in the text, because only faults want to know."""
        places = _places(self.text, self.source)
        return places.get(nearest(path, places), START)

    def at(self, path: Path_) -> str:
        return f"{self.source}, {self.place(path)}"


def parse(text: str, source: str) -> Loaded:
    """Raises ConfigError with file, line and column, and the nearest valid word."""
    values, places = read_yaml(text, source)
    if not isinstance(values, dict):
        raise ConfigError(
            f"{source}, {START}: a runbook is a mapping that begins with `apiVersion: runbook/v1`"
        )
    reader = _Reader(places, source)
    document = reader.document(values)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return Loaded(document=document, text=text, digest=digest, source=source)


@lru_cache(maxsize=4)
def _places(text: str, source: str) -> Places:
    return read_yaml(text, source)[1]


class _Reader:
    """Converts a document from the outside in, so that each step is judged as the kind it is."""

    def __init__(self, places: Places, source: str) -> None:
        self._places = places
        self._source = source

    def document(self, values: dict[str, Any]) -> Document:
        self._known(values, Document, ())
        self._needs(values, "steps", ())
        steps = self.steps(values["steps"], ("steps",))
        found: Document = self._convert({**values, "steps": [_STAND_IN]}, Document, ())
        return msgspec.structs.replace(found, steps=steps)

    def steps(self, values: object, path: Path_) -> tuple[Step, ...]:
        if not isinstance(values, list):
            raise self._fault(path, "it is a list of steps")
        return tuple(self.step(one, (*path, i)) for i, one in enumerate(values))

    def step(self, values: object, path: Path_) -> Step:
        if not isinstance(values, dict):
            raise self._fault(path, "a step is a mapping with `id` and `kind`")
        self._needs(values, "kind", path)
        kind = values["kind"]
        if not isinstance(kind, str) or kind not in KINDS:
            raise self._fault(
                (*path, "kind"), f"there is no step of kind {kind!r}", did_you_mean(str(kind), KINDS)
            )
        self._known(values, KINDS[kind], path, "kind")
        inner: dict[str, Any] = {
            name: self.steps(values[name], (*path, name)) for name in _LISTS.get(kind, ()) if name in values
        }
        if kind == "branch":
            inner["cases"] = self._cases(values.get("cases"), (*path, "cases"))
        plain = {name: value for name, value in values.items() if name not in inner and name != "kind"}
        found: Step = self._assembled(plain, KINDS[kind], inner, path)
        return found

    def _assembled(self, plain: dict[str, Any], kind: Any, inner: Mapping[str, Any], path: Path_) -> Any:
        """The step of its plain fields, with the lists of steps that were read before."""
        stand_in = {"cases": [{"if": "true", "steps": []}]}
        given = {**plain, **{name: stand_in.get(name, []) for name in inner}, "kind": kind.kind}
        found = self._convert(given, kind, path)
        fields = {field.encode_name: field.name for field in msgspec.structs.fields(kind)}
        return msgspec.structs.replace(found, **{fields[name]: value for name, value in inner.items()})

    def _cases(self, values: object, path: Path_) -> tuple[Case, ...]:
        if not isinstance(values, list) or not values:
            raise self._fault(path, "a branch has a list of cases, each with `if` and `steps`")
        return tuple(self._case(one, (*path, i)) for i, one in enumerate(values))

    def _case(self, values: object, path: Path_) -> Case:
        if not isinstance(values, dict):
            raise self._fault(path, "a case is a mapping with `if` and `steps`")
        self._known(values, Case, path)
        self._needs(values, "steps", path)
        steps = self.steps(values["steps"], (*path, "steps"))
        found: Case = self._convert({**values, "steps": []}, Case, path)
        return msgspec.structs.replace(found, steps=steps)

    def _convert(self, values: dict[str, Any], kind: Any, at: Path_) -> Any:
        try:
            return msgspec.convert(values, kind)
        except msgspec.ValidationError as error:
            raise explain(str(error), kind, self._places, self._source, at) from None

    def _known(self, values: Mapping[str, Any], kind: Any, path: Path_, *more: str) -> None:
        known = [*more, *(field.encode_name for field in msgspec.structs.fields(kind))]
        for name in values:
            if name not in known:
                raise self._fault((*path, name), f"there is no key {name!r} here", did_you_mean(name, known))

    def _needs(self, values: Mapping[str, Any], name: str, path: Path_) -> None:
        if name not in values:
            raise self._fault(path, f"the key {name!r} is missing")

    def _fault(self, path: Path_, message: str, hint: str = "") -> ConfigError:
        place = self._places.get(nearest(path, self._places), START)
        dotted = ".".join(str(part) for part in path)
        where = f"{dotted}: " if dotted else ""
        return ConfigError(f"{self._source}, {place}: {where}{message}", hint)


_STAND_IN: Final = {"kind": "note", "id": "a", "text": "a"}


# ---- libraries -------------------------------------------------------------------------------


class Library:
    """The runbooks there are, by id. What could not be read is in `faults`, so that one broken file hides no
    other.
    """

    def __init__(self, loaded: Iterable[Loaded], faults: Iterable[ConfigError] = ()) -> None:
        self._loaded: dict[str, Loaded] = {}
        self.faults = list(faults)
        for one in loaded:
            if one.id in self._loaded:
                first = self._loaded[one.id].source
                self.faults.append(
                    ConfigError(f"{one.at(('id',))}: the id {one.id!r} is that of {first} already")
                )
            else:
                self._loaded[one.id] = one

    def __iter__(self) -> Any:
        return iter(sorted(self._loaded.values(), key=lambda one: one.id))

    def __contains__(self, name: str) -> bool:
        return name in self._loaded

    def get(self, name: str) -> Loaded:
        """Raises UsageError with the nearest name."""
        if name not in self._loaded:
            raise UsageError(
                f"there is no runbook {name!r}; nothing was started", did_you_mean(name, self._loaded)
            )
        return self._loaded[name]

    def with_callees(self, name: str) -> dict[str, Loaded]:
        """A runbook and every one that it calls, by id. Raises UsageError for one that is not there."""
        found: dict[str, Loaded] = {}
        todo = [name]
        while todo:
            one = self.get(todo.pop())
            if one.id not in found:
                found[one.id] = one
                todo.extend(callees(one.document))
        return found


def callees(document: Document) -> list[str]:
    return [step.runbook for step in walk(document.steps) if isinstance(step, Call)]


def load_folders(folders: Iterable[Path], shipped: Iterable[tuple[str, str]] = ()) -> Library:
    """Every `*.yaml` of the folders, and the texts that are shipped as (name, text). A folder that is not
    there is a fault.
    """
    loaded: list[Loaded] = []
    faults: list[ConfigError] = []
    for folder in folders:
        _collect(loaded, faults, lambda folder=folder: _files(folder))  # type: ignore[misc]
    for name, text in shipped:
        try:
            loaded.append(parse(text, name))
        except ConfigError as error:
            faults.append(error)
    return Library(loaded, faults)


def _collect(loaded: list[Loaded], faults: list[ConfigError], files: Callable[[], list[Path]]) -> None:
    try:
        paths = files()
    except ConfigError as error:
        faults.append(error)
        return
    for path in paths:
        try:
            loaded.append(load(path))
        except ConfigError as error:
            faults.append(error)


def _files(folder: Path) -> list[Path]:
    """Raises ConfigError."""
    try:
        return sorted(path for path in folder.expanduser().iterdir() if path.suffix in (".yaml", ".yml"))
    except OSError as error:
        raise ConfigError(f"the folder of runbooks {folder} cannot be read: {error.strerror}") from None


def load(path: Path) -> Loaded:
    """Raises ConfigError."""
    try:
        text = read_trusted(path, "the runbook ")
    except FileNotFoundError as error:
        raise ConfigError(f"cannot read the runbook {path}: {error.strerror}") from None
    return parse(text, str(path))


def due(document: Document, today: date, seconds: float) -> bool:
    """Whether its review is overdue; `seconds` is how often it is wanted."""
    return (today - document.reviewed).days * 86400 > seconds
