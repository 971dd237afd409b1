"""What mends a finding of `doctor`: the command or the GRANT, as exactly as it can be known from here."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterable, Sequence

from console.config import Config
from console.engine.access import roles_lacking
from console.engine.port import Engine, Need, OperatorConnection
from console.errors import DatabaseRefused, DbdeckError, LoginRefused, ServerSilent, TlsRefused, Unreachable
from console.model.access import POSTGRESQL, Purpose, Right, rights
from console.model.login import EngineKind, Login
from console.model.target import Check, ServerIdentity, Target
from console.present.access import account_in_sql
from console.secrets import parse_reference

# The programs that are looked for, each with other names of it, and Debian's package.
_TOOLS: dict[EngineKind, tuple[tuple[tuple[str, ...], str], ...]] = {
    EngineKind.POSTGRES: (
        (("psql",), "postgresql-client"),
        (("pg_dump",), "postgresql-client"),
        (("pg_basebackup",), "postgresql-client"),
    ),
    EngineKind.MYSQL: (
        (("mysql", "mariadb"), "default-mysql-client"),
        (("mysqldump", "mariadb-dump"), "default-mysql-client"),
    ),
}
_MORE = ("mariadb-backup", "xtrabackup", "pgbackrest", "barman", "mydumper")


def mend(error: DbdeckError, target: Target, login: Login) -> str:
    """The hint of an error of a connection, with the command that fits this target and login."""
    if isinstance(error, DatabaseRefused):
        return _joined(error.hint, f"the key is targets.{target.name}.database")
    if isinstance(error, LoginRefused) and not error.hint.startswith("chmod"):
        return _joined(_for_password(login), error.hint)
    if isinstance(error, TlsRefused):
        return _joined(error.hint, f"the keys are targets.{target.name}.tls and .ca: docs/tls-and-secrets.md")
    if type(error) in (Unreachable, ServerSilent):
        return _joined(error.hint, _try_out(target, login))
    return error.hint


def _for_password(login: Login) -> str:
    """Where the password comes from, and how another one gets there."""
    if login.password is None:
        return "none is configured: the server's own rule, .pgpass or ~/.my.cnf decided"
    kind, rest = parse_reference(login.password)
    return {
        "keyring": f"`dbdeck secret set {shlex.quote(rest)}` stores the right one",
        "env": f"`export {rest}=…` in the environment of dbdeck",
        "file": f"put the right one into {rest}",
        "command": f"look at what this prints: {rest}",
    }[kind]


def _try_out(target: Target, login: Login) -> str:
    port = login.port or target.port
    if target.engine is EngineKind.POSTGRES:
        return f"`pg_isready -h {shlex.quote(target.host)} -p {port}` asks without dbdeck"
    if target.local:
        return f"`mysqladmin --socket {shlex.quote(target.host)} ping` asks without dbdeck"
    return f"`mysqladmin -h {shlex.quote(target.host)} -P {port} ping` asks without dbdeck"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


# ---- the operator's rights -------------------------------------------------------------------------


async def operators_rights(engine: Engine, connection: OperatorConnection) -> Check:
    """What it certainly lacks of what ends sessions; through roles it may have what nobody sees here."""
    name = "operator's rights"
    server = await engine.identity()
    wanted = rights(Purpose.OPERATOR, server.flavor, server.version_num)
    try:
        lacks = await _lacks(engine, connection, server, wanted)
    except DbdeckError as error:
        return Check(name=name, ok=None, detail=error.message, hint=error.hint)
    if not lacks:
        return Check(name=name, ok=True, detail="ends sessions and statements of others")
    return Check(
        name=name,
        ok=False,
        detail=f"{connection.user} lacks what ends others' sessions, or what shows whose they are",
        hint=" ".join(lacks),
    )


async def _lacks(
    engine: Engine, connection: OperatorConnection, server: ServerIdentity, wanted: Sequence[Right]
) -> tuple[str, ...]:
    if server.flavor == POSTGRESQL:
        roles = await roles_lacking(engine, [name for one in wanted for name in one.names], connection.user)
        account = account_in_sql(POSTGRESQL, connection.user, None)
        return (f"GRANT {', '.join(roles)} TO {account};",) if roles else ()
    told = await connection.missing([_need(one) for one in wanted])
    return tuple(one.partition(": ")[2] for one in told)


def _need(right: Right) -> Need:
    schema, _, table = right.on.partition(".")
    return Need(schema=schema, name=table, privileges=right.names, enough=("SUPER",))


# ---- this machine ----------------------------------------------------------------------------------


def tools(config: Config) -> Check:
    """Of the engines that the config has; backups and drills run them, the rest of dbdeck does not."""
    kinds = dict.fromkeys(target.engine for target in config.all_targets()) or dict.fromkeys(EngineKind)
    looked = [one for kind in kinds for one in _TOOLS[kind]]
    there = [next((name for name in names if shutil.which(name)), "") for names, _ in looked]
    absent = [one for one, found in zip(looked, there, strict=True) if not found]
    seen = [*filter(None, there), *(name for name in _MORE if shutil.which(name))]
    told = ", ".join(seen) or "none found"
    if not absent:
        return Check(name="client tools", ok=True, detail=told)
    names = ", ".join(names[0] for names, _ in absent)
    return Check(
        name="client tools",
        ok=None,
        detail=f"{told}; not found: {names}, which only backups and drills need",
        hint=f"apt install {' '.join(_unique(package for _, package in absent))}, or your system's packages",
    )


def _unique(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
