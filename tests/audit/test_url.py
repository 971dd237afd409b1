"""Addresses of ledgers."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.audit.url import FileAddress, ServerAddress, parse_url
from console.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///var/lib/audit.db", Path("/var/lib/audit.db")),
        ("sqlite:////var/lib/audit.db", Path("/var/lib/audit.db")),
        ("sqlite:///~/state/audit%20log.db", Path.home() / "state" / "audit log.db"),
    ],
)
def test_files(url: str, path: Path) -> None:
    assert parse_url(url) == FileAddress(path)


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "sink"),
    [
        ("postgresql://u@db.example.net/led", "db.example.net", 5432, "verify-full", "postgresql://u@db.example.net:5432/led"),
        ("postgresql://u@127.0.0.1:5433/led", "127.0.0.1", 5433, "off", "postgresql://u@127.0.0.1:5433/led"),
        ("postgresql://u@[::1]/led?tls=require", "::1", 5432, "require", "postgresql://u@[::1]:5432/led"),
        ("postgresql://u@:5433/led?host=/run/pg", "/run/pg", 5433, "off", "postgresql://u@:5433/led?host=/run/pg"),
        ("mysql://u@db/led?tls=off&ca=/x.pem", "db", 3306, "off", "mysql://u@db:3306/led"),
        ("mysql://u@/led?socket=/run/my.sock", "/run/my.sock", 3306, "off", "mysql://u@:3306/led?host=/run/my.sock"),
    ],
)  # fmt: skip
def test_servers(url: str, host: str, port: int, tls: str, sink: str) -> None:
    address = parse_url(url)
    assert isinstance(address, ServerAddress)
    assert (address.host, address.port, address.tls, address.user) == (host, port, tls, "u")
    assert (address.sink, address.database) == (sink, "led")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@db/led",
        "sqlite://u:hunter2@/x",
        "mysql://:hunter2@db/led",
        "mysql://u:hunter2@db:notaport/led",
        "postgresql://u@db/led?password=hunter2",
        "hunter2",
        "oracle://u@db/hunter2",
        "postgresql://u@db/",
        "postgresql://u@db/led?tls=prefer",
        "sqlite://audit.db",
        "sqlite:///",
    ],
)
def test_refused_without_repeating_a_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(url)
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_a_port_as_libpq_has_it_is_told_where_it_goes() -> None:
    with pytest.raises(ConfigError, match="unknown parameter 'port'") as refused:
        parse_url("postgresql://ann@/ledger?host=/run/pg&port=5433")
    assert refused.value.hint == "the port stands after the host: postgresql://user@host:5433/database"
