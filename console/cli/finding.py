"""Looks for servers where other programs have them: their files, variables, sockets, and who listens here."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from console.model import found, option_file
from console.model.found import Candidate
from console.model.login_path import text_of
from console.named_file import open_named

_SYSTEM_SERVICES = ("/etc/postgresql-common", "/etc")
_SOCKETS = (
    *(f"{folder}/.s.PGSQL.5432" for folder in ("/run/postgresql", "/var/run/postgresql", "/tmp")),  # noqa: S108
    "/run/mysqld/mysqld.sock",
    "/var/lib/mysql/mysql.sock",
    "/tmp/mysql.sock",  # noqa: S108 - where MySQL's own packages put it
)
MOST_PROCESSES = 20_000
MOST_FILES = 200  # of an option file and what it includes: folders that include one another grow without end
MOST_BYTES = 512 * 1024  # of one file, and of what an option file includes; more is no list of servers


def candidates(environ: Mapping[str, str] = os.environ, proc: Path = Path("/proc")) -> tuple[Candidate, ...]:
    """Everything that can be seen without a login; what cannot be read is as if it were not there."""
    return found.merged(_all(environ, proc))


def _all(environ: Mapping[str, str], proc: Path) -> Iterator[Candidate]:
    home = Path(environ.get("HOME") or Path.home())
    yield from found.of_postgres_variables(environ)
    yield from found.of_mysql_variables(environ)
    for path in _service_files(environ, home):
        yield from found.of_services(_text(path), str(path))
    passwords = Path(environ.get("PGPASSFILE") or home / ".pgpass")
    yield from found.of_pgpass(_text(passwords), str(passwords))
    yield from _of_mysql_files(environ, home)
    yield from found.of_sockets(_sockets(proc))
    yield from found.of_listeners(_listeners(proc), _programs(proc))


def _of_mysql_files(environ: Mapping[str, str], home: Path) -> Iterator[Candidate]:
    """[client] of ~/.my.cnf itself is read at login; what stands in a file that it includes is not."""
    path = home / ".my.cnf"
    alone, whole = _text(path), option_text(path, _text)
    client = option_file.options(whole, "client")
    own = option_file.options(alone, "client") == client
    yield from found.of_option_file(whole, str(path), own=own)
    logins = login_path(environ, home)
    with contextlib.suppress(OSError, ValueError):
        yield from found.of_login_path(text_of(small(logins)), str(logins))


def login_path(environ: Mapping[str, str], home: Path) -> Path:
    return Path(environ.get("MYSQL_TEST_LOGIN_FILE") or home / ".mylogin.cnf")


def option_text(path: Path, read: Callable[[Path], str]) -> str:
    """An option file with all that it includes. `read` gives the text of one file."""

    left, room = MOST_FILES, MOST_BYTES

    def included(word: str, name: str) -> list[str]:
        nonlocal left, room
        if "\0" in name or room <= 0:
            return []
        place = Path(name)
        files = ([place] if word == "include" else _option_files(place))[:left]
        left -= len(files)
        texts = [read(one) for one in files]
        room -= sum(map(len, texts))
        return texts

    return option_file.with_included(read(path), included)


def _option_files(folder: Path) -> list[Path]:
    """Those of a folder that mysql reads: by their end, and one after the other by name."""
    with contextlib.suppress(OSError):
        return sorted(one for one in folder.iterdir() if one.suffix == ".cnf" and one.is_file())
    return []


def _service_files(environ: Mapping[str, str], home: Path) -> Iterator[Path]:
    yield Path(environ.get("PGSERVICEFILE") or home / ".pg_service.conf")
    system = environ.get("PGSYSCONFDIR")
    for folder in (system,) if system else _SYSTEM_SERVICES:
        yield Path(folder) / "pg_service.conf"


def _sockets(proc: Path) -> Iterator[str]:
    """By their real paths, so that /var/run is /run; those that are gone are not told."""
    seen = set()
    for path in (*_SOCKETS, *found.bound_paths(_text(proc / "net" / "unix"))):
        with contextlib.suppress(OSError):
            real = Path(path).resolve()
            if real.is_socket() and real not in seen:
                seen.add(real)
                yield str(real)


def _listeners(proc: Path) -> Iterator[found.Listener]:
    for name in ("tcp", "tcp6"):
        yield from found.listeners(_text(proc / "net" / name))


def _programs(proc: Path) -> dict[int, str]:
    """Of servers' processes, as far as their files may be seen: ours, or everybody's as root."""
    names: dict[int, str] = {}
    for folder in _processes(proc):
        program = _text(folder / "comm").strip()
        if found.is_server(program):
            names.update(dict.fromkeys(_inodes(folder / "fd"), program))
    return names


def _processes(proc: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return [one for one in proc.iterdir() if one.name.isdigit()][:MOST_PROCESSES]
    return []


def _inodes(folder: Path) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for one in folder.iterdir():
            target = _link(one)
            if target.startswith("socket:["):
                yield int(target[8:-1])


def _link(path: Path) -> str:
    with contextlib.suppress(OSError):
        return str(path.readlink())
    return ""


def _text(path: Path) -> str:
    try:
        return small(path).decode("utf-8", "replace")
    except OSError:
        return ""


def small(path: Path) -> bytes:
    """The beginning of a file. Raises OSError, also for a pipe: others wait for what it gives."""
    with open_named(path, pipes=False) as file:
        return file.read(MOST_BYTES)
