"""The address of a ledger: sqlite:///PATH, postgresql://user@host:port/db or mysql://…

Query parameters: `tls` (verify-full, verify-ca, require, off; off is the default where nothing
leaves the machine), `ca` (a file), and `host` or `socket` for a unix socket (its folder for
PostgreSQL, the socket itself for MySQL).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec

from console.errors import ConfigError
from console.os_user import os_user
from console.wire.tls import MODES, is_local

_PORTS: Final = {"postgresql": 5432, "mysql": 3306}
_PARAMETERS: Final = frozenset({"tls", "ca", "host", "socket"})


class FileAddress(msgspec.Struct, frozen=True):
    """A SQLite ledger."""

    path: Path

    @property
    def sink(self) -> str:
        return f"sqlite://{self.path}"


class ServerAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger on a server. `host` starting with / is a unix socket (MySQL) or its folder."""

    engine: str
    user: str
    host: str
    port: int
    database: str
    tls: str
    ca_file: str | None

    @property
    def sink(self) -> str:
        """For messages and journals; there never was a password in it."""
        if self.host.startswith("/"):
            return f"{self.engine}://{self.user}@:{self.port}/{self.database}?host={self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.engine}://{self.user}@{host}:{self.port}/{self.database}"


def parse_url(url: str) -> FileAddress | ServerAddress:
    """Raises ConfigError; neither a password nor the URL that holds one is repeated."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError("audit.url is not a URL") from None
    if parts.password is not None:
        raise ConfigError(
            "audit.url holds a password", "take it out and write audit.password: keyring:… or env:…"
        )
    if parts.scheme == "sqlite":
        return _file(parts)
    if parts.scheme in _PORTS:
        return _server(parts, port or _PORTS[parts.scheme])
    raise ConfigError(
        f"audit.url starts with {parts.scheme or 'no scheme'!r}",
        "use sqlite:///PATH, postgresql://user@host/database or mysql://user@host/database",
    )


def _file(parts: SplitResult) -> FileAddress:
    text = unquote(parts.path).removeprefix("/")
    if parts.netloc or parts.query or not text:
        raise ConfigError("audit.url of SQLite is sqlite:///PATH", "sqlite:////var/lib/x or ///~/x")
    # Three slashes and a plain name: the path is absolute all the same, never the working folder.
    return FileAddress(Path(text).expanduser() if text.startswith("~") else Path("/", text))


def _server(parts: SplitResult, port: int) -> ServerAddress:
    options = dict(parse_qsl(parts.query))
    unknown = options.keys() - _PARAMETERS
    if unknown:
        told = (
            f"the port stands after the host: {parts.scheme}://user@host:{options['port']}/database"
            if "port" in unknown
            else ", ".join(sorted(_PARAMETERS))
        )
        raise ConfigError(f"audit.url has an unknown parameter {min(unknown)!r}", told)
    database = unquote(parts.path).strip("/")
    if not database:
        raise ConfigError("audit.url names no database", f"{parts.scheme}://user@host/database")
    host = options.get("host") or options.get("socket") or parts.hostname or "localhost"
    tls = options.get("tls") or ("off" if is_local(host) else "verify-full")
    if tls not in MODES:
        raise ConfigError(f"audit.url has an unknown TLS mode {tls!r}", ", ".join(MODES))
    return ServerAddress(
        engine=parts.scheme,
        user=unquote(parts.username or "") or os_user(),
        host=host,
        port=port,
        database=database,
        tls=tls,
        ca_file=options.get("ca"),
    )
