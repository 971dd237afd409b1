"""TLS modes of the config -> SSL contexts. The default everywhere is verify-full."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Collection
from typing import Final

from console.errors import ConfigError
from console.named_file import refuse_no_file

# What OpenSSL calls these (x509_vfy.h), by what mends them.
_TOO_EARLY: Final = 9
_EXPIRED: Final = 10
_UNKNOWN: Final = (18, 19, 20, 21)
_OTHER_NAME: Final = (62, 64)
_SENT: Final = "nothing secret was sent"

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
        if ca_file is not None:  # OpenSSL would wait for a pipe, and each connection reads it anew
            refuse_no_file(ca_file)
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        # SSLError is an OSError too, whose text is of OpenSSL's own sources.
        why = "it holds no certificate (PEM)" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(
            f"the CA file {ca_file} cannot be used: {why}; nothing was connected to",
            "`ca` names a file of certificates to trust; without it the system's are trusted",
        ) from None
    context.check_hostname = tls == "verify-full"
    return context


def refused(error: ssl.SSLError) -> tuple[str, str]:
    """Why a handshake failed, in OpenSSL's words, and what mends it. Three faults have one name there."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return error.reason or type(error).__name__, f"is that a server that speaks TLS there? {_SENT}"
    reason = error.verify_message.rstrip(".") or error.reason or str(error)
    if error.verify_code == _EXPIRED:
        hint = "the certificate has to be renewed on the server, or this machine's clock is wrong"
    elif error.verify_code == _TOO_EARLY:
        hint = "this machine's clock is wrong, or that of who made the certificate"
    elif error.verify_code in _UNKNOWN:
        hint = "`ca` has to name the file of the authority that signed the server's certificate"
    elif error.verify_code in _OTHER_NAME:
        hint = "write a name that the certificate has as `host`, or have one made for this name"
    else:
        hint = "check `ca` and the host name in the certificate"
    return reason, f"{hint}; {_SENT}"


def is_local(host: str) -> bool:
    """Nothing leaves the machine: no host, the folder of a unix socket, or a loopback address."""
    if not host or host.startswith("/") or host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
