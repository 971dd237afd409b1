"""Secrets: a type that cannot be printed, and the references a config may hold instead of one."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from pathlib import Path
from typing import NoReturn, final

from console.errors import ConfigError

KINDS = ("keyring", "env", "file", "command")
COMMAND_SECONDS = 10
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
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise ConfigError(
                    f"{path} holds a secret and has mode {mode:04o}: others may read it",
                    f"chmod 0600 {shlex.quote(str(path))}",
                )
            return Secret(file.read().rstrip("\r\n"))
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


def _keyring(rest: str) -> Secret:
    import keyring  # slow to import, and only some configs need it
    from keyring.errors import KeyringError

    service, _, name = rest.rpartition("/")
    try:
        backend = keyring.get_keyring()
    except Exception as error:  # noqa: BLE001 - a pinned backend is any module at all
        raise ConfigError(
            f"the keyring backend cannot be loaded: {type(error).__name__}", "check PYTHON_KEYRING_BACKEND"
        ) from None
    _refuse_unsafe(backend)
    try:
        value = backend.get_password(service, name)
    except KeyringError as error:
        raise ConfigError(f"the keyring cannot be read: {str(error) or type(error).__name__}") from None
    if value is None:
        raise ConfigError(
            f"the keyring has no entry {service}/{name}",
            f"store one with: keyring set {shlex.quote(service)} {shlex.quote(name)}",
        )
    return Secret(value)


def _refuse_unsafe(backend: object) -> None:
    """Backends that lose or expose entries (design decision 11): null, fail, plaintext, chainer."""
    name = f"{type(backend).__module__}.{type(backend).__qualname__}"
    if any(word in name.lower() for word in ("null", "fail", "plaintext", "chainer")):
        raise ConfigError(
            f"the keyring backend {name} is not safe or not usable here",
            "pin one with PYTHON_KEYRING_BACKEND, or use env:, file: or command: references",
        )
