"""What a ledger must be made of, and how what is there compares with it. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final, Literal

import msgspec

State = Literal["as made", "changed", "missing", "foreign", "unknown"]
EARLIER: Final = "an earlier dbdeck"
_NOTHING: Final[Mapping[str, Collection[str]]] = {}
_STORES: Final = ("table", "engine", "file")  # parts that are only there where a ledger is
# Nobody logs in as the owner of a ledger on a server.
ASK: Final = "ask as the installer of the ledger"
_SPACE: Final = re.compile(r"\s+")
_PG_FUNCTION: Final = re.compile(
    r"^create or replace function dbdeck_audit\.(\w+)\(.*?\nas \$\$(.*?)\$\$;", re.MULTILINE | re.DOTALL
)
_PG_TRAITS: Final = re.compile(
    r"^create or replace function dbdeck_audit\.(\w+)\([^$]*?"
    r"\nlanguage (\w+)( stable| immutable)?( security definer)? set",
    re.MULTILINE,
)
_MYSQL_OBJECT: Final = re.compile(r"create (?:definer = \S+ )?(procedure|trigger) (\w+)(.*)", re.DOTALL)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the ledger as it was looked at. `remedy` is what mends it, or lets it be seen."""

    kind: str
    name: str
    state: State
    digest: str = ""
    detail: str = ""
    remedy: str = ""

    @property
    def is_wrong(self) -> bool:
        return self.state in ("changed", "missing", "foreign")


def mended(before: Iterable[Part], after: Iterable[Part] | None, told: Iterable[str]) -> list[str]:
    """What was wrong and is so no more, a line each; without what `told` names. Nothing was wrong with a
    ledger that was not there; nothing is known to be mended where nobody could look again (None), or could
    not see the part.
    """
    parts = list(before)
    if after is None or not any(part.kind in _STORES for part in parts):
        return []
    still = {(part.kind, part.name) for part in after if part.state != "as made"}
    said = " ".join(told)
    return [
        f"{part.kind} {part.name} as dbdeck makes it: it was {part.state}"
        f"{f' ({part.detail})' if part.detail else ''}"
        for part in parts
        if part.is_wrong and (part.kind, part.name) not in still and f"{part.name}," not in said
    ]


def digest(text: str) -> str:
    """Of a definition, whatever its white space and a last semicolon are."""
    return hashlib.sha256(_SPACE.sub(" ", text.strip().rstrip(";")).strip().encode()).hexdigest()


def postgres_functions(ddl: str) -> dict[str, str]:
    """Name to digest of the body, as pg_proc.prosrc holds it."""
    return {name: digest(body) for name, body in _PG_FUNCTION.findall(ddl)}


def postgres_traits(ddl: str) -> dict[str, str]:
    """Name to what a function is beside its body, as postgres_inspect.sql words it."""
    return {
        name: f"{language} {volatility.strip() or 'volatile'} {'definer' if definer else 'invoker'}"
        for name, language, volatility, definer in _PG_TRAITS.findall(ddl)
    }


def mysql_objects(statements: Iterable[str]) -> dict[tuple[str, str], str]:
    """(procedure or trigger, name) to digest of the body, as information_schema tells it."""
    found = {}
    for text in statements:
        match = _MYSQL_OBJECT.search(text)
        if match is not None:
            kind, name, rest = match.groups()
            start = "for each row\n" if kind == "trigger" else "sql data\n"
            found[kind, name] = digest(rest.partition(start)[2])
    return found


def earlier(text: str, engine: str) -> Mapping[str, Mapping[str, Collection[str]]]:
    """What dbdeck made before and makes otherwise now: kind and name to digests. `text` is earlier.json."""
    found: Mapping[str, Mapping[str, Mapping[str, Collection[str]]]] = json.loads(text)
    return found[engine]


def compared(
    kind: str,
    wanted: Mapping[str, str],
    found: Mapping[str, str | None],
    remedy: str,
    before: Mapping[str, Collection[str]] = _NOTHING,
) -> list[Part]:
    """Each part that must be there, and each that is there beside. None: it may not be read.

    `before`: digests that an earlier dbdeck made, which is told apart from what somebody changed.
    """
    parts = [
        _dated(_one(kind, name, made, found, remedy), before.get(name, ())) for name, made in wanted.items()
    ]
    others = {name: there or "" for name, there in found.items() if name not in wanted}
    return [*parts, *(_beside(kind, name, there, remedy, before) for name, there in others.items())]


def _dated(part: Part, before: Collection[str]) -> Part:
    if part.state != "changed" or part.digest not in before:
        return part
    return msgspec.structs.replace(part, detail=f"{EARLIER} made it")


def _beside(kind: str, name: str, there: str, remedy: str, before: Mapping[str, Collection[str]]) -> Part:
    if there in before.get(name, ()):
        detail = f"{EARLIER} made it, and none needs it now"
        return Part(kind=kind, name=name, state="foreign", digest=there, detail=detail, remedy=remedy)
    return Part(kind=kind, name=name, state="foreign", digest=there, detail="dbdeck did not make it",
                remedy="look at what it does, and drop it")  # fmt: skip


def _one(kind: str, name: str, made: str, found: Mapping[str, str | None], remedy: str) -> Part:
    if name not in found:
        return Part(kind=kind, name=name, state="missing", remedy=remedy)
    there = found[name]
    if there is None:
        return Part(kind=kind, name=name, state="unknown", detail="its text may not be read",
                    remedy=ASK)  # fmt: skip
    state: State = "as made" if there == made else "changed"
    return Part(kind=kind, name=name, state=state, digest=there, remedy="" if there == made else remedy)
