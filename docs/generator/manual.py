"""share/man/man1/dbdeck.1, from click: man(7) macros, and nothing that a text could smuggle in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from docs.generator.cli_page import exits
from docs.generator.commands import Command, commands, everywhere

_FILES = (
    ("~/.config/dbdeck/config.yaml", "the config, unless --config or $DBDECK_CONFIG names another"),
    ("~/.local/state/dbdeck/audit.db", "the ledger, unless audit.url names another"),
    ("~/.local/state/dbdeck/journal", "the local journals of what was recorded"),
    ("~/.local/state/dbdeck/vault", "the vault of secrets, where it is the keyring"),
)
_ENVIRONMENT = (
    ("DBDECK_CONFIG", "the config file"),
    ("DBDECK_DEBUG", "set to 1: a defect of dbdeck shows its traceback, which may hold values"),
    ("NO_COLOR", "no colours and no bold"),
)


def page() -> str:
    lines = [
        '.\\" Made by "make docs" from the commands: change those, not this.',
        '.TH DBDECK 1 "" "dbdeck" "User Commands"',
        *_section("NAME", [r"dbdeck \- operations console for PostgreSQL, MySQL and MariaDB"]),
        *_section("SYNOPSIS", [".B dbdeck", "[\\fIOPTION\\fR]\\&... [\\fICOMMAND\\fR [\\fIARGS\\fR]\\&...]"]),
        *_section("DESCRIPTION", _description()),
        *_section("OPTIONS", _tagged((one.words, one.help) for one in everywhere())),
        *_section("COMMANDS", (line for one in commands() for line in _command(one))),
        *_section("EXIT STATUS", _tagged((number, _plain(meaning)) for number, meaning, _ in exits())),
        *_section("ENVIRONMENT", _tagged(_ENVIRONMENT)),
        *_section("FILES", _tagged(_FILES)),
        *_section("SEE ALSO", [_text("psql(1), mysql(1), mariadb(1)")]),
    ]
    return "\n".join(lines) + "\n"


def _description() -> Iterator[str]:
    yield _text(
        "Without a command it opens the console. The commands do the same work for scripts: stdout is data, "
        "stderr is for people, exit codes are an API, and without a terminal nothing prompts."
    )
    yield ".PP"
    yield _text(
        "Every action is planned by reads, asked for, written to the audit ledger before it is executed, and "
        "proved after."
    )


def _command(one: Command) -> Iterator[str]:
    yield f".SS {_text(one.usage)}"
    for place, paragraph in enumerate(one.said):
        yield from (*([".PP"] if place else []), _text(paragraph))
    yield from _tagged(
        (option.words, f"{option.help}{f' (default: {option.default})' if option.default else ''}")
        for option in one.options
    )


def _section(name: str, lines: Iterable[str]) -> Iterator[str]:
    yield f".SH {name}"
    yield from lines


def _tagged(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, text in pairs:
        yield from (".TP", f"\\fB{_text(term)}\\fR", _text(text))


def _plain(text: str) -> str:
    return text.replace("`", "")


def _text(text: str) -> str:
    """Nothing of it is a macro: backslashes, hyphens, and points or quotes at the beginning of a line."""
    found = _plain(text).replace("\\", "\\e").replace("-", "\\-").replace("…", "\\&...")
    return f"\\&{found}" if found[:1] in (".", "'") else found
