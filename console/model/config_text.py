"""The config as text: a new one with its comments, and a target put into one that is there, whose own stay.

Pure. What comes out is to be loaded before it is written anywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import msgspec

from console.errors import UsageError
from console.model.target import EngineKind, Environment, Login, TlsMode
from console.strict_yaml import Path_, Places, read_yaml

_PLAIN = re.compile(r"[A-Za-z/~_][A-Za-z0-9/~_.@%+-]*(:[A-Za-z0-9/~_.@%+-]+)*")
_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n", "~")


class TargetText(msgspec.Struct, frozen=True, kw_only=True):
    """What is written of a target. `database`, `ca` empty and `operator` None: nothing is."""

    name: str
    engine: EngineKind
    host: str
    port: int
    environment: Environment
    monitor: Login
    operator: Login | None = None
    database: str = ""
    tls: TlsMode | None = None
    ca: str = ""


def scalar(text: str) -> str:
    """As YAML reads it back: bare where nothing else could be meant."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else _escaped(char) for char in quoted)


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def target_lines(one: TargetText, indent: str = "  ") -> list[str]:
    """The entry of a target, without line ends."""
    inner = indent * 2
    values: list[tuple[str, str, str]] = [
        ("engine", str(one.engine), ""),
        ("host", scalar(one.host), ""),
        ("port", str(one.port), ""),
        *([("database", scalar(one.database), "")] if one.database else []),
        ("environment", str(one.environment), "prod | staging | dev | demo: colour and policy follow it"),
        *([("tls", str(one.tls), "verify-full | verify-ca | require | off")] if one.tls else []),
        *([("ca", scalar(one.ca), "")] if one.ca else []),
        ("monitor", _login(one.monitor), "who looks; it can end nothing"),
        *([("operator", _login(one.operator), "who acts")] if one.operator else []),
    ]
    lines = [f"{indent}{scalar(one.name)}:"]
    for key, value, why in values:
        lines.append(f"{inner}{key}: {value}{f'  # {why}' if why else ''}")
    if one.operator is None:
        lines.append(
            f"{inner}# without `operator: {{user: …, password: …}}` nobody acts here: it is read-only"
        )
    return lines


def _login(login: Login) -> str:
    parts = [f"user: {_flow(login.user)}"]
    parts += [f"password: {_flow(login.password)}"] if login.password else []
    return f"{{{', '.join(parts)}}}"


def _flow(text: str) -> str:
    """In a mapping of one line; a reference has a colon, and is quoted for the eye."""
    made = scalar(text)
    return json.dumps(text, ensure_ascii=False) if made == text and ":" in text else made


def whole(
    one: TargetText, *, ledger: str, ledger_password: str | None, journal: str, backend: str, vault: str
) -> str:
    """A new config with this target."""
    password = [f"  password: {scalar(ledger_password)}  # a reference"] if ledger_password else []
    lines = [
        "# dbdeck's config, made by `dbdeck init`. Every key: docs/config.md, or `dbdeck schema config`.",
        "# Passwords are references, never values:",
        "#   keyring:SERVICE/NAME   env:NAME   file:PATH (mode 0600)   command:ARGV",
        "",
        "# Where actions are recorded before they are executed.",
        "audit:",
        f"  url: {scalar(ledger)}",
        *password,
        f"  journal: {scalar(journal)}  # on a disk that outlives a reboot",
        "",
        "# Where keyring: references are looked up. See docs/secrets.md.",
        "keyring:",
        f"  backend: {scalar(backend)}",
        *([f"  vault: {scalar(vault)}"] if backend == "vault" else []),
        "",
        "# The servers. The name is what -t takes; `dbdeck init` adds more.",
        "targets:",
        *target_lines(one),
    ]
    return "\n".join(lines) + "\n"


def with_target(text: str, one: TargetText, name: str) -> str:
    """The config with this target at the end of its targets; all else stays as it is, to the byte.

    Raises ConfigError for what is no YAML, UsageError where the text would have to be written anew.
    """
    values, places = read_yaml(text, name)
    there = values.get("targets") if isinstance(values, dict) else None
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += end
    if isinstance(values, dict) and "targets" in values:
        place, indent = _place_in(lines, places, there, name)
        new = target_lines(one, indent)
    else:
        place, new = _end(lines, len(lines)), ["", "targets:", *target_lines(one)]
    return "".join([*lines[:place], *(f"{line}{end}" for line in new), *lines[place:]])


def _place_in(lines: list[str], places: Places, there: object, name: str) -> tuple[int, str]:
    """Before which line it goes, and how far it is indented; `targets: {}` and `targets:` are opened."""
    at = places[("targets",)].line
    if not isinstance(there, dict) or not there:
        bare = re.fullmatch(r"(targets:)(\s*(?:\{\s*\}|null|~))?(\s*(?:#.*)?)", lines[at - 1].rstrip("\r\n"))
        if bare is None:
            raise _by_hand(name)
        ending = lines[at - 1][len(lines[at - 1].rstrip("\r\n")) :]
        lines[at - 1] = f"{bare[1]}{bare[3].rstrip()}{ending}"
        return at, "  "
    first = min(places[path] for path in _children(places, ("targets",)))
    if first.line == at:
        raise _by_hand(name)
    after = [places[path].line for path in _children(places, ()) if places[path].line > at]
    return _end(lines, min(after) - 1 if after else len(lines)), " " * (first.column - 1)


def _children(places: Places, above: Path_) -> Iterator[Path_]:
    return (path for path in places if len(path) == len(above) + 1 and path[: len(above)] == above)


def _end(lines: list[str], before: int) -> int:
    """Where a section ends: what stands above the next one without being in it belongs to that one."""
    while before and (not lines[before - 1].strip() or lines[before - 1].startswith(("#", "..."))):
        before -= 1
    return before


def _by_hand(name: str) -> UsageError:
    return UsageError(
        f"the targets of {name} stand in one line, which is not written anew; nothing was changed",
        "give each a line of its own, then run this again",
    )
