"""A file that is not there yet: what is written never takes the place of something else."""

from __future__ import annotations

import os
from pathlib import Path

from console.errors import UsageError


def write_new(name: str | Path, data: str | bytes, mode: int = 0o600) -> None:
    """Only where there is nothing yet. Raises UsageError."""
    path = Path(name).expanduser()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode("utf-8", "backslashreplace"))
    except FileExistsError:
        raise UsageError(f"{path} is there already; nothing was written", "name a new file") from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; nothing was written") from None
