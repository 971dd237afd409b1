"""What a runbook is given: typed params, and the bounds of the servers it is for."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import MAXYEAR, datetime
from typing import Any, Final

from console.engine.plain import plain
from console.errors import UsageError
from console.runbook.document import Document, Param, ParamType
from console.runbook.functions import seconds_of
from console.runbook.patterns import LONGEST_MATCHED, too_wild
from console.runbook.values import ExpressionError
from console.strict_yaml import did_you_mean

_SESSION = re.compile(r"(?P<id>\d{1,18})@(?P<started_at>\S{10,40})")
_BOUND = re.compile(r"(?P<operator>>=|<=|<|>|==)\s*(?P<version>\d{1,4}(?:\.\d{1,4}){0,2})")
_COMPARE: Final[Mapping[str, Callable[[int, int], bool]]] = {
    ">=": lambda have, want: have >= want,
    "<=": lambda have, want: have <= want,
    ">": lambda have, want: have > want,
    "<": lambda have, want: have < want,
    "==": lambda have, want: have == want,
}


def typed(
    document: Document, given: Mapping[str, object], targets: Collection[str] | None = None
) -> dict[str, Any]:
    """The params as JSON data, defaults filled in; a text of the command line is converted. `targets` are
    those of the config, where it is known.

    Raises UsageError that names the param, what it should be, and the ones there are.
    """
    for name in given:
        if name not in document.params:
            known = ", ".join(document.params) or "none"
            hint = did_you_mean(name, document.params) if document.params else f"it takes {known}"
            raise UsageError(f"{document.id} has no param {name!r}; nothing was started", hint)
    found = {}
    for name, param in document.params.items():
        value = given.get(name, param.default)
        if value is None and param.required:
            raise UsageError(
                f"{document.id} wants the param {name}; nothing was started", f"-p {name}=…: {param.help}"
            )
        found[name] = None if value is None else value_of(name, param, value)
        if param.type is ParamType.TARGET and targets is not None and value is not None:
            _configured(name, str(value), targets)
    return found


def _configured(name: str, value: str, targets: Collection[str]) -> None:
    if value not in targets:
        hint = did_you_mean(value, targets) or f"it is one of {', '.join(targets)}"
        raise UsageError(f"the param {name}: there is no target {value!r}; nothing was started", hint)


def value_of(name: str, param: Param, value: object) -> Any:
    """One param as JSON data. Raises UsageError that names it and what it should be."""
    try:
        converted = _CONVERT[param.type](value, param)
        _bounds(param, converted)
    except (ValueError, ExpressionError) as error:
        told = error.message if isinstance(error, ExpressionError) else str(error)
        raise UsageError(
            f"the param {name} cannot be {str(value)[:80]!r}: {told}; nothing was started"
        ) from None
    return converted


def fault(param: Param) -> str:
    """What is wrong with a declaration by itself; empty where nothing is."""
    try:
        if param.pattern is not None:
            re.compile(param.pattern)
            if wild := too_wild(param.pattern):
                return f"the pattern {wild}"
        if param.type is ParamType.CHOICE and not param.values:
            return "a choice has `values`"
        if param.type is not ParamType.CHOICE and param.values:
            return "only a choice has `values`"
        if param.default is not None:
            value_of("default", param, param.default)
    except (re.error, OverflowError, RecursionError) as error:
        return f"the pattern is none: {error}"
    except UsageError as error:
        return error.message.partition(";")[0]
    return ""


def _bounds(param: Param, value: Any) -> None:
    if not isinstance(value, int | float):
        return
    least, most = (seconds_of(one) if isinstance(one, str) else one for one in (param.least, param.most))
    if (least is not None and value < least) or (most is not None and value > most):
        ends = [
            "…" if one is None else str(one) if isinstance(one, str) else f"{one:g}"
            for one in (param.least, param.most)
        ]
        raise ValueError(f"it is from {ends[0]} to {ends[1]}")  # fmt: skip


def _text(value: object, param: Param) -> str:
    text = str(value)
    if param.pattern is not None and len(text) > LONGEST_MATCHED:
        raise ValueError(f"it is longer than {LONGEST_MATCHED} characters")
    if param.pattern is not None and not re.fullmatch(param.pattern, text):
        raise ValueError(f"it has to fit {param.pattern}")
    return text


def _integer(value: object, _: Param) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,18}", str(value)):
        raise ValueError("it is a whole number")
    return int(str(value))


def _number(value: object, _: Param) -> int | float:
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,18}(\.\d{1,9})?", str(value)):
        raise ValueError("it is a number")
    return float(str(value)) if "." in str(value) else int(str(value))


def _boolean(value: object, _: Param) -> bool:
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise ValueError("it is true or false")


def _duration(value: object, param: Param) -> float:
    """Seconds; a number is seconds already."""
    if isinstance(value, int | float):
        return _number(value, param)
    return seconds_of(str(value))


def _choice(value: object, param: Param) -> str:
    if value not in param.values:
        raise ValueError(f"it is one of {', '.join(param.values)}")
    return str(value)


def _session(value: object, _: Param) -> dict[str, Any]:
    """The number and start, written as rows of a read have them: `Z` is `+00:00`, or no row would be it."""
    if isinstance(value, dict) and set(value) == {"id", "started_at"}:
        value = f"{value['id']}@{value['started_at']}"
    found = _SESSION.fullmatch(str(value))
    started = datetime.fromisoformat(found["started_at"]) if found else None
    if found is None or started is None or started.tzinfo is None or not 1 < started.year < MAXYEAR:
        raise ValueError("it is ID@STARTED_AT, with the time as `show sessions --json` prints it")
    return {"id": int(found["id"]), "started_at": plain(started)}


_CONVERT: Final[Mapping[ParamType, Callable[[object, Param], Any]]] = {
    ParamType.TEXT: _text,
    ParamType.INTEGER: _integer,
    ParamType.NUMBER: _number,
    ParamType.BOOLEAN: _boolean,
    ParamType.DURATION: _duration,
    ParamType.CHOICE: _choice,
    ParamType.SESSION: _session,
    ParamType.TARGET: _text,
}


# ---- engines ---------------------------------------------------------------------------------


def version_number(flavor: str, version: str) -> int:
    """`8.0.22` -> 80022, `13` -> 130000 (PostgreSQL), comparable with the server's own number."""
    parts = [int(part) for part in version.split(".")]
    if flavor == "postgresql":
        return parts[0] * 10_000 + (parts[1] if len(parts) > 1 else 0)
    major, minor, patch = [*parts, 0, 0][:3]
    return major * 10_000 + minor * 100 + patch


def bounds(text: str) -> list[tuple[str, str]]:
    """`>=10.6, <12` as (operator, version) pairs. Raises ValueError."""
    found = []
    for part in text.split(","):
        match = _BOUND.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{part.strip()!r} is no bound like >=13 or <12")
        found.append((match["operator"], match["version"]))
    return found


def supports(document: Document, flavor: str, version_num: int) -> bool:
    """Whether the document is for this server."""
    text = next((bound for name, bound in document.engines.items() if name == flavor), None)
    if text is None:
        return False
    return all(_COMPARE[sign](version_num, version_number(flavor, version)) for sign, version in bounds(text))
