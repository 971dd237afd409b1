"""How strictly a connection is encrypted; libpq's words for it."""

from __future__ import annotations

from enum import StrEnum


class TlsMode(StrEnum):
    VERIFY_FULL = "verify-full"
    VERIFY_CA = "verify-ca"
    REQUIRE = "require"
    OFF = "off"
