"""The programs that are measured beside dbdeck: those found on PATH, or in `.venv/peers` (`make peers`)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml

ROOT = Path(__file__).parent.parent
UP, DOWN = "\x1b[A", "\x1b[B"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a program finds the server, as whom, and a folder of its own."""

    host: str
    port: int
    user: str
    folder: Path


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """`first` is a pattern of the screen once it shows rows, `frame` of its first frame. `views` are keys in
    turn, each with what the screen shows then and did not before. Without `arrows` there is no cursor.
    """

    name: str
    command: Callable[[Place], list[str]]
    first: str
    frame: str = r"\S"
    arrows: bool = False
    views: tuple[tuple[str, str], ...] = ()
    program: str = ""


def found(name: str) -> str | None:
    """The program's path, or None where it is not installed."""
    ours = ROOT / ".venv" / "peers" / "bin" / name
    return str(ours) if ours.is_file() else shutil.which(name)


def config(place: Place, targets: int = 1) -> Path:
    """A config of dbdeck for the server, with a SQLite ledger in the folder."""
    names = ["bench", *(f"bench-{n}" for n in range(2, targets + 1))]
    audit = {"url": f"sqlite:///{place.folder}/audit.db", "journal": str(place.folder / "journal")}
    path = place.folder / "config.yaml"
    path.write_text(yaml.safe_dump({"audit": audit, "targets": {name: _target(place) for name in names}}))
    return path


def _target(place: Place) -> dict[str, Any]:
    return {
        "engine": "postgres", "host": place.host, "port": place.port, "database": "postgres",
        "environment": "dev", "tls": "off", "monitor": {"user": place.user}, "operator": {"user": place.user},
    }  # fmt: skip


def _dbdeck(place: Place) -> list[str]:
    return [str(Path(sys.executable).with_name("dbdeck")), "-c", str(config(place))]


def _floor(place: Place) -> list[str]:
    return [sys.executable, str(ROOT / "bench" / "floor.py"), place.host, str(place.port), place.user]


def _with_flags(name: str, *more: str, before: tuple[str, ...] = ()) -> Callable[[Place], list[str]]:
    def command(at: Place) -> list[str]:
        where = ["-h", at.host, "-p", str(at.port), "-U", at.user, "-d", "postgres"]
        return [found(name) or name, *before, *where, *more]

    return command


DBDECK = Tool(
    name="dbdeck",
    command=_dbdeck,
    first=r"waiting behind \d+ root.*ROOT",
    frame=r"Transactions",
    arrows=True,
    views=(("2", r"oldest|open transaction"), ("1", r"waiting behind")),
)
FLOOR = Tool(name="floor", command=_floor, first=r"[1-9]\d* sessions floor.*\n *\d{3,}", arrows=True)
_PEERS = (
    Tool(
        name="pg_activity",
        program="pg_activity",
        command=_with_flags("pg_activity"),
        first=r"PID .*\n *\d{3,7} .*F1/1",
        arrows=True,
        views=(("2", "WAITING QUERIES"), ("1", "RUNNING QUERIES")),
    ),
    Tool(
        name="pg_top",
        program="pg_top",
        command=_with_flags("pg_top", "-s", "2"),
        first=r"PID USERNAME.*\n *\d+ \w+",
        views=(("I", r"PID +IOPS"), ("a", r"PID USERNAME +SIZE")),
    ),
    Tool(
        name="pgcenter",
        program="pgcenter",
        command=_with_flags("pgcenter", before=("top",)),
        first=r"pid .*\n *\d+ ",
    ),
)  # fmt: skip


def tools(only: str = "") -> list[Tool]:
    """dbdeck, the floor and the peers that are installed; `only`: names with commas between."""
    there = [DBDECK, FLOOR, *(peer for peer in _PEERS if found(peer.program))]
    wanted = only.split(",") if only else [tool.name for tool in there]
    return [tool for tool in there if tool.name in wanted]


def absent() -> list[str]:
    return [peer.name for peer in _PEERS if not found(peer.program)]
