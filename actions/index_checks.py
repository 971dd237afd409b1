"""What a server would refuse an index for, found before anything is recorded: by its catalogs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from actions.names import show_name
from actions.table_statements import POSTGRES, IndexPlan
from console.errors import UsageError
from console.model.indexes import Column, Index, IndexSite, Method
from console.model.tables import Relation, Table
from console.model.target import ServerIdentity

SYSTEM = ("pg_catalog", "information_schema", "pg_toast", "mysql", "sys", "performance_schema")
# INDEX_MAX_KEYS, which counts carried columns too; MySQL manual 10.3.6, MariaDB "CREATE INDEX".
_MOST = {POSTGRES: 32, "mysql": 16, "mariadb": 32}
_DEFAULT = "btree"
_LISTED = 12
_RESERVED = ("primary", "gen_clust_index")


def check_table(table: Table) -> None:
    """Raises UsageError for the server's own tables."""
    if table.schema in SYSTEM:
        raise UsageError(
            f"{table.key} belongs to the server's own catalog, which takes no indexes; nothing was executed",
            "name a table of your own",
        )


def check_options(server: ServerIdentity, what: IndexPlan) -> None:
    """Raises UsageError for what this engine would not know, or would silently leave out."""
    if server.flavor == POSTGRES:
        return
    for given, arg in ((what.method, "method"), (what.include, "include")):
        if given:
            raise UsageError(
                f"{server.label} has no {arg}= of an index; nothing was executed", f"leave {arg}= away"
            )
    if not what.concurrently:
        raise UsageError(
            f"{server.label} builds it beside readers and writers or not at all; nothing was executed",
            "leave concurrently=false away",
        )


def check_columns(server: ServerIdentity, table: Table, what: IndexPlan, site: IndexSite) -> None:
    """Raises UsageError for a column that is not there, is named twice, or that no such index takes."""
    _check_given(server, what)
    if not site.columns:
        return  # not to be read just now: the plan says so
    known = {_name(server, one.name): one for one in site.columns}
    for column in (*what.columns, *what.include):
        if _name(server, column) not in known:
            raise _no_column(table, column, site.columns)
    keyed = [known[_name(server, one)] for one in what.columns]
    for one in keyed:
        if one.obstacle:
            raise UsageError(f"{table.key}.{one.name}: {one.obstacle}; nothing was executed")
    if site.methods:
        _check_method(table, what, keyed, site.methods)


def _check_given(server: ServerIdentity, what: IndexPlan) -> None:
    """What is wrong with the columns whatever the table has."""
    most = _MOST.get(server.flavor, 16)
    if len(what.columns) + len(what.include) > most:
        raise UsageError(
            f"an index of {server.label} has at most {most} columns; nothing was executed", "name fewer"
        )
    given = [_name(server, one) for one in what.columns]
    twice = next((one for one in what.columns if given.count(_name(server, one)) > 1), None)
    if twice is not None:
        raise UsageError(f"column={twice} is given twice; nothing was executed", "name each column once")


def _check_method(table: Table, what: IndexPlan, keyed: Sequence[Column], methods: Sequence[Method]) -> None:
    method = _method(what.method or _DEFAULT, methods)
    _able(method, what)
    for one in keyed:
        _takes(table, method, one)


def _name(server: ServerIdentity, column: str) -> str:
    """MySQL and MariaDB make no difference between cases in names of columns and indexes."""
    return column if server.flavor == POSTGRES else column.casefold()


def _no_column(table: Table, given: str, columns: Sequence[Column]) -> UsageError:
    names = [one.name for one in columns]
    near = difflib.get_close_matches(given, names, n=1)
    plain = given.strip('"`')
    if plain != given and plain in names:
        hint = f"column= takes the name as it is, without quotes: column={plain}"
    elif "(" in given:
        hint = "column= takes plain names: an index on an expression is not dbdeck's to make"
    elif near:
        hint = f"did you mean {near[0]}?"
    else:
        more = ", …" if len(names) > _LISTED else ""
        hint = f"it has: {', '.join(names[:_LISTED])}{more}"
    return UsageError(f"{table.key} has no column {given!r}; nothing was executed", hint)


def _method(given: str, methods: Sequence[Method]) -> Method:
    found = next((one for one in methods if one.name == given), None)
    if found is None:
        raise UsageError(
            f"the server has no index method {given!r}; nothing was executed",
            f"it has: {', '.join(one.name for one in methods)}",
        )
    return found


def _able(method: Method, what: IndexPlan) -> None:
    """What the kind of index cannot do at all."""
    wanted = (
        (what.unique and not method.unique, "cannot be unique", "leave unique=true away"),
        (len(what.columns) > 1 and not method.several, "has one column only", "name one column"),
        (bool(what.include) and not method.include, "carries no columns", "leave include= away"),
    )
    for against, why, hint in wanted:
        if against:
            raise UsageError(f"a {method.name} index {why}; nothing was executed", f"{hint}, or method=btree")


def _takes(table: Table, method: Method, column: Column) -> None:
    if column.methods is None or method.name in column.methods:
        return
    fits = ", ".join(f"method={one}" for one in column.methods)
    raise UsageError(
        f"a {method.name} index does not take {table.key}.{column.name}, which is {column.type}; "
        "nothing was executed",
        f"{fits} would" if fits else "no kind of index takes that type by itself",
    )


def check_name(
    server: ServerIdentity, table: Table, name: str, there: Sequence[Index], taken: Iterable[Relation]
) -> None:
    """`there` are the table's indexes, `taken` what bears the name in its schema (PostgreSQL). Raises
    UsageError for a name that is not free, or that the server keeps for itself.
    """
    hint = "choose another name=…"
    if server.flavor != POSTGRES and name.casefold() in _RESERVED:
        raise UsageError(f"no index may be called {name!r}; nothing was executed", hint)
    own = next((one for one in there if _name(server, one.name) == _name(server, name)), None)
    if own is not None:
        if own.state == "invalid":
            hint = f"it is invalid: index.drop_invalid index={show_name(own.schema, own.name)} first"
        raise UsageError(f"{table.key} has an index {name!r} already; nothing was executed", hint)
    other = next(iter(taken), None)
    if other is not None:
        article = "an" if other.kind[0] in "aeiou" else "a"
        raise UsageError(
            f"schema {other.schema} has {article} {other.kind} {other.name!r} already, and names are "
            "shared; nothing was executed",
            hint,
        )
