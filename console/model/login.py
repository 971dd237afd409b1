"""Which engine a target has, and who logs in to it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec


class EngineKind(StrEnum):
    POSTGRES = "postgres"
    MYSQL = "mysql"


class Login(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who logs in. `password` is a reference (keyring: env: file: command:), never a password.

    None sends none: peer, trust, `.pgpass` and `~/.my.cnf` decide. `port` is another port of the same
    server for this login alone: MySQL's admin_port, MariaDB's extra_port.
    """

    user: str
    password: str | None = None
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
