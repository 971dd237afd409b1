"""The scratch server of a drill on MySQL or MariaDB: made, started where it reaches nobody, and asked whether
that holds.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from actions.restoring import Restored, Site
from console.backups.mysql_programs import Program, find, flavor_of, label, names_of
from console.dispatch.enclosure import Enclosure, Work
from console.dispatch.lease import tail
from console.engine.port import Row, Statement
from console.engine.queries import quote_ident
from console.errors import ActionFailed
from console.model.drills import Area, Check, Outcome
from console.model.login import EngineKind, Login
from console.model.replication import replica_word
from console.model.target import Environment, ServerIdentity, Target
from console.model.tls import TlsMode

# Nobody's name on a real server. Inventories leave it out, so that a restored copy is not said to have
# a user more.
ADMIN = "dbdeck_restore_drill"
_SOCKET_LIMIT = 103  # bytes of a socket's path
_INIT_SECONDS = 300.0
START_SECONDS = 600.0  # a physical copy may have a crash to recover from
_PAGES = 1 << 20

# Research 2 of drills: event_scheduler OFF and not DISABLED, with which even DROP EVENT and
# information_schema.events fail in MariaDB, so that a good dump would look bad.
_FENCE = (
    "--skip-networking",
    "--skip-log-bin",
    "--event-scheduler=OFF",
    "--local-infile=0",
    "--skip-symbolic-links",
)
# Nothing of the copy is to survive a crash of this machine, and a drill is to be no slower than a plain load.
_QUICK = (
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-buffer-pool-dump-at-shutdown=OFF",
    "--innodb-buffer-pool-load-at-startup=OFF",
    "--max-allowed-packet=1G",
    "--max-connections=60",
    "--table-open-cache=400",
)
_ONLY = {
    "mariadb": ("--skip-slave-start", "--innodb-log-file-size=256M", "--performance-schema=OFF"),
    # Persisted settings of the source lie in its data folder, and would win over ours.
    "mysql": (
        "--skip-replica-start",
        "--mysqlx=OFF",
        "--persisted-globals-load=OFF",
        "--innodb-redo-log-capacity=512M",
        "--performance-schema=ON",
    ),
}


class Tools(NamedTuple):
    """`all` has them by their role, also others that were asked for."""

    server: Program
    client: Program
    all: Mapping[str, Program]


class Scratch(NamedTuple):
    """A server that answers. `options` is the file by which clients get in; `target` is for reads."""

    tools: Tools
    target: Target
    options: Path
    socket: Path


def checked(name: str, outcome: Outcome, detail: str = "", area: Area = Area.GROUND) -> Check:
    return Check(area=area, name=name, outcome=outcome, detail=detail)


async def find_tools(site: Site, more: Sequence[str] = ()) -> Tools | Check:
    """The programs for this backup, or the check that says which is not there. `more` are other roles."""
    flavor = flavor_of(site.backup.server)
    found: dict[str, Program] = {}
    for role in ("server", "client", *more):
        if role == "install" and flavor == "mysql":  # its server makes its data folder itself
            continue
        one = await find(role, flavor, site.rule.binaries)
        if one is None:
            where = site.rule.binaries or "the usual folders"
            what = names_of(role, flavor)[0]
            lacks = f"{label(flavor)}: no {what} in {where}"
            return checked(
                "programs", Outcome.BROKEN, f"{lacks}; install it, or set `binaries` for this target"
            )
        found[role] = one
        if one.version != (0, 0, 0):
            site.tools[one.path.name] = one.words
    return Tools(found["server"], found["client"], found)


def age_check(site: Site, tools: Tools, *, physical: bool) -> Check:
    """Files are read by the same major version alone; statements by the same or a newer one."""
    have, wanted = tools.server.series, site.backup.version
    of = site.backup.server or "an unknown version"
    said = f"{label(tools.server.flavor)} {tools.server.words} for a backup of {of}"
    if wanted is None:
        return checked("programs", Outcome.PASSED, f"{said}; its version is told nowhere")
    if (physical and have != wanted) or have < wanted:
        need = f"{wanted // 100}.{wanted % 100}"
        why = f"it takes {need}" if physical else f"it takes {need} or newer"
        return checked("programs", Outcome.BROKEN, f"{said}: {why}; set `binaries` for this target")
    return checked("programs", Outcome.PASSED, said)


# ---- making it ----------------------------------------------------------------------------------------


async def initialise(enclosure: Enclosure, tools: Tools) -> None:
    """An empty data folder. Raises ActionFailed with what the program said."""
    data = enclosure.folder("data")
    temporary = temporary_folder(enclosure)
    argv = [*server_argv(enclosure, tools.server), f"--datadir={data}", f"--tmpdir={temporary}"]
    if "install" in tools.all:
        argv = [
            runnable(enclosure, tools.all["install"]),
            "--no-defaults",
            f"--datadir={data}",
            f"--tmpdir={temporary}",
        ]
        argv += ["--skip-test-db", "--skip-name-resolve", "--auth-root-authentication-method=normal"]
    else:
        argv.append("--initialize-insecure")
    heard = await enclosure.run(Work(argv, "make an empty server", both=True, seconds=_INIT_SECONDS))
    if heard.code != 0:
        raise ActionFailed(f"the scratch server could not be made: {heard.why}")


def server_argv(enclosure: Enclosure, server: Program) -> list[str]:
    """Its first words: where the server's user can run it, and without this machine's options."""
    return [runnable(enclosure, server), "--no-defaults"]


def runnable(enclosure: Enclosure, program: Program) -> str:
    """Its path, or that of a copy that the server's user can reach."""
    return str(enclosure.usable(program.path.parent) / program.path.name)


def temporary_folder(enclosure: Enclosure) -> Path:
    made = enclosure.root / "tmp"
    return made if made.exists() else enclosure.folder("tmp")


async def start(site: Site, enclosure: Enclosure, tools: Tools, *more: str) -> Scratch:
    """The server on what is in the data folder. Raises ActionFailed with the end of its log."""
    run = enclosure.folder("run")
    socket = run / "s"
    if len(str(socket)) > _SOCKET_LIMIT:
        raise ActionFailed(
            f"the path of the socket {socket} is too long for the system",
            "set drills.scratch to a shorter one",
        )
    options, first = _admit(enclosure, socket)
    log = enclosure.root / "server.log"
    argv = [
        *server_argv(enclosure, tools.server),
        *(f"--datadir={enclosure.root / 'data'}", f"--tmpdir={temporary_folder(enclosure)}"),
        *(f"--socket={socket}", f"--pid-file={enclosure.root / 'data' / 'mysqld.pid'}"),
        *(f"--init-file={first}", f"--secure-file-priv={enclosure.folder('nothing')}"),
        *(*_FENCE, *_QUICK, *_ONLY[tools.server.flavor], f"--innodb-buffer-pool-size={buffer_pool()}"),
        *more,
    ]
    scratch = Scratch(tools, _target(enclosure, socket), options, socket)
    await enclosure.serve(argv, "the restored server", log=log, end="KILL")
    await site.unless_stopped(enclosure.answering(scratch.target, log, START_SECONDS))
    return scratch


def buffer_pool() -> int:
    """Bytes: an eighth of the memory, from 128 MiB to 1 GiB. The host has other work than a drill."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(max(memory // 8, 128 * _PAGES), 1024 * _PAGES) // _PAGES * _PAGES


def _admit(enclosure: Enclosure, socket: Path) -> tuple[Path, Path]:
    """A way in for us alone, whatever accounts the backup brings: the server runs the second file whenever it
    starts, before it lets anybody in. The options are for clients, which run as the server's user.

    --skip-grant-tables would be simpler, but then CREATE USER, views' definers and events are not
    treated as on a real server.
    """
    word = secrets.token_urlsafe(24)
    _write(enclosure.root / "admin", word, None)
    folder = enclosure.folder("conf")
    options, first = client_options(enclosure), folder / "first.sql"
    owner = enclosure.account.uid, enclosure.account.gid
    _write(options, f'[client]\nuser={ADMIN}\npassword="{word}"\nsocket={socket}\n', owner)
    _write(first, "".join(f"{line};\n" for line in (*_entry(word), *_PROXY)), owner)
    return options, first


def client_options(enclosure: Enclosure) -> Path:
    """The file by which clients get in, once the server was started."""
    return enclosure.root / "conf" / "client.cnf"


# PROXY is no part of all privileges and can only be handed on, and a dump of users gives it to root again.
_PROXY = (
    "REPLACE INTO mysql.proxies_priv (host, user, proxied_host, proxied_user, with_grant, grantor)"  # noqa: S608
    f" SELECT 'localhost', '{ADMIN}', proxied_host, proxied_user, 1, ''"
    " FROM mysql.proxies_priv WHERE user = 'root' AND host = 'localhost'",
    "FLUSH PRIVILEGES",
)


def _entry(word: str) -> tuple[str, ...]:
    who = f"'{ADMIN}'@'localhost'"
    return (
        f"CREATE USER IF NOT EXISTS {who} IDENTIFIED BY '{word}'",
        f"ALTER USER {who} IDENTIFIED BY '{word}'",
        f"GRANT ALL PRIVILEGES ON *.* TO {who} WITH GRANT OPTION",
    )


def _write(path: Path, text: str, owner: tuple[int, int] | None) -> None:
    """Before any program of the server's user ran: nobody can have put a link there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, text.encode())
        if owner is not None and os.geteuid() == 0:
            os.fchown(descriptor, *owner)
    finally:
        os.close(descriptor)


def _target(enclosure: Enclosure, socket: Path) -> Target:
    login = Login(user=ADMIN, password=f"file:{enclosure.root / 'admin'}")
    return Target(
        name="restored",
        engine=EngineKind.MYSQL,
        host=str(socket),
        monitor=login,
        operator=login,
        environment=Environment.DEV,
        tls=TlsMode.OFF,
    )


async def let_in_again(enclosure: Enclosure, scratch: Scratch) -> None:
    """After the accounts of a backup were loaded: the server learns of them, and we stay.

    Until FLUSH PRIVILEGES the server goes by the accounts it had; this connection keeps its rights meanwhile.
    """
    word = (enclosure.root / "admin").read_text(encoding="ascii")
    await told(enclosure, scratch.target, "FLUSH PRIVILEGES")
    for line in _entry(word):
        await told(enclosure, scratch.target, line, line.replace(word, "***"))


async def told(
    enclosure: Enclosure, target: Target, sql: str, shown: str = "", timeout: float | None = None
) -> list[Row]:
    return await enclosure.execute(target, Statement(sql=sql, shown=shown or sql), timeout=timeout)


async def clear_accounts(enclosure: Enclosure, scratch: Scratch) -> None:
    """A new server has accounts that a full dump creates once more, which would be refused: root's own."""
    rows = await told(enclosure, scratch.target, _OWN_ACCOUNTS)
    for user, host in rows:
        await told(enclosure, scratch.target, f"DROP USER '{user}'@'{host}'")


async def clear_roles(enclosure: Enclosure, scratch: Scratch) -> None:
    """MariaDB's roles belong to who made them: nobody could hand on those of a first load in a second one."""
    ((version,),) = await told(enclosure, scratch.target, "SELECT version()")
    if "MariaDB" not in str(version):
        return
    for (role,) in await told(enclosure, scratch.target, _ROLES):
        await told(enclosure, scratch.target, f"DROP ROLE {quote_ident(str(role), 'mysql')}")


_ROLES = "SELECT user FROM mysql.user WHERE is_role = 'Y' AND user <> 'PUBLIC'"
_OWN_ACCOUNTS = "SELECT user, host FROM mysql.user WHERE user IN ('root', 'mysql', 'mariadb.sys')"


# ---- asking it ----------------------------------------------------------------------------------------

_ASKED = "SELECT @@skip_networking, @@global.event_scheduler, @@datadir, @@log_bin"
_THREADS = (
    "SELECT command, user FROM information_schema.processlist"
    " WHERE user = 'system user' AND command IN ('Connect', 'Slave_IO', 'Slave_SQL', 'Query')"
)
_SERVERS = "SELECT server_name FROM mysql.servers"


async def fence_checks(enclosure: Enclosure, restored: Restored) -> list[Check]:
    """By the server's own word. A server that reaches out has failed its fence, whatever the kernel does."""
    target = restored.target
    engine = await enclosure.reading(target)
    server = await engine.identity()
    row = (await told(enclosure, target, _ASKED))[0]
    facts = {
        "no network": _on(row[0]),
        "event scheduler off": str(row[1]).upper() in ("OFF", "0", "DISABLED"),
        "its own data folder": str(row[2]).rstrip("/") == str(enclosure.root / "data"),
        "no binary log": not _on(row[3]),
        "no replication thread runs": not await told(enclosure, target, _THREADS),
    }
    checks = [
        checked(name, Outcome.PASSED if holds else Outcome.FAILED, area=Area.FENCE)
        for name, holds in facts.items()
    ]
    outcome = Outcome.PASSED if enclosure.closed else Outcome.SKIPPED
    kernel = "no route leads out" if enclosure.closed else "`network: open`: the kernel does not keep it in"
    checks.append(checked("closed by the kernel", outcome, kernel, Area.FENCE))
    return [*checks, await _secrets_check(enclosure, target, server)]


def _on(value: object) -> bool:
    return str(value).upper() in ("1", "ON", "TRUE")


async def _secrets_check(enclosure: Enclosure, target: Target, server: ServerIdentity) -> Check:
    """What it could log in with elsewhere is taken away, though nothing lets it out."""
    word = replica_word(server)
    status = "SHOW ALL SLAVES STATUS" if server.flavor == "mariadb" else f"SHOW {word} STATUS"
    replicas = await told(enclosure, target, status)
    servers = [str(row[0]) for row in await told(enclosure, target, _SERVERS)]
    if replicas:
        await told(enclosure, target, f"RESET {word} ALL")
    for name in servers:
        await told(enclosure, target, f"DROP SERVER {quote_ident(name, 'mysql')}")
    said = f"{len(replicas)} replication source(s), {len(servers)} federated server(s)"
    return Check(
        area=Area.FENCE,
        name="no logins to elsewhere",
        outcome=Outcome.PASSED,
        detail=f"removed from the copy: {said}",
        items=tuple(servers),
    )


def log_end(enclosure: Enclosure) -> str:
    return tail(enclosure.root / "server.log")


def databases_known(rows: Sequence[Row]) -> tuple[str, ...]:
    hidden = ("mysql", "sys", "performance_schema", "information_schema")
    return tuple(sorted(str(row[0]) for row in rows if str(row[0]) not in hidden))
