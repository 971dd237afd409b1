"""TLS modes of the config -> SSL contexts. The default everywhere is verify-full."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Collection
from typing import Final

from console.errors import ConfigError

MODES: Final[Collection[str]] = ("verify-full", "verify-ca", "require", "off")


def ssl_context(tls: str, ca_file: str | None = None) -> ssl.SSLContext | None:
    """The context of a TLS mode; None means clear text, and only `off` gives it.

    `require` encrypts and trusts whoever answers; `verify-ca` checks the chain; `verify-full` the
    name too. Without `ca_file` the system's authorities are trusted.
    Raises ConfigError for an unknown mode and for a CA file that cannot be used.
    """
    if tls not in MODES:
        raise ConfigError(f"unknown TLS mode {tls!r}", f"use one of {', '.join(MODES)}")
    if tls == "off":
        return None
    if tls == "require":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the CA file {ca_file} cannot be used: {error}") from None
    context.check_hostname = tls == "verify-full"
    return context


def is_local(host: str) -> bool:
    """Nothing leaves the machine: no host, the folder of a unix socket, or a loopback address."""
    if not host or host.startswith("/") or host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
