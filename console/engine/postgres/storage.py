"""A storage parameter of a table or a materialized view, and what applies where it has none."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from console.engine.postgres.link import Link
from console.engine.postgres.relations import KINDS
from console.engine.postgres.rows import Record
from console.engine.postgres.storage_parameters import TOAST, Parameter, complete, find, near
from console.errors import UsageError
from console.model.settings import Setting, Storage

TAKE = ("r", "m")


async def read(link: Link, name: str, table: tuple[str, str]) -> Setting:
    """`value` is the table's own; a name that no list has is left to the server to judge.

    Raises UsageError where no table is called so, or several are.
    """
    _, identity = await link.connected()
    version = identity.version_num
    wanted = name.strip().lower()
    rows = await link.fetch("storage", "the table", *table)
    row = _the_one(rows, table, link)
    parameter = find(wanted, version)
    guc = (
        await link.fetch("setting", "the setting", parameter.server) if parameter and parameter.server else []
    )
    parts = await link.fetch("storage_leaves", "the partitions", row["number"]) if row["kind"] == "p" else []
    described = describe(wanted, parameter, row, guc[0] if guc else None)
    return msgspec.structs.replace(
        described,
        storage=_storage(wanted, parameter, row, parts, version),
    )


def _the_one(rows: Sequence[Record], table: tuple[str, str], link: Link) -> Record:
    shown = ".".join(part for part in table if part)
    if not rows:
        raise UsageError(
            f"{link.target.name}: database {link.target.database} has no table {shown!r}; nothing was read",
            'check its name: capitals count, and a name with points or spaces is written in "quotes"',
        )
    if len(rows) > 1:
        where = ", ".join(repr(row["schema"]) for row in rows)
        raise UsageError(
            f"{link.target.name}: several schemas have a {shown!r}: {where}; nothing was read",
            "name the schema too: schema.table",
        )
    return rows[0]


# ---- pure --------------------------------------------------------------------------------------


def describe(name: str, parameter: Parameter | None, row: Record, guc: Record | None) -> Setting:
    own = options(row["options"])
    mine = options(row["toast_options"]) if name.startswith(TOAST) else own
    found = Setting(name=name, value=mine.get(name.removeprefix(TOAST)), server_value="", scopes=("table",))
    if parameter is None:
        return msgspec.structs.replace(found, server_known=False)
    otherwise = guc["reset_val"] if guc else parameter.otherwise
    if name.startswith(TOAST) and not mine:
        otherwise = own.get(parameter.name, otherwise)
    return msgspec.structs.replace(
        found,
        server_value=otherwise,
        kind=parameter.kind,
        smallest=parameter.smallest,
        largest=parameter.largest,
        choices=parameter.choices,
    )


def _storage(
    name: str, parameter: Parameter | None, row: Record, parts: Sequence[Record], version: int
) -> Storage:
    toast = name.startswith(TOAST)
    return Storage(
        number=row["number"],
        schema=row["schema"],
        name=row["name"],
        kind=KINDS.get(row["kind"], "relation"),
        known=parameter is not None,
        lock=parameter.lock if parameter else "",
        unit=parameter.unit if parameter else "",
        obstacle=obstacle(name, row) or ("" if parameter or not complete(version) else _no_such(name, row)),
        near="" if parameter else near(name, version),
        leaves=tuple((part["schema"], part["name"]) for part in parts),
        parts=parts[0]["total"] if parts else 0,
        inherited=_inherited(row) if toast else (),
    )


def _no_such(name: str, row: Record) -> str:
    """RESET of what no table can have does nothing, without a word; a namespace may be an extension's."""
    return "" if "." in name.removeprefix(TOAST) else f"{KINDS[row['kind']]}s have no parameter {name!r}"


def obstacle(name: str, row: Record) -> str:
    """Why the server would refuse it, or, worse, take it without a word and ignore it."""
    kind = KINDS.get(row["kind"], "relation")
    if row["kind"] == "p":
        return "it is partitioned and holds no rows: the server takes no storage parameters there"
    if row["kind"] not in TAKE:
        return f"it is no table: it is a{'n' if kind[0] in 'aeiou' else ''} {kind}"
    if row["system"]:
        return "it belongs to the system catalog, which the server lets nobody alter"
    if row["temporary"]:
        return "it is a temporary table: only the session that made it may alter it"
    if name.startswith(TOAST) and not row["toast"]:
        return "it has no TOAST table: the server would ignore the parameter without a word"
    return ""


def _inherited(row: Record) -> tuple[str, ...]:
    """What do_autovacuum takes from the table as long as its TOAST table has no parameter of its own."""
    if row["toast_options"]:
        return ()
    return tuple(
        f"{name}={value}"
        for name, value in options(row["options"]).items()
        if name.startswith("autovacuum_") and find(TOAST + name, 10**9)
    )


def options(found: Sequence[str] | None) -> dict[str, str]:
    """pg_class.reloptions: `name=value` each; a value may have a = of its own."""
    return {name: value for name, _, value in (one.partition("=") for one in found or ())}
