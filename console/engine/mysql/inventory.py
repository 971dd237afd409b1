"""Every object of a database, or of the server, by kind and name, with fingerprints of their definitions."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from console.engine.mysql.grants import Grant, covers, parse
from console.engine.mysql.reader import CATALOG_SECONDS, Reader
from console.engine.queries import quote_ident
from console.errors import DbdeckError, PrivilegeMissing, Unreachable
from console.model.inventory import Inventory, Objects

# Accounts that a server brings along, and those that a drill and a dump leave.
NOT_OURS = frozenset(
    {"mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys", "dbdeck_restore_drill", "PUBLIC",
     "mariadb_dump_import_role"}
)  # fmt: skip
_AUTO = re.compile(r" AUTO_INCREMENT=\d+")
_VERIFIER = re.compile(r" IDENTIFIED (?:BY PASSWORD '[^']*'|VIA .*?(?= REQUIRE| WITH|$))")
_GRANT = re.compile(r"GRANT (?P<what>.+) ON (?P<where>.+?) TO (?P<who>.+?)(?P<more> WITH .*| REQUIRE .*)?$")
_COLUMNS = re.compile(r"\(([^)]*)\)")
_TABLE_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES", "ALTER", "INDEX", "DROP", "CREATE")
Rows = Sequence[Mapping[str, Any]]


def fingerprint(*parts: object) -> str:
    """Of a definition, by its words: line breaks, and a semicolon at its end, do not count."""
    text = "\0".join(" ".join(str(part).split()).rstrip("; ") for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


async def inventory(reader: Reader, database: str) -> Inventory:
    """Raises an Unreachable error; what the login may not see is told in `unseen`."""
    objects, unseen = await (_of_database(reader, database) if database else _of_server(reader))
    return Inventory(
        database=database,
        flavor=reader.identity.flavor,
        version=reader.identity.version_num // 100,
        objects=objects,
        unseen=unseen,
    )


# ---- a database ---------------------------------------------------------------------------------------


async def _of_database(reader: Reader, database: str) -> tuple[Objects, dict[str, str]]:
    objects: Objects = defaultdict(dict)
    tables = await reader.fetch("inventory_tables", database)
    await _tables(reader, database, tables, objects)
    _indexes(await reader.fetch("inventory_indexes", database), objects)
    _keys(await reader.fetch("inventory_keys", database, database), objects)
    await _parts(reader, database, objects)
    await _code(reader, database, objects)
    return dict(objects), await unseen(reader, database)


async def _tables(reader: Reader, database: str, tables: Rows, objects: Objects) -> None:
    kinds = {"VIEW": "view", "SYSTEM VIEW": "view", "SEQUENCE": "sequence"}
    for row in tables:
        kind = kinds.get(str(row["kind"]), "table")
        if kind != "view":
            objects[kind][str(row["name"])] = await _definition(reader, database, str(row["name"]), kind)
    for row in await reader.fetch("inventory_views", database):
        known = row["definition"]
        words = (known, row["definer"], row["security"], row["checked"])
        objects["view"][str(row["name"])] = fingerprint(*words) if known else ""
    for row in tables:
        if kinds.get(str(row["kind"])) == "view":
            objects["view"].setdefault(str(row["name"]), "")


async def _definition(reader: Reader, database: str, name: str, kind: str) -> str:
    """With engine, character set, columns, keys and partitions; without the next number. Empty where it may
    not be seen, or cannot be opened.
    """
    named = f"{quote_ident(database, 'mysql')}.{quote_ident(name, 'mysql')}"
    try:
        rows = await reader.ask(f"show create {kind} {named}", what=name, seconds=CATALOG_SECONDS)
    except DbdeckError:
        return ""
    text = str(list(rows[0].values())[1]) if rows else ""
    return fingerprint(_AUTO.sub("", text)) if text else ""


def _indexes(rows: Rows, objects: Objects) -> None:
    parts: dict[str, list[object]] = defaultdict(list)
    for row in rows:
        of = parts[f"{row['table_name']}.{row['name']}"]
        of += [row["non_unique"], row["type"], row["column_name"], row["length"], row["direction"]]
        of.append(row["expression"])
    objects["index"] = {name: fingerprint(*words) for name, words in parts.items()}


def _keys(rows: Rows, objects: Objects) -> None:
    parts: dict[str, list[object]] = defaultdict(list)
    for row in rows:
        of = parts[f"{row['table_name']}.{row['name']}"]
        of += [row["column_name"], row["other_schema"], row["other_table"], row["other_column"]]
        of += [row["on_update"], row["on_delete"]]
    objects["foreign key"] = {name: fingerprint(*words) for name, words in parts.items()}


async def _parts(reader: Reader, database: str, objects: Objects) -> None:
    """What tables are made of that deserves a name of its own."""
    for row in await reader.fetch("inventory_checks", database):
        objects["check constraint"][f"{row['table_name']}.{row['name']}"] = fingerprint(row["clause"])
    for row in await reader.fetch("inventory_columns", database):
        if row["expression"]:
            name = f"{row['table_name']}.{row['name']}"
            words = (row["column_type"], row["expression"], row["extra"])
            objects["generated column"][name] = fingerprint(*words)
    for row in await reader.fetch("inventory_partitions", database):
        name = f"{row['table_name']}.{row['name']}{'.' if row['part'] else ''}{row['part']}"
        words = (row["method"], row["expression"], row["description"])
        objects["partition"][name] = fingerprint(*words)


async def _code(reader: Reader, database: str, objects: Objects) -> None:
    parameters: dict[tuple[str, str], list[object]] = defaultdict(list)
    for row in await reader.fetch("inventory_parameters", database):
        of = parameters[(str(row["kind"]), str(row["routine"]))]
        of += [row["mode"], row["name"], row["type"]]
    for row in await reader.fetch("inventory_routines", database):
        kind, name = str(row["kind"]), str(row["name"])
        words = (row["definition"], row["result"], row["definer"], row["security"], row["fixed"],
                 row["data_access"], row["sql_mode"], *parameters[(kind, name)])  # fmt: skip
        objects[kind][name] = fingerprint(*words) if row["definition"] is not None else ""
    for row in await reader.fetch("inventory_triggers", database):
        words = (row["table_name"], row["timing"], row["event"], row["definition"], row["definer"],
                 row["sql_mode"])  # fmt: skip
        objects["trigger"][str(row["name"])] = fingerprint(*words)
    for row in await reader.fetch("inventory_events", database):
        words = (row["definition"], row["type"], row["every"], row["unit"], row["once"], row["completion"],
                 row["status"], row["definer"], row["sql_mode"])  # fmt: skip
        objects["event"][str(row["name"])] = fingerprint(*words)


# ---- what is not shown --------------------------------------------------------------------------------


async def unseen(reader: Reader, database: str) -> dict[str, str]:
    """Kinds of which this login may not see all, with the GRANT. Neither server says that it hides any:
    a list that is too short is all one gets (research finding 4 of drills).
    """
    rows = await reader.fetch("grants")
    grants, _ = parse([str(next(iter(row.values()))) for row in rows])
    where = f"{quote_ident(database, 'mysql')}.*"
    said = {}
    if not covers(grants, database, _TABLE_RIGHTS):
        for kind in ("table", "view", "sequence", "index", "foreign key", "check constraint",
                     "generated column", "partition"):  # fmt: skip
            said[kind] = f"GRANT SELECT, SHOW VIEW ON {where} TO {reader.account};"
    if not _sees_routines(reader, grants, database):
        right = "SELECT ON mysql.proc" if reader.mariadb else "SHOW_ROUTINE ON *.*"
        said |= dict.fromkeys(("procedure", "function"), f"GRANT {right} TO {reader.account};")
    for kind, right in (("trigger", "TRIGGER"), ("event", "EVENT")):
        if not covers(grants, database, (right,)):
            said[kind] = f"GRANT {right} ON {where} TO {reader.account};"
    return said


def _sees_routines(reader: Reader, grants: Sequence[Grant], database: str) -> bool:
    """MySQL manual 8.2.2 (SHOW_ROUTINE, or SELECT on everything); MariaDB: who may read mysql.proc."""
    if covers(grants, database, ("CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE")):
        return True
    if reader.mariadb:
        return covers(grants, "mysql", ("SELECT",), table="proc") or covers(
            grants, database, ("SHOW CREATE ROUTINE",)
        )
    everything = [one for one in grants if one.schema == "*" and one.name == "*"]
    return covers(everything, database, ("SELECT", "SHOW_ROUTINE"))


# ---- the server ---------------------------------------------------------------------------------------


async def _of_server(reader: Reader) -> tuple[Objects, dict[str, str]]:
    objects: Objects = {"database": {}, "user": {}, "role": {}, "grant": {}}
    for row in await reader.fetch("databases"):
        objects["database"][str(row["name"])] = fingerprint(row["charset"], row["collation"])
    right = "SELECT ON mysql.*"
    try:
        accounts = await reader.fetch("inventory_accounts", right=right)
    except PrivilegeMissing as error:
        hint = error.hint or f"GRANT {right} TO {reader.account};"
        return {"database": objects["database"]}, dict.fromkeys(("user", "role", "grant"), hint)
    unseen: dict[str, str] = {}
    for row in accounts:
        if str(row["name"]) in NOT_OURS:
            continue
        try:
            await _account(reader, row, objects)
        except Unreachable as error:  # such as an account by a host's name where names are not resolved
            unseen["grant"] = error.message
    return objects, unseen


async def _account(reader: Reader, row: Mapping[str, Any], objects: Objects) -> None:
    name, host = str(row["name"]), str(row["host"])
    role = bool(row["is_role"])
    shown = f"{name}@{host}" if host else name
    words = [row[key] for key in ("plugin", "has_password", "tls", "questions", "updates", "connections",
                                  "user_connections", "locked")]  # fmt: skip
    objects["role" if role else "user"][shown] = "" if role else fingerprint(*words)
    if role and reader.mariadb:
        rows = await reader.ask(
            f"show grants for {quote_ident(name, 'mysql')}", what=shown, seconds=CATALOG_SECONDS
        )
    else:
        rows = await reader.fetch("grants_of", name, host)
    objects["grant"] |= grants_named((str(next(iter(one.values()))) for one in rows), shown)


def _in_order(privilege: str) -> str:
    """`SELECT (b, a)`: a server tells columns in whatever order it keeps them, after a restore in another."""
    return _COLUMNS.sub(
        lambda match: f"({','.join(sorted(one.strip() for one in match[1].split(',')))})", privilege
    )


def grants_named(lines: Iterable[str], account: str) -> dict[str, str]:
    """Each by where it holds and for whom, with the fingerprint of what is allowed there; a membership by
    its role. Passwords, which MariaDB repeats, are left out.
    """
    found: dict[str, str] = {}
    for line in lines:
        bare = _VERIFIER.sub("", line)
        match = _GRANT.match(bare)
        if match is None:
            if bare.startswith("GRANT "):
                found[f"{bare.removeprefix('GRANT ').partition(' TO ')[0]} to {account}"] = fingerprint(bare)
            continue
        what = sorted(_in_order(one.strip()) for one in re.split(r",(?![^(]*\))", match["what"]))
        if what == ["USAGE"]:
            continue
        kind = "privileges" if what[0] != "PROXY" else "proxy"
        name = f"{kind} on {match['where']} to {account}"
        # MySQL tells static and dynamic privileges in two lines.
        more = "GRANT OPTION" if "GRANT OPTION" in (match["more"] or "") else ""
        found[name] = fingerprint(found.get(name, ""), *what, more)
    return found
