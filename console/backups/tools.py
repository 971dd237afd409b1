"""Where the programs of a server of a certain version are, and what version a program is of."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from console import programs
from console.errors import ActionFailed

_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
_VERSION = re.compile(r"\b(\d+)\.(\d+)")


def postgres_folders(version: int | None, given: str | None) -> Iterator[Path]:
    """Where the programs of this major version may be, the best first: Debian and PGDG hide them."""
    if given:
        yield Path(given).expanduser()
        return
    if version is not None:
        yield Path(f"/usr/lib/postgresql/{version}/bin")
        yield Path(f"/usr/pgsql-{version}/bin")
    else:
        found = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/").glob("usr/pgsql-*/bin")]
        yield from sorted(found, key=_number, reverse=True)
    where = shutil.which("postgres", path=_PATH)
    if where:
        yield Path(where).resolve().parent


def _number(folder: Path) -> int:
    found = re.search(r"\d+", str(folder))
    return int(found.group()) if found else 0


def program(name: str, given: str | None = None) -> Path | None:
    """A program by its name: in the folder given, else where systems have them."""
    where = shutil.which(name, path=str(Path(given).expanduser()) if given else _PATH)
    return Path(where) if where else None


async def version_of(path: Path, asked: str = "--version") -> tuple[int, int]:
    """(major, minor) that a program says it is of. Raises ActionFailed where it does not say."""
    heard = await programs.hear(programs.Call([str(path), asked], seconds=20))
    text = heard.answer.decode("utf-8", "replace") or heard.complaint
    found = _VERSION.search(_from_distrib(text)) or re.search(r"\b(\d+)()\b", text)
    if heard.code != 0 or found is None:
        raise ActionFailed(f"{path} does not say its version: {heard.why}")
    return int(found[1]), int(found[2] or 0)


def _from_distrib(text: str) -> str:
    """MariaDB's clients name their own version first: `mariadb  Ver 15.1 Distrib 10.11.6-MariaDB`."""
    _, distrib, rest = text.partition("Distrib ")
    return rest if distrib else text


def size_of(path: Path) -> tuple[int, int]:
    """(bytes, files) of a file, or of a folder with all that is below, without following links."""
    if not path.is_dir():
        return path.stat().st_size, 1
    sizes = [(Path(folder) / name).lstat().st_size for folder, _, files in os.walk(path) for name in files]
    return sum(sizes), len(sizes)
