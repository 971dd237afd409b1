"""docs/reference/config.md: keys, types and defaults of the config, with what docs/config.md says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
from msgspec import inspect

from console.config import Config
from console.present.fields import default, kind
from docs.generator.markdown import code, sentence, table
from docs.generator.markdown import page as made

_PROSE = Path(__file__).resolve().parents[1] / "config.md"
_INTRO = """Every key of the config. [The page on it](../config.md) says more, and where the file is
looked for; [config.example.yaml](../../config.example.yaml) has all of them in their places; `dbdeck schema
config` prints the JSON schema for editors. `NAME` is a word of yours, `[]` is each entry of a list."""


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key; `default` is empty where there is none, None where it is required."""

    path: str
    type: str
    default: str | None


def page() -> str:
    said = meanings(_PROSE.read_text(encoding="utf-8"))
    return made("Config keys", [*_INTRO.splitlines(), ""], *_sections(said))


def _sections(said: Mapping[str, tuple[str, str]]) -> Iterator[list[str]]:
    for name, keys in groupby(keys_of(Config), lambda one: re.split(r"[.\[]", one.path)[0]):
        rows = [_row(one, *said[one.path]) for one in keys]
        yield [f"## `{name}`", "", *table(("key", "type", "default", "meaning"), rows)]


def _row(key: Key, told: str, meaning: str) -> tuple[str, str, str, str]:
    """A default that the code works out is told as the prose tells it."""
    shown = "required" if key.default is None else code(key.default) or told
    return code(key.path), key.type, shown, sentence(meaning)


def meanings(text: str) -> dict[str, tuple[str, str]]:
    """key -> (default, meaning), of the tables of docs/config.md; its links are made to lead from here."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 3 and (key := re.fullmatch(r"`([^`]+)`", cells[0])):
            default_, meaning = (_moved(cell.replace("\\|", "|")) for cell in cells[1:])
            found[key[1]] = (default_, meaning)
    return found


def _moved(text: str) -> str:
    text = re.sub(r"\]\(#", "](../config.md#", text)
    return re.sub(r"\]\((?!\.\./config\.md)(?![a-z]+://)", "](../", text)


def keys_of(struct: type[msgspec.Struct], at: str = "") -> Iterator[Key]:
    """As paths: `audit.url`, `targets.NAME.host`, `policy.freeze[].start`."""
    info = inspect.type_info(struct)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{struct.__name__} is no struct")
    annotated = {one.encode_name: one.type for one in msgspec.structs.fields(struct)}
    for field in info.fields:
        path = f"{at}.{field.encode_name}".lstrip(".")
        below = _below(annotated[field.encode_name])
        if below is not None:
            yield from keys_of(below[1], path + below[0])
        else:
            yield Key(path=path, type=kind(field.type), default=None if field.required else default(field))


def _below(of: Any) -> tuple[str, type[msgspec.Struct]] | None:
    """The struct inside a type, with how a path to it goes on."""
    if isinstance(of, type) and issubclass(of, msgspec.Struct):
        return "", of
    origin = get_origin(of)
    inner = get_args(of)
    for one in inner[-1:] if origin is dict else inner:
        if (found := _below(one)) is not None:
            step = ".NAME" if origin is dict else "[]" if origin is tuple else ""
            return step + found[0], found[1]
    return None
