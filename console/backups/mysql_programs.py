"""The programs of a MySQL or MariaDB server: where they are, whose they are, and of what version."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from console import programs
from console.backups.tools import program
from console.errors import ActionFailed

_OFTEN = ("/usr/local/mysql/bin", "/opt/mysql/bin", "/usr/libexec", "/usr/local/libexec")
_VERSION = re.compile(r"\b(\d+)\.(\d+)(?:\.(\d+))?")
_NAMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "server": {"mariadb": ("mariadbd", "mysqld"), "mysql": ("mysqld",)},
    "client": {"mariadb": ("mariadb", "mysql"), "mysql": ("mysql",)},
    "dump": {"mariadb": ("mariadb-dump", "mysqldump"), "mysql": ("mysqldump",)},
    "binlog": {"mariadb": ("mariadb-binlog", "mysqlbinlog"), "mysql": ("mysqlbinlog",)},
    "install": {"mariadb": ("mariadb-install-db", "mysql_install_db"), "mysql": ()},
    "backup": {"mariadb": ("mariadb-backup", "mariabackup"), "mysql": ("xtrabackup",)},
    "innochecksum": {"mariadb": ("innochecksum",), "mysql": ("innochecksum",)},
    "loader": {"mariadb": ("myloader",), "mysql": ("myloader",)},
}
# They are no part of a server, and tell no flavour that matters.
_OF_NOBODY = ("install", "innochecksum", "loader", "backup")


class Program(NamedTuple):
    """`version` is (10, 11, 19); (0, 0, 0) where it does not say one."""

    path: Path
    flavor: str
    version: tuple[int, int, int]

    @property
    def series(self) -> int:
        """MySQL 9.7 and MariaDB 10.11 as 907 and 1011."""
        return self.version[0] * 100 + self.version[1]

    @property
    def words(self) -> str:
        return ".".join(map(str, self.version))


def label(flavor: str) -> str:
    return "MariaDB" if flavor == "mariadb" else "MySQL"


def flavor_of(server: str) -> str:
    """Of a backup's `server`, such as `MariaDB 10.11.19`."""
    return "mariadb" if server.startswith("MariaDB") else "mysql"


def names_of(role: str, flavor: str) -> tuple[str, ...]:
    """What such a program may be called, the newest name first."""
    return _NAMES[role][flavor]


async def find(role: str, flavor: str, given: str | None) -> Program | None:
    """The first program for this role that is of this flavour: in the folder given or beside it, else where
    systems have them. A MariaDB that calls itself mysqld is no MySQL.
    """
    for path in _candidates(_NAMES[role][flavor], given):
        if role == "install":
            return Program(path, flavor, (0, 0, 0))
        found = await _asked(path)
        if found is not None and (found.flavor == flavor or role in _OF_NOBODY):
            return found
    return None


def _candidates(names: tuple[str, ...], given: str | None) -> Iterator[Path]:
    for name in names:
        for folder in _folders(given):
            found = program(name, folder)
            if found is not None:
                yield found


def _folders(given: str | None) -> Iterator[str | None]:
    if given is None:
        yield None
        yield from _OFTEN
        return
    yield given
    above = Path(given).expanduser().parent
    yield from (str(above / name) for name in ("bin", "sbin", "scripts", "libexec"))


def _target(path: Path) -> str:
    return path.resolve().name


async def _asked(path: Path) -> Program | None:
    try:
        heard = await programs.hear(programs.Call([str(path), "--version"], seconds=20))
    except ActionFailed:
        return None
    text = heard.answer.decode("utf-8", "replace") or heard.complaint
    _, distrib, rest = text.partition("Distrib ")  # mariadb  Ver 15.1 Distrib 10.11.6-MariaDB
    _, server, mine = text.partition("based on MariaDB server ")
    if heard.code != 0:
        return None
    found = _VERSION.search(mine if server else rest if distrib else text.partition("Ver ")[2] or text)
    version = (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)
    # mariadb-binlog tells its own version alone; what is called mysqlbinlog may be a link to it.
    mariadb = "mariadb" in text.lower() or _target(path).startswith("mariadb")
    return Program(path, "mariadb" if mariadb else "mysql", version)
