"""The manifest that `backup.take` writes beside a backup: inside of a folder, or beside a single file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from console.errors import ActionFailed
from console.model.inventory import FileSum, Manifest

INSIDE = "dbdeck-manifest.json"
SUFFIX = ".dbdeck.json"


def place(backup: Path) -> Path:
    return place_of(backup, single=not backup.is_dir())


def place_of(backup: Path, *, single: bool) -> Path:
    return backup.with_name(backup.name + SUFFIX) if single else backup / INSIDE


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


def wrong_files(backup: Path, described: Manifest) -> list[str]:
    """The files that are not as the manifest says, each with what is wrong. Reads all of them."""
    root = backup if backup.is_dir() else backup.parent
    found = ((name, _fault(root / name, one)) for name, one in described.files.items())
    return [f"{name} {fault}" for name, fault in found if fault]


def _fault(path: Path, expected: FileSum) -> str:
    try:
        with path.open("rb") as file:
            bytes_found = path.stat().st_size
            if bytes_found != expected.bytes:
                return f"has {bytes_found} bytes, not {expected.bytes}"
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "" if digest == expected.sha256 else "has another SHA-256"
