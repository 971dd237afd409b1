"""Storage parameters of one table: what stands against one, what it changes, and under which lock."""

from __future__ import annotations

from actions.setting_values import quantity
from console.errors import UsageError
from console.model.settings import Setting, Storage
from console.present.names import shown

WAITS = "2 s"  # lock_timeout of the operator's connection
# From when on a parameter counts, by how its name begins (PostgreSQL manual, "Storage Parameters").
_COUNTS = (
    ("log_auto", "it counts from the next autovacuum run on the table"),
    ("autovacuum", "it counts from the next autovacuum run on the table"),
    ("vacuum", "it counts from the next vacuum of the table, by autovacuum or by hand"),
    ("fillfactor", "it counts for pages filled from now on; what is there stays until it is rewritten"),
    ("toast_tuple", "it counts for rows written from now on"),
    ("parallel", "it counts for statements planned from now on"),
)
_LOCKS = {
    "ShareUpdateExclusive": "reads and writes go on; VACUUM, ANALYZE, CREATE INDEX and ALTER TABLE wait",
    "AccessExclusive": "everybody else waits, readers too",
}


def check(storage: Storage) -> None:
    """Raises UsageError for what the server would refuse, or ignore without a word."""
    if not storage.obstacle:
        return
    hint = f"did you mean {storage.near}?" if storage.near else ""
    if storage.leaves:
        named = ", ".join(shown(*leaf) for leaf in storage.leaves)
        rest = storage.parts - len(storage.leaves)
        hint = f"name its partitions: {named}{f' and {rest} more' if rest > 0 else ''}"
    table = shown(storage.schema, storage.name)
    raise UsageError(f"{table}: {storage.obstacle}; nothing was executed", hint)


def forecast(setting: Setting, storage: Storage, value: str | None) -> tuple[str, ...]:
    unit = f" ({storage.unit})" if storage.unit else ""
    otherwise = f"{setting.server_value}{unit}" if setting.server_known else "not known"
    now = "not set" if setting.value is None else repr(setting.value)
    after = f"what applies otherwise: {otherwise}" if value is None else f"{value}{unit}"
    return (
        f"now {now} there, otherwise {otherwise}",
        f"then {after}; {_counts(setting.name)}",
        _lock(storage),
    )


def _counts(name: str) -> str:
    bare = name.removeprefix("toast.")
    return next((words for start, words in _COUNTS if bare.startswith(start)), "it counts at once")


def _lock(storage: Storage) -> str:
    lock = storage.lock or "AccessExclusive"
    perhaps = "" if storage.lock else "perhaps "
    return (
        f"it takes {perhaps}{lock} on {shown(storage.schema, storage.name)}, for a moment: {_LOCKS[lock]}; "
        f"it waits {WAITS} for it at most, and whoever comes meanwhile for a lock against it waits as long"
    )


def warnings(setting: Setting, storage: Storage, value: str | None) -> tuple[str, ...]:
    found = [
        "an autovacuum at work on the table is cancelled for it and comes again; against one that prevents "
        "wraparound it fails, and nothing is changed"
    ]
    if not storage.known:
        near = f" (there is {storage.near})" if storage.near else ""
        found.append(f"dbdeck does not know {setting.name}{near}: the server decides whether it takes it")
    if storage.inherited and value is not None:
        found.append(
            f"the TOAST table uses the table's own {', '.join(storage.inherited)}; "
            "with a parameter of its own it uses none of them any more"
        )
    return (*found, *_capped(setting, value))


def _capped(setting: Setting, value: str | None) -> tuple[str, ...]:
    if not setting.name.endswith("freeze_max_age") or value is None:
        return ()
    wanted, most = quantity(setting, value), quantity(setting, setting.server_value)
    if wanted is None or most is None or wanted <= most:
        return ()
    return (f"autovacuum takes the smaller one of it and the server's {setting.server_value}",)
