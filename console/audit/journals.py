"""The journals in a folder: which there are, and their lines, where somebody put there what is none.

A journal is known by its name, the id of its writer. What is called so and is no file was put in the place of
one; what is called otherwise and is no file is nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final
from uuid import UUID

from console.audit.journal import SUFFIX, unusable
from console.named_file import open_named

MOST_BYTES: Final = 1 << 28  # of a line: one that does not end there is none of a journal
NO_FILE: Final = "it is no file"


def in_folder(folder: Path, suffix: str = SUFFIX) -> list[Path]:
    """By name. Those that are no files any more are among them: see `is_replaced`. None where there is no
    folder; raises AuditUnavailable where something else is in its place.
    """
    if not folder.is_dir() and (folder.is_symlink() or folder.exists()):
        raise unusable(folder, "it is no folder")
    return [path for path in sorted(folder.glob(f"*{suffix}")) if path.is_file() or is_replaced(path)]


def is_replaced(path: Path) -> bool:
    """A pipe, a folder, a link that leads nowhere, where a journal was. One that was taken away is not."""
    return writer_of(path) is not None and not path.is_file() and (path.is_symlink() or path.exists())


def writer_of(path: Path) -> UUID | None:
    """By its name; None for one that dbdeck does not give."""
    try:
        return UUID(path.name.partition(".")[0])
    except ValueError:
        return None


def open_journal(path: Path) -> IO[bytes]:
    """Raises OSError, at once for what is no file."""
    return open_named(path, pipes=False)


def lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """With their ends. What has no end for longer than a line can be is left there."""
    while line := file.readline(MOST_BYTES):
        yield line
        if not line.endswith(b"\n"):
            return
