"""A restored PostgreSQL that reaches nobody: how it is started, and what it says of itself.

The command line wins over every file of the copy; its own configuration files are not read at all.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from actions.restoring import Restored
from console.dispatch.enclosure import Enclosure
from console.engine.port import Row, Statement
from console.errors import ActionFailed, DbdeckError, UsageError
from console.model.drills import Area, Check, Outcome
from console.model.target import EngineKind, Environment, Login, Target, TlsMode

SUPERUSER = "postgres"
PORT = 5432
HBA = "local all all trust\n"
END = "QUIT"  # the immediate shutdown: nothing of it is to be kept
_SOCKET_PATH_LIMIT = 103

# No way out, and nothing that starts by itself. Durability is not wanted: the copy is thrown away.
_ALWAYS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "archive_mode": "off",
    "archive_command": "/bin/false",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "synchronous_standby_names": "",
    "shared_preload_libraries": "",
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    "max_logical_replication_workers": "0",
    "ssl": "off",
    "autovacuum": "off",
    "jit": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_min_messages": "log",
    "log_statement": "none",
    "log_min_error_statement": "panic",  # a log holds no row of data
    "log_error_verbosity": "terse",
}


class Cluster(NamedTuple):
    """A data directory in the enclosure, and the programs for it. `major` is theirs."""

    binaries: Path
    data: Path
    major: int

    @property
    def run(self) -> Path:
        return self.data.parent / "run"

    @property
    def log(self) -> Path:
        return self.data.parent / "server.log"

    def program(self, name: str) -> str:
        return str(self.binaries / name)


def cluster(enclosure: Enclosure, binaries: Path, major: int) -> Cluster:
    """Its folders, made. Raises UsageError where a socket's path would be too long for the kernel."""
    made = Cluster(enclosure.usable(binaries), enclosure.folder("data"), major)
    enclosure.folder("run")
    if len(str(made.run / f".s.PGSQL.{PORT}").encode()) >= _SOCKET_PATH_LIMIT:
        raise UsageError(f"the path of the socket is too long: {made.run}", "set drills.scratch to /tmp")
    return made


def target_of(found: Cluster, user: str = SUPERUSER, database: str = "postgres") -> Target:
    login = Login(user=user)
    return Target(
        name="restored",
        engine=EngineKind.POSTGRES,
        monitor=login,
        operator=login,
        host=str(found.run),
        port=PORT,
        database=database,
        environment=Environment.DEV,
        tls=TlsMode.OFF,
    )


def argv(found: Cluster, settings: Mapping[str, str]) -> list[str]:
    """The server's words. Raises nothing."""
    given = {"unix_socket_directories": str(found.run), **_ALWAYS}
    if found.major >= 15:
        given["archive_library"] = ""
    if found.major >= 17:
        given |= {"sync_replication_slots": "off", "summarize_wal": "off"}
    files = {f"{name}_file": str(found.run / name) for name in ("config", "hba", "ident")}
    words = [f"{name}={value}" for name, value in {**files, **given, **settings}.items()]
    return [
        found.program("postgres"),
        "-D",
        str(found.data),
        *(part for one in words for part in ("-c", one)),
    ]


async def start(enclosure: Enclosure, found: Cluster, settings: Mapping[str, str], what: str) -> None:
    """As our child, by files of our own. It may not answer yet."""
    if not (found.run / "hba").exists():
        for name, text in (("config", ""), ("hba", HBA), ("ident", "")):
            enclosure.write(found.run / name, text)
    await enclosure.serve(argv(found, settings), what, log=found.log, end=END)


# ---- what it says of itself ----------------------------------------------------------------------

_SETTINGS = (
    "listen_addresses", "archive_mode", "archive_command", "primary_conninfo", "shared_preload_libraries",
    "max_logical_replication_workers", "ssl", "data_directory", "config_file", "hba_file",
)  # fmt: skip
_ASK_SETTINGS = "select name, setting from pg_catalog.pg_settings where name = any($1)"
_ASK_PLACE = "select pg_catalog.inet_server_addr()::text, pg_catalog.pg_is_in_recovery()"
# Those of the server itself; a login of ours and what works in parallel for it are none of the others.
_ASK_WORKERS = """
select distinct backend_type from pg_catalog.pg_stat_activity
where backend_type not in ('client backend', 'parallel worker', 'checkpointer', 'background writer',
    'walwriter', 'startup', 'logical replication launcher', 'autovacuum launcher', 'io worker')
"""
_ASK_SUBSCRIPTIONS = "select count(*) from pg_catalog.pg_stat_subscription where pid is not null"


async def fence(enclosure: Enclosure, restored: Restored) -> list[Check]:
    """What the server says of its doors, and whether the kernel keeps it from the network."""
    began = time.monotonic()
    try:
        wrong = await _open_doors(enclosure, restored.target)
    except DbdeckError as error:
        return [Check(area=Area.FENCE, name="doors", outcome=Outcome.BROKEN, detail=error.message)]
    return [
        Check(
            area=Area.FENCE,
            name="doors",
            outcome=Outcome.FAILED if wrong else Outcome.PASSED,
            detail="; ".join(wrong)
            or "no address, no archiving, no replication, no library, no worker of others",
            seconds=time.monotonic() - began,
        ),
        _network(enclosure),
    ]


def _network(enclosure: Enclosure) -> Check:
    closed = enclosure.closed
    return Check(
        area=Area.FENCE,
        name="network",
        outcome=Outcome.PASSED if closed else Outcome.SKIPPED,
        detail="a network namespace without a route" if closed else "the config says network: open",
    )


async def _open_doors(enclosure: Enclosure, target: Target) -> list[str]:
    rows = await ask(enclosure, target, _ASK_SETTINGS, "look at its settings", list(_SETTINGS))
    settings = {str(name): value for name, value in rows}
    expected = {name: _ALWAYS[name] for name in _SETTINGS if name in _ALWAYS}
    expected["data_directory"] = str(enclosure.root / "data")
    expected |= {f"{name}_file": str(enclosure.root / "run" / name) for name in ("config", "hba")}
    wrong = [
        f"{name} is {settings.get(name)!r}, not {value!r}"
        for name, value in expected.items()
        if settings.get(name) != value and not _hidden(name, settings.get(name))
    ]
    ((address, recovering),) = await ask(enclosure, target, _ASK_PLACE, "look where it listens")
    wrong += [f"it listens on {address}"] if address is not None else []
    wrong += ["it is still in recovery"] if recovering else []
    workers = await ask(enclosure, target, _ASK_WORKERS, "look for workers")
    wrong += [f"a worker is there: {one}" for (one,) in workers]
    ((running,),) = await ask(enclosure, target, _ASK_SUBSCRIPTIONS, "look for subscriptions at work")
    return wrong + ([f"{running} subscriptions are at work"] if running else [])


def _hidden(name: str, value: object) -> bool:
    """PostgreSQL shows archive_command as disabled while archiving is off."""
    return name == "archive_command" and value == "(disabled)"


async def ask(enclosure: Enclosure, target: Target, sql: str, shown: str, *args: object) -> list[Row]:
    """A question to the restored server, recorded as `shown`."""
    return await enclosure.execute(target, Statement(sql=sql, args=args, shown=shown), timeout=30.0)


# ---- quiet ---------------------------------------------------------------------------------------

_DISABLE = "alter subscription {} disable"
_QUOTED = (
    "select pg_catalog.quote_ident(subname) from pg_catalog.pg_subscription where subenabled"
    " and subdbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())"
)
_MAPPINGS = """
select pg_catalog.quote_ident(s.srvname), case when u.umuser = 0 then 'public'
    else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(u.umuser)) end
from pg_catalog.pg_user_mapping u join pg_catalog.pg_foreign_server s on s.oid = u.umserver
where exists (select from pg_catalog.unnest(u.umoptions) o where o like 'password=%')
"""
_CRON = (
    "select count(*) from pg_catalog.pg_extension where extname in ('pg_cron', 'pgagent', 'pg_partman_bgw')"
)


async def neutralise(enclosure: Enclosure, found: Restored) -> Check:
    """Subscriptions disabled and passwords of foreign servers taken away, in each database; the copy has no
    network anyway. What was found is told.
    """
    said: list[str] = []
    try:
        for database in found.databases:
            said += await _quieten(enclosure, found.target, database)
    except DbdeckError as error:
        return Check(
            area=Area.FENCE, name="what could act by itself", outcome=Outcome.BROKEN, detail=error.message
        )
    return Check(
        area=Area.FENCE,
        name="what could act by itself",
        outcome=Outcome.PASSED,
        detail="; ".join(said) or "no enabled subscription, no password of a foreign server, no scheduler",
        items=tuple(said),
    )


async def _quieten(enclosure: Enclosure, target: Target, database: str) -> list[str]:
    said = []
    for (name,) in await _in(enclosure, target, database, _QUOTED, "look for enabled subscriptions"):
        await _in(
            enclosure, target, database, _DISABLE.format(name), f"disable subscription {name}", command=True
        )
        said.append(f"subscription {name} of {database} was disabled")
    for server, user in await _in(
        enclosure, target, database, _MAPPINGS, "look for passwords of foreign servers"
    ):
        sql = f"alter user mapping for {user} server {server} options (drop password)"
        await _in(
            enclosure, target, database, sql, f"take the password of {user} for {server} away", command=True
        )
        said.append(f"the password of {user} for the foreign server {server} of {database} was taken away")
    ((scheduler,),) = await _in(enclosure, target, database, _CRON, "look for schedulers")
    return said + ([f"{database} has a scheduler, which is not loaded"] if scheduler else [])


async def _in(
    enclosure: Enclosure, target: Target, database: str, sql: str, shown: str, *, command: bool = False
) -> list[Row]:
    statement = Statement(sql=sql, shown=f"{database}: {shown}", database=database, command=command)
    return await enclosure.execute(target, statement, timeout=60.0)


# ---- pg_controldata ------------------------------------------------------------------------------

_MINIMA = {
    "max_connections": "max_connections setting",
    "max_worker_processes": "max_worker_processes setting",
    "max_wal_senders": "max_wal_senders setting",
    "max_prepared_transactions": "max_prepared_xacts setting",
    "max_locks_per_transaction": "max_locks_per_xact setting",
}
_PAIR = re.compile(r"^([^:]+):\s*(.*)$", re.MULTILINE)


def controlled(text: str) -> dict[str, str]:
    """What pg_controldata prints, by its words."""
    return {name.strip(): value.strip() for name, value in _PAIR.findall(text)}


def minima(control: Mapping[str, str]) -> dict[str, str]:
    """Below the settings of the server a copy is of, its recovery ends with an error (manual, 27.4.3).

    Raises ActionFailed where they are not told.
    """
    try:
        return {name: str(int(control[words])) for name, words in _MINIMA.items()}
    except (KeyError, ValueError):
        raise ActionFailed("pg_controldata does not tell the settings that recovery needs") from None
