"""TLS modes and what counts as this machine."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from console.errors import ConfigError
from console.wire.tls import is_local, refused, ssl_context
from tests.servers import certificates


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
        with pytest.raises(ConfigError, match=path.name) as caught:
            ssl_context("verify-full", str(path))
        assert "Errno" not in caught.value.message
        assert "_ssl.c" not in caught.value.message
        assert caught.value.hint


async def handshake(files: certificates.Files, trusted: Path | None) -> ssl.SSLError:
    """With a server that has that certificate, by the address of this machine."""
    offered = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    offered.load_cert_chain(files.certificate, files.key)
    context = ssl_context("verify-full", str(trusted) if trusted else None)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=offered)
    async with server:
        with pytest.raises(ssl.SSLError) as caught:
            await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=context)
    return caught.value


@pytest.mark.parametrize(
    ("made", "known", "reason", "hint"),
    [
        ({}, False, "unable to get local issuer certificate", "`ca` has to name the file of the authority"),
        ({"name": "db.example.net"}, True, "not valid for '127.0.0.1'", "write a name that the certificate"),
        ({"good": (-3, -1)}, True, "certificate has expired", "the certificate has to be renewed"),
        ({"good": (1, 3)}, True, "certificate is not yet valid", "this machine's clock is wrong"),
    ],
)
async def test_what_is_wrong_with_a_certificate_is_told_apart(
    made: dict[str, Any], known: bool, reason: str, hint: str, tmp_path: Path
) -> None:
    files = certificates.write(tmp_path, **made)
    why, remedy = refused(await handshake(files, files.ca if known else None))
    assert reason in why
    assert remedy.startswith(hint)
    assert remedy.endswith("nothing secret was sent")


@pytest.mark.parametrize("host", ["", "/run/pg", "localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_this_machine(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", ["db", "10.0.0.1", "::2", "localhost.example.net", "0.0.0.0"])
def test_another_machine(host: str) -> None:
    assert not is_local(host)
