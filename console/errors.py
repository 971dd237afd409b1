"""Every error dbdeck raises on purpose, on one screen. Each class knows its exit code.

DbdeckError
├── UsageError 2            arguments, config or selection are wrong; nothing was started
│   ├── ConfigError         names file, key, line and the nearest valid key
│   └── VaultLocked         the vault's master is needed and was not given
│       └── WrongMaster     a master was given, and is not the vault's
├── Unreachable 3           no connection, no login, no answer, or no privilege, before any effect
│   ├── NoSlot              the server has no connection slot left for this login
│   ├── LoginRefused        the server answered and refused the login
│   ├── TlsRefused          TLS was asked for and not given; no secret was sent
│   ├── PrivilegeMissing    the read needs a GRANT, which the hint spells out
│   ├── ServerSilent        the server accepted the connection and stopped answering
│   └── SecretsUnavailable  the store of secrets is damaged, full, busy, open to others or does not answer
├── Refused 4               policy, protected class, freeze, approval missing or expired
├── AuditUnavailable 5      an audit sink is missing, unreachable, read-only, full or swallows rows
│   ├── AuditForbidden      its server answers, and does not take this login or its rows
│   └── AuditMissing        its place is in reach, and there is no ledger yet
├── Stale 6                 the subject or a precondition changed since it was seen
├── Locked 7                another run holds the lock; its holder is named
├── ActionFailed 1          the action failed; the end state is known and verified
│   ├── LockTimeout         a lock was not to be had in the time given; nothing was done
│   ├── Cancelled           the statement was cancelled, by us or by somebody else
│   └── PasswordRefused     the server's policy does not take this password
├── OutcomeUnknown 9        the effect may or may not have happened; reconcile, never retry
├── LedgerFault 11          `audit verify` found a fault
└── TimedOut 124            cancelled cleanly, state known
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """Exit codes of the headless contract (docs/cli.md)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    AUDIT = 5
    STALE = 6
    LOCKED = 7
    PARTIAL = 8
    UNKNOWN = 9
    CHANGES = 10
    LEDGER_FAULT = 11
    TIMED_OUT = 124
    INTERRUPTED = 130
    TERMINATED = 143


class DbdeckError(Exception):
    """`message` says what happened and what was not done; `hint` says what to do next."""

    exit: ClassVar[Exit] = Exit.FAILED
    kind: ClassVar[str] = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DbdeckError):
    exit, kind = Exit.USAGE, "usage"


class NothingToResume(UsageError):
    """All of an action is done, or what is left of it is found by planning it anew."""


class ConfigError(UsageError):
    kind = "config"


class VaultLocked(UsageError):
    kind = "vault_locked"


class WrongMaster(VaultLocked):
    kind = "wrong_master"


class Unreachable(DbdeckError):
    exit, kind = Exit.UNREACHABLE, "unreachable"


class NoSlot(Unreachable):
    kind = "no_slot"


class LoginRefused(Unreachable):
    kind = "login"


class DatabaseRefused(LoginRefused):
    """The password was right: it is the database that is not there, or that the login may not enter."""


class PoolerRefused(Unreachable):
    """By a PgBouncer, which tells a wrong password and a setting that it does not know alike."""


class TlsRefused(Unreachable):
    kind = "tls"


class PrivilegeMissing(Unreachable):
    kind = "privilege"


class ServerSilent(Unreachable):
    kind = "silent"


class SecretsUnavailable(Unreachable):
    kind = "secrets"


class Refused(DbdeckError):
    exit, kind = Exit.REFUSED, "refused"


class AuditUnavailable(DbdeckError):
    exit, kind = Exit.AUDIT, "audit"


class AuditForbidden(AuditUnavailable):
    """No break-glass helps here: somebody decided it."""


class AuditMissing(AuditUnavailable):
    """`dbdeck audit init` makes one there."""


class Stale(DbdeckError):
    exit, kind = Exit.STALE, "stale"


class Locked(DbdeckError):
    exit, kind = Exit.LOCKED, "locked"
    holder = ""  # who has it, in words


class ActionFailed(DbdeckError):
    exit, kind = Exit.FAILED, "failed"


class LockTimeout(ActionFailed):
    kind = "lock_timeout"


class Cancelled(ActionFailed):
    kind = "cancelled"


class PasswordRefused(ActionFailed):
    kind = "password_refused"


class OutcomeUnknown(DbdeckError):
    exit, kind = Exit.UNKNOWN, "unknown"


class LedgerFault(DbdeckError):
    exit, kind = Exit.LEDGER_FAULT, "ledger"


class TimedOut(DbdeckError):
    exit, kind = Exit.TIMED_OUT, "timeout"
