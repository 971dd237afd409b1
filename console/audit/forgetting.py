"""Taking the text of one row out of a journal of this machine; its receipt stays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from console.audit.journal import alive, journal_of
from console.named_file import read_named


def forget(folder: Path, writer: UUID, seq: int) -> str:
    """Rewrites the journal without the row, durably and under its name. What is left of it, in a sentence.

    A journal without an answer to the row keeps it: it may be all there is.
    """
    path = journal_of(folder, writer)
    if alive(folder, writer):  # before it is read: what it still writes must not get lost
        return (
            f"the journal {path} is in use and holds the text still: redact again when its process has ended"
        )
    try:
        data = read_named(path, pipes=False)
    except FileNotFoundError:
        return "its journal is not on this machine, and may hold the text still"
    except OSError as error:
        return f"the journal {path} holds the text still: {error.strerror}"
    lines = [(line, _what(line)) for line in data.split(b"\n")]
    if not any(_is(found, "ack", seq) for _, found in lines):
        return f"the journal {path} holds the text still: the row was never acknowledged there"
    kept = b"\n".join(line for line, found in lines if not _is(found, "row", seq))
    return _replace(path, kept)


def _what(line: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _is(found: dict[str, Any], what: str, seq: int) -> bool:
    part = found.get(what)
    return isinstance(part, dict) and part.get("seq") == seq


def _replace(path: Path, data: bytes) -> str:
    beside = path.with_suffix(".forgetting")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        return f"the journal {path} holds the text still: {error.strerror}"
    return ""
