"""Values of settings: what they mean, whether the server would take them, and when two are the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from console.errors import UsageError
from console.model.settings import Setting

_NUMBER = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_ON, _OFF = ("on", "true", "yes", "1"), ("off", "false", "no", "0")
# PostgreSQL manual 20.1.1: units of time and of memory, each in the smallest.
_TIME = {"us": 1, "ms": 1000, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
_MEMORY = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_KINDS = ("integer", "real")
# guc_tables.c. GUC_LIST_QUOTE: names, each of which is quoted; a list given as one literal would be one name.
QUOTED_LISTS = frozenset({"search_path", "temp_tablespaces"})
# GUC_LIST_INPUT: blanks around a comma mean nothing.
_LISTS = QUOTED_LISTS | {
    "datestyle", "listen_addresses", "log_destination", "restrict_nonsystem_relation_kind",
    "synchronized_standby_slots", "synchronous_standby_names", "wal_consistency_checking",
}  # fmt: skip


def wanted(setting: Setting, given: str) -> str:
    """The value as it is sent. Raises UsageError with the bounds, the unit or the choices there are."""
    value = given if setting.kind == "string" else given.strip()  # log_line_prefix ends in a blank
    if "\0" in value:
        raise UsageError(f"{setting.name}: a value has no NUL; nothing was executed")
    if setting.kind == "bool" and _truth(value) is None:
        raise _refused(setting, given, "it is on or off")
    if setting.kind == "enum":
        choices = {one.casefold(): one for one in setting.choices}
        if choices and value.casefold() not in choices:
            raise _refused(setting, given, f"it is one of {', '.join(setting.choices)}")
    if setting.kind in _KINDS:
        _check_number(setting, given)
    if setting.name.lower() in QUOTED_LISTS and elements(value) == [value] and '"' in value:
        raise _refused(setting, given, "a quote in it is not closed, or has something beside it")
    return value


def _check_number(setting: Setting, given: str) -> None:
    number = quantity(setting, given)
    if number is None:
        unit = f" in {setting.unit}, or with a unit" if setting.unit else " without a unit"
        raise _refused(setting, given, f"it is a number{unit}")
    low, high = (None if bound is None else Decimal(bound) for bound in (setting.smallest, setting.largest))
    # Many settings mean "off" by these, and list them below their bounds; storage parameters do not.
    special = number in (-1, 0) and setting.storage is None
    if (low is not None and number < low and not special) or (high is not None and number > high):
        unit = f" {setting.unit}" if setting.unit else ""
        raise _refused(setting, given, f"it goes from {setting.smallest} to {setting.largest}{unit}")
    if low is not None and number < low:
        raise _refused(setting, given, f"it begins at {setting.smallest}")


def _refused(setting: Setting, given: str, why: str) -> UsageError:
    return UsageError(f"{setting.name} = {given!r}: {why}; nothing was executed", setting.summary)


def quantity(setting: Setting, text: str) -> Decimal | None:
    """A number in the setting's own unit; None where the text is none, or its unit does not fit."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    number, unit = Decimal(found[1]), found[2]
    if not unit:
        return number
    base = _scale(setting.unit)
    for units in (_TIME, _MEMORY):
        if unit in units and base is not None and base[0] is units:
            return number * units[unit] / base[1]
    return None


def _scale(unit: str) -> tuple[Mapping[str, int], Decimal] | None:
    """The units that fit a base unit such as `ms` or `8kB`, and how large that is in the smallest."""
    found = re.fullmatch(r"(\d*)([A-Za-z]+)", unit)
    if found is None:
        return None
    for units in (_TIME, _MEMORY):
        if found[2] in units:
            return units, Decimal(found[1] or 1) * units[found[2]]
    return None


def equal(setting: Setting, one: str | None, other: str | None) -> bool:
    """Whether two texts are the same value: 30s and 30000 (ms), on and true; None is no entry."""
    if one is None or other is None:
        return one is other
    if setting.kind == "bool":
        return _truth(one) == _truth(other)
    if setting.kind in _KINDS:
        numbers = _stored(setting, one), _stored(setting, other)
        return numbers[0] is not None and numbers[0] == numbers[1]
    if setting.kind in ("enum", "set"):
        return one.strip().casefold() == other.strip().casefold()
    return elements(one) == elements(other) if setting.name.lower() in _LISTS else one == other


def _stored(setting: Setting, text: str) -> Decimal | None:
    """As the server keeps it: whole where the setting is an integer (parse_int in guc.c rounds)."""
    number = quantity(setting, text)
    return number if number is None or setting.kind == "real" else number.to_integral_value()


def elements(text: str) -> list[str]:
    """The parts of a list such as search_path, without double quotes; commas within those split nothing.

    Of what is no list, because a quote is not closed, the text itself (SplitGUCList in varlena.c).
    """
    parts, place = [], 0
    while found := _ELEMENT.match(text, place):
        quoted, plain = found["quoted"], found["plain"]
        parts.append(plain if quoted is None else quoted.replace('""', '"'))
        if found.end() == len(text):
            return parts
        place = found.end() + 1
    return [text]


_ELEMENT = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^",]*?))\s*(?=,|\Z)')


def _truth(text: str) -> bool | None:
    word = text.strip().casefold()
    return True if word in _ON else False if word in _OFF else None
