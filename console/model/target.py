"""A target: one configured server, and what it said about itself when it was reached."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from console.model.backups import DrillRule
from console.model.login import EngineKind as EngineKind
from console.model.login import Login as Login
from console.model.rotation import Rule
from console.model.tls import TlsMode as TlsMode


class Environment(StrEnum):
    PROD = "prod"
    STAGING = "staging"
    DEV = "dev"
    DEMO = "demo"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One server of the config. `host` is a name, an address, or the folder of a unix socket.

    Without an operator login the target is read-only. `log` is the server's own log as a path on this
    machine, for servers whose log cannot be read through SQL. `rotation` is what holds for its passwords,
    `drills` for its backups. `replicas` are the targets that the config calls so (`replica_of`), without
    theirs.
    """

    name: str
    engine: EngineKind
    monitor: Login
    operator: Login | None = None
    host: str = "localhost"
    port: int = 0
    database: str = ""
    environment: Environment = Environment.PROD
    tls: TlsMode = TlsMode.VERIFY_FULL
    ca: str | None = None
    log: str | None = None
    labels: dict[str, str] = {}
    rotation: Rule = Rule()
    drills: DrillRule = DrillRule()
    replicas: tuple[Target, ...] = ()

    @property
    def local(self) -> bool:
        """Reached through a unix socket: no network, so no TLS."""
        return self.host.startswith("/")

    @property
    def address(self) -> str:
        return address_of(self.engine, self.host, self.port)

    @property
    def read_only(self) -> bool:
        return self.operator is None


def address_of(engine: EngineKind, host: str, port: int) -> str:
    """As a person would look for it: the socket's own path where that follows from the folder and the port
    (PostgreSQL); MySQL's sockets are named as they like, and have no port.
    """
    if not host.startswith("/"):
        return f"{host}:{port}"
    return f"{host}/.s.PGSQL.{port}" if engine is EngineKind.POSTGRES else host


class ServerIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Which server answered; compared before an effect to notice a fail-over or a restart.

    `system_id` is PostgreSQL's system_identifier, MySQL's server_uuid, MariaDB's server_uid where it
    has one. `version_num` is numeric and comparable within a flavour (180006, 90400, 101119).
    """

    flavor: str
    version: str
    version_num: int
    system_id: str
    started_at: Annotated[datetime, msgspec.Meta(tz=True)]
    primary: bool | None
    tls: str
    user: str = ""
    database: str = ""

    @property
    def label(self) -> str:
        names = {"postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB"}
        return f"{names.get(self.flavor, self.flavor)} {self.version}"


def server_changes(before: ServerIdentity, now: ServerIdentity) -> str:
    """What tells two servers, or two runs of one, apart; empty when they are the same."""
    changes = []
    if before.system_id != now.system_id:
        changes.append(f"another server answers (id {now.system_id}, was {before.system_id})")
    elif abs((before.started_at - now.started_at).total_seconds()) > 2:
        # A physical standby has the id of its primary.
        other = "another server of the same data answers"
        began = now.started_at.isoformat()
        earlier = now.started_at < before.started_at
        changes.append(
            f"{other}, started at {began}" if earlier else f"it was restarted at {began}, or {other}"
        )
    if before.primary != now.primary:
        changes.append("it is a primary now" if now.primary else "it is no longer the primary")
    return ", ".join(changes)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of `doctor`: `ok` is None where it could not be found out.

    Without a `vital` one sessions or locks stay unknown, and the target counts as not reachable.
    """

    name: str
    ok: bool | None
    detail: str
    hint: str = ""
    vital: bool = False
