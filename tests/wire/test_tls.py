"""TLS modes and what counts as this machine."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from console.errors import ConfigError
from console.wire.tls import is_local, ssl_context


def test_only_off_is_clear_text() -> None:
    assert ssl_context("off") is None
    for mode in ("require", "verify-ca", "verify-full"):
        assert ssl_context(mode) is not None


@pytest.mark.parametrize(
    ("mode", "verified", "named"),
    [
        ("require", ssl.CERT_NONE, False),
        ("verify-ca", ssl.CERT_REQUIRED, False),
        ("verify-full", ssl.CERT_REQUIRED, True),
    ],
)
def test_what_a_mode_checks(mode: str, verified: ssl.VerifyMode, named: bool) -> None:
    context = ssl_context(mode)
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (verified, named)


def test_a_mode_or_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="prefer"):
        ssl_context("prefer")
    empty = tmp_path / "ca.pem"
    for path in (empty, tmp_path / "absent.pem"):
        empty.write_text("no certificate")
        with pytest.raises(ConfigError, match=path.name):
            ssl_context("verify-full", str(path))


@pytest.mark.parametrize("host", ["", "/run/pg", "localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_this_machine(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", ["db", "10.0.0.1", "::2", "localhost.example.net", "0.0.0.0"])
def test_another_machine(host: str) -> None:
    assert not is_local(host)
