"""The statements of maintenance: VACUUM, ANALYZE and OPTIMIZE TABLE, REINDEX, CREATE and DROP INDEX.

PostgreSQL manual, part VI, the pages of these commands; MySQL manual 15.7.3 and 15.1; MariaDB
"OPTIMIZE TABLE", "ANALYZE TABLE", "CREATE INDEX".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from console.engine.port import Statement
from console.engine.queries import quote_ident
from console.errors import UsageError
from console.model.target import ServerIdentity

POSTGRES = "postgresql"
# Since which version VACUUM knows an option (release notes).
_BUFFERS = re.compile(r"(\d{1,12}) ?(B|kB|MB|GB|TB|)")
_UNITS = {"B": 1, "kB": 1 << 10, "": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_SINCE = {"parallel": 130000, "buffer_usage_limit": 160000, "process_main": 160000}
_DATABASE_STATS = 160000


class VacuumOptions(msgspec.Struct, frozen=True, kw_only=True):
    """As VACUUM takes them; None leaves the server's default. Costs are session settings around it.

    `one_of_many`: the age of the whole database, which takes a look at every table, is left to `finish`; and
    what makes an ANALYZE wait for the disk, to `settle`.
    """

    full: bool = False
    freeze: bool = False
    analyze: bool = False
    index_cleanup: str | None = None
    truncate: bool | None = None
    parallel: int | None = None
    cost_delay: float | None = None  # milliseconds
    cost_limit: int | None = None
    buffer_usage_limit: str | None = None
    one_of_many: bool = False


def qualified(server: ServerIdentity, schema: str, name: str) -> str:
    return ".".join(quote_ident(part, server.flavor) for part in (schema, name))


def vacuum(server: ServerIdentity, schema: str, name: str, options: VacuumOptions) -> Statement:
    """Raises UsageError for an option this server has not."""
    words = [
        *(["full"] if options.full else []),
        *(["freeze"] if options.freeze else []),
        *(["analyze"] if options.analyze else []),
        *([f"index_cleanup {options.index_cleanup}"] if options.index_cleanup else []),
        *([f"truncate {'on' if options.truncate else 'off'}"] if options.truncate is not None else []),
        *([f"parallel {options.parallel}"] if options.parallel is not None else []),
        *([f"buffer_usage_limit '{options.buffer_usage_limit}'"] if options.buffer_usage_limit else []),
        *(["skip_database_stats"] if options.one_of_many and finish(server) else []),
    ]
    _check(server, options)
    listed = f" ({', '.join(words)})" if words else ""
    lazy = (_LAZY,) if options.one_of_many and options.analyze and not options.full else ()
    return _command(f"vacuum{listed} {qualified(server, schema, name)}", limits=(*_costs(options), *lazy))


def finish(server: ServerIdentity) -> Statement | None:
    """Once after many tables, as vacuumdb does it; before 16 each VACUUM does it for itself."""
    if server.version_num < _DATABASE_STATS:
        return None
    return _command("vacuum (only_database_stats)")


def settle(made: Iterable[Statement]) -> Statement | None:
    """Returns when the disk (and the standbys, where the server waits for them) has all that was committed
    before it; None where the commits of what was made waited themselves.

    A commit that waits flushes all WAL before it (PostgreSQL manual 28.4). It takes a transaction that wrote
    something: an empty logical message, which no table knows of. Where the login's own commits do not wait,
    this one does, for the local disk.
    """
    if not any(_LAZY in one.limits for one in made):
        return None
    return Statement(sql=_SETTLE, shown="select pg_logical_emit_message(true, 'dbdeck', '')")


_LAZY = ("synchronous_commit", "off")
_SETTLE = """
select set_config('synchronous_commit', case s.reset_val when 'off' then 'local' else s.reset_val end, true),
       pg_logical_emit_message(true, 'dbdeck', '')
  from pg_settings s
 where s.name = 'synchronous_commit'
"""


def _check(server: ServerIdentity, options: VacuumOptions) -> None:
    for option, since in _SINCE.items():
        if getattr(options, option, None) is not None and server.version_num < since:
            raise UsageError(
                f"{server.label} has no {option.upper()} of VACUUM; nothing was executed",
                f"it came with PostgreSQL {since // 10000}",
            )
    if options.full and (
        options.index_cleanup or options.parallel is not None or options.truncate is not None
    ):
        raise UsageError(
            "VACUUM FULL writes the table anew: it takes no index_cleanup, parallel or truncate; "
            "nothing was executed",
            "leave them away",
        )
    if options.buffer_usage_limit is not None:
        _check_buffers(options.buffer_usage_limit, plain=options.full and not options.analyze)


def _check_buffers(given: str, *, plain: bool) -> None:
    """PostgreSQL manual, VACUUM: 128 kB to 16 GB, 0 for none; `plain` is a VACUUM FULL without ANALYZE."""
    if plain:
        raise UsageError(
            "VACUUM FULL takes no buffer_usage_limit; nothing was executed",
            "leave it away, or add analyze=true",
        )
    found = _BUFFERS.fullmatch(given)
    size = int(found[1]) * _UNITS[found[2]] if found else -1
    if size != 0 and not 128 << 10 <= size <= 16 << 30:
        raise UsageError(
            f"buffer_usage_limit={given}: it goes from 128kB to 16GB, or is 0 for no limit; "
            "nothing was executed",
            "like 256kB, 2MB or 1GB; a bare number counts kB",
        )


def _costs(options: VacuumOptions) -> tuple[tuple[str, str], ...]:
    found: Mapping[str, float | None] = {
        "vacuum_cost_delay": options.cost_delay,
        "vacuum_cost_limit": options.cost_limit,
    }
    return tuple((name, f"{value:g}") for name, value in found.items() if value is not None)


def analyze(server: ServerIdentity, schema: str, name: str, *, one_of_many: bool = False) -> Statement:
    """LOCAL: another server's statistics are its own, and a replica would get an extra transaction.

    `one_of_many`: it does not wait for the disk (PostgreSQL); `settle` does.
    """
    table = qualified(server, schema, name)
    if server.flavor == POSTGRES:
        return _command(f"analyze {table}", limits=(_LAZY,) if one_of_many else ())
    return Statement(sql=f"analyze local table {table}", shown=f"analyze local table {table}")


OPTIMIZE_LOCAL = "optimize local table"


def optimize(server: ServerIdentity, schema: str, name: str, *, replicate: bool) -> Statement:
    verb = "optimize table" if replicate else OPTIMIZE_LOCAL
    sql = f"{verb} {qualified(server, schema, name)}"
    return Statement(sql=sql, shown=sql)


def reindex(server: ServerIdentity, schema: str, name: str, *, concurrently: bool) -> Statement:
    how = "concurrently " if concurrently else ""
    return _command(f"reindex index {how}{qualified(server, schema, name)}")


def drop_index(server: ServerIdentity, schema: str, name: str) -> Statement:
    return _command(f"drop index concurrently {qualified(server, schema, name)}")


def create_index(server: ServerIdentity, table: tuple[str, str], name: str, what: IndexPlan) -> Statement:
    """CONCURRENTLY in PostgreSQL; in MySQL and MariaDB in place and beside writers, or not at all."""
    unique = "unique " if what.unique else ""
    columns = ", ".join(quote_ident(column, server.flavor) for column in what.columns)
    on = qualified(server, *table)
    if server.flavor == POSTGRES:
        how = "concurrently " if what.concurrently else ""
        method = f" using {quote_ident(what.method, server.flavor)}" if what.method else ""
        include = ", ".join(quote_ident(column, server.flavor) for column in what.include)
        also = f" include ({include})" if include else ""
        return _command(
            f"create {unique}index {how}{quote_ident(name, server.flavor)} on {on}{method} ({columns}){also}"
        )
    sql = (
        f"create {unique}index {quote_ident(name, server.flavor)} on {on} ({columns}) "
        f"algorithm = inplace lock = none"
    )
    return Statement(sql=sql, shown=sql)


class IndexPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What an index is to be."""

    columns: Sequence[str]
    include: Sequence[str] = ()
    unique: bool = False
    method: str = ""
    concurrently: bool = True


def _command(sql: str, **more: Any) -> Statement:
    """A utility command of PostgreSQL: it takes no bound values and stands in no transaction block."""
    return Statement(sql=sql, shown=_shown(sql, more.get("limits", ())), command=True, **more)


def _shown(sql: str, limits: Sequence[tuple[str, str]]) -> str:
    set_ = "".join(f"set {name} = {value}; " for name, value in limits)
    return f"{set_}{sql}"
