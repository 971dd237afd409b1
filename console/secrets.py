"""Secrets: a type that cannot be printed, and the references a config may hold instead of one."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import NoReturn, final

import msgspec

from console.errors import ConfigError
from console.named_file import open_named

KINDS = ("keyring", "env", "file", "command")
COMMAND_SECONDS = 10
PENDING, PREVIOUS = "#pending", "#previous"  # behind an account's entry: not proved yet, and the one before
_MASK = "***"


@final
class Secret:
    """A value that shows as *** wherever it is printed, formatted, logged or inspected.

    `reveal()` is the only way to the value; it is called where a driver or a hash needs it.
    Pickling and JSON encoding raise TypeError.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return _MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(_MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")


def parse_reference(text: str) -> tuple[str, str]:
    """Split KIND:REST.

    Raises ConfigError for anything else: a literal password in a config is refused, and the text is
    not repeated in the message because it may be that password.
    """
    kind, _, rest = text.partition(":")
    if kind not in KINDS or not rest:
        raise ConfigError(
            "a password must be a reference, not a literal value",
            "use keyring:SERVICE/NAME, env:NAME, file:PATH (mode 0600) or command:ARGV",
        )
    if kind == "keyring" and "/" not in rest:
        raise ConfigError("a keyring reference is keyring:SERVICE/NAME")
    return kind, rest


def resolve(reference: str) -> Secret:
    """The secret behind a reference; blocking (a keyring or a command may take seconds).

    Raises ConfigError naming the reference, never the value.
    """
    kind, rest = parse_reference(reference)
    return {"env": _env, "file": _file, "command": _command, "keyring": _keyring}[kind](rest)


def _env(name: str) -> Secret:
    value = os.environ.get(name)
    if value is None:
        raise ConfigError(
            f"the environment has no {name}", f"export {name}, or change the reference env:{name}"
        )
    return Secret(value)


def _file(text: str) -> Secret:
    path = Path(text).expanduser()
    try:
        with open_named(path) as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise ConfigError(
                    f"{path} holds a secret and has mode {mode:04o}: others may read it",
                    f"chmod 0600 {shlex.quote(str(path))}",
                )
            return Secret(file.read().decode("utf-8").rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"cannot read the secret file {path}: {reason}") from None


def _command(text: str) -> Secret:
    try:
        argv = shlex.split(text)
        done = subprocess.run(  # noqa: S603 - the operator's own config names the program; no shell
            argv,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        reason = "no answer in time" if isinstance(error, subprocess.TimeoutExpired) else str(error)
        raise ConfigError(f"the secret command failed: {reason}") from None
    if done.returncode:
        raise ConfigError(f"the secret command {argv[0]} ended with exit code {done.returncode}")
    return Secret(done.stdout.decode("utf-8", "replace").rstrip("\r\n"))


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept for an account. One that was stored by hand is its password alone.

    `rotation` is the id of the rotation that made it, so that a stale one is recognised. `user` is who
    logs in with it, where that changes from rotation to rotation. `made_at` is the server's clock when it was
    first seen to log in, and `session` the number of that login: sessions before it have another password.
    """

    password: Secret
    rotation: str = ""
    user: str = ""
    made_at: datetime | None = None
    session: int = 0

    def sealed(self) -> Secret:
        """As the store keeps it."""
        made_at = self.made_at.isoformat() if self.made_at else ""
        value = {"dbdeck": 1, "password": self.password.reveal(), "rotation": self.rotation}
        seen = {"user": self.user, "made_at": made_at, "session": self.session}
        return Secret(json.dumps({**value, **seen}))


def entry_of(kept: Secret) -> Entry:
    """What was stored; text that dbdeck did not write is a password as it is."""
    try:
        found = json.loads(kept.reveal())
    except ValueError:
        return Entry(password=kept)
    if not isinstance(found, dict) or found.get("dbdeck") != 1 or not isinstance(found.get("password"), str):
        return Entry(password=kept)
    made_at = str(found.get("made_at") or "")
    return Entry(
        password=Secret(found["password"]),
        rotation=str(found.get("rotation") or ""),
        user=str(found.get("user") or ""),
        made_at=datetime.fromisoformat(made_at) if made_at else None,
        session=int(found.get("session") or 0),
    )


def _keyring(rest: str) -> Secret:
    service, name = split_name(rest)
    kept = _lookup(service, name)
    found = None if kept is None else entry_of(kept).password
    if found is None:
        raise ConfigError(
            f"the keyring has no entry {rest}",
            f"store one with: dbdeck secret set {shlex.quote(rest)}",
        )
    return found


def pending(reference: str) -> Secret | None:
    """What a rotation that died left for the account of a `keyring:` reference; the server may know it.

    Blocking. Raises as `resolve`, but for an entry that is not there.
    """
    if not in_keyring(reference):
        return None
    kept = _lookup(*split_name(reference.partition(":")[2] + PENDING))
    return None if kept is None else entry_of(kept).password


def split_name(text: str) -> tuple[str, str]:
    """(service, name) of SERVICE/NAME; a service may have slashes itself. Raises ConfigError."""
    service, _, name = text.rpartition("/")
    if not service or not name or not text.isprintable():
        raise ConfigError(f"{text!r} is no name of a secret: it is SERVICE/NAME, as in dbdeck/orders/monitor")
    return service, name


Lookup = Callable[[str, str], Secret | None]


def _unpinned(service: str, name: str) -> Secret | None:
    raise ConfigError(f"no keyring was chosen before {service}/{name} was asked for; nothing was read")


_lookup: Lookup = _unpinned


def use_keyring(lookup: Lookup) -> None:
    """Where `keyring:SERVICE/NAME` is looked up from now on, in this process: (service, name) -> secret."""
    global _lookup  # noqa: PLW0603 - a process has one keyring, as it has one config
    _lookup = lookup


LENT = "dbdeck-lent"  # the service of references to what is in memory alone


@contextlib.contextmanager
def lent(held: Mapping[str, Secret]) -> Iterator[None]:
    """While the block lasts, `keyring:dbdeck-lent/NAME` leads to these, and no store is asked for them.

    For a login that is used once, like an administrator's: its password is kept nowhere.
    """
    before = _lookup

    def look(service: str, name: str) -> Secret | None:
        return held.get(name) if service == LENT else before(service, name)

    use_keyring(look)
    try:
        yield
    finally:
        use_keyring(before)


def from_line(data: bytes) -> Secret | None:
    """Without the newline that `echo` or an editor puts at the end; None for what is no UTF-8 text."""
    try:
        return Secret(data.decode().removesuffix("\n").removesuffix("\r"))
    except UnicodeDecodeError:
        return None


def one_line(secret: Secret) -> bool:
    """Whether it can be read as one line, by whatever program."""
    return secret.reveal().splitlines() == [secret.reveal()] and "\0" not in secret.reveal()


def in_keyring(reference: str | None) -> bool:
    return reference is not None and reference.startswith("keyring:")
