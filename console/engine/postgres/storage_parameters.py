"""The storage parameters of tables, PostgreSQL 13 to 18. Pure.

No view lists them: they are those of reloptions.c, described in the manual under CREATE TABLE, "Storage
Parameters". A test has each accepted at its bounds, and refused beyond them, by real servers.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import msgspec

TOAST = "toast."
_OFF_ON = ("on", "off", "true", "false", "yes", "no", "1", "0")
_MOST = "2147483647"
_SHARE = "ShareUpdateExclusive"


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """`server` is the setting that applies where the table has none, `otherwise` what does where there is no
    such setting. `toast`: TOAST tables have it too. `since`: the first version that has it.
    """

    name: str
    kind: str = "integer"
    smallest: str | None = None
    largest: str | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    server: str = ""
    otherwise: str = ""
    toast: bool = True
    lock: str = _SHARE
    since: int = 0


def _number(name: str, smallest: str, largest: str | None, **more: object) -> Parameter:
    return msgspec.structs.replace(
        Parameter(name=name, smallest=smallest, largest=largest, server=name), **more
    )


_AGE, _OLDEST = "1000000000", "2000000000"
_ALL = (
    Parameter(name="autovacuum_enabled", kind="bool", server="autovacuum"),
    _number("autovacuum_vacuum_threshold", "0", _MOST),
    _number("autovacuum_vacuum_max_threshold", "-1", _MOST, since=180000),
    _number("autovacuum_vacuum_scale_factor", "0", "100", kind="real"),
    _number("autovacuum_vacuum_insert_threshold", "-1", _MOST),
    _number("autovacuum_vacuum_insert_scale_factor", "0", "100", kind="real"),
    _number("autovacuum_analyze_threshold", "0", _MOST, toast=False),
    _number("autovacuum_analyze_scale_factor", "0", "100", kind="real", toast=False),
    _number("autovacuum_vacuum_cost_delay", "0", "100", kind="real", unit="ms"),
    _number("autovacuum_vacuum_cost_limit", "1", "10000"),
    _number("autovacuum_freeze_min_age", "0", _AGE, server="vacuum_freeze_min_age"),
    _number("autovacuum_freeze_max_age", "100000", _OLDEST),
    _number("autovacuum_freeze_table_age", "0", _OLDEST, server="vacuum_freeze_table_age"),
    _number("autovacuum_multixact_freeze_min_age", "0", _AGE, server="vacuum_multixact_freeze_min_age"),
    _number("autovacuum_multixact_freeze_max_age", "10000", _OLDEST),
    _number(
        "autovacuum_multixact_freeze_table_age", "0", _OLDEST, server="vacuum_multixact_freeze_table_age"
    ),
    _number("log_autovacuum_min_duration", "-1", _MOST, unit="ms"),
    _number("vacuum_max_eager_freeze_failure_rate", "0", "1", kind="real", since=180000),
    Parameter(
        name="vacuum_index_cleanup",
        kind="enum",
        choices=("auto", *_OFF_ON),
        otherwise="auto",
        since=140000,
    ),
    Parameter(name="vacuum_truncate", kind="bool", server="vacuum_truncate", otherwise="on"),
    _number("fillfactor", "10", "100", server="", otherwise="100", toast=False),
    # Its upper bound follows from the size of a page.
    _number("toast_tuple_target", "128", None, server="", otherwise="2032", toast=False),
    _number("parallel_workers", "0", "1024", server="", otherwise="by the size of the table", toast=False),
    Parameter(name="user_catalog_table", kind="bool", otherwise="off", toast=False, lock="AccessExclusive"),
)  # fmt: skip
_UNKNOWN = 190000


def of(version: int) -> tuple[Parameter, ...]:
    return tuple(one for one in _ALL if version >= one.since)


def find(name: str, version: int) -> Parameter | None:
    """By its name, with or without `toast.`; None where this list has none of that name."""
    toast = name.startswith(TOAST)
    bare = name.removeprefix(TOAST)
    return next((one for one in of(version) if one.name == bare and (one.toast or not toast)), None)


def near(name: str, version: int) -> str:
    """The most similar name; empty where none is."""
    prefix = TOAST if name.startswith(TOAST) else ""
    names: Iterable[str] = (prefix + one.name for one in of(version) if one.toast or not prefix)
    return next(iter(difflib.get_close_matches(name, list(names), n=1, cutoff=0.8)), "")


def complete(version: int) -> bool:
    """Whether a name that is not here is none: newer servers may have more."""
    return version < _UNKNOWN
