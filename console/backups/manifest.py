"""The manifest that `backup.take` writes beside a backup: inside of a folder, or beside a single file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from console.errors import ActionFailed
from console.model.inventory import Manifest

INSIDE = "dbdeck-manifest.json"
SUFFIX = ".dbdeck.json"


def place(backup: Path) -> Path:
    return backup / INSIDE if backup.is_dir() else backup.with_name(backup.name + SUFFIX)


def read(backup: Path) -> Manifest | None:
    """None where there is none. Raises ActionFailed for one that cannot be read."""
    path = place(backup)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ActionFailed(f"{path} cannot be read: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise ActionFailed(f"{path} is no manifest: {error}") from None
