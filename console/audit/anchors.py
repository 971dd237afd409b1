"""Anchors: copies of signed checkpoints where the ledger's owner cannot write, and how they are read back."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from console.audit import syslog
from console.audit.checkpoint import Checkpoint, Signed, is_genuine, parse
from console.audit.ledger import open_ledger
from console.audit.marks import is_own, signed_of
from console.audit.record import Kind, canonical_json
from console.errors import AuditUnavailable, ConfigError, LedgerFault
from console.model.anchors import Anchor
from console.named_file import open_named
from console.secrets import Secret

SECONDS: Final = 10.0
Resolve = Callable[[str], Secret]


async def keep(anchor: Anchor, signed: Signed, journal: Path, resolve: Resolve) -> None:
    """Raises AuditUnavailable naming the anchor and the reason; ConfigError for a password."""
    try:
        async with asyncio.timeout(SECONDS):
            if anchor.file is not None:
                await asyncio.to_thread(_append, anchor.file, signed)
            elif anchor.syslog is not None:
                await asyncio.to_thread(syslog.send, anchor.syslog, log_line(signed))
            elif anchor.ledger is not None:
                password = await asyncio.to_thread(resolve, anchor.password) if anchor.password else None
                async with open_ledger(anchor.ledger, journal, password=password) as other:
                    await other.keep_copy(signed)
    except TimeoutError:
        raise AuditUnavailable(f"{anchor.name} did not answer in {SECONDS:g} s") from None
    except OSError as error:
        raise AuditUnavailable(f"{anchor.name} cannot be written: {error.strerror or error}") from None


async def kept(anchor: Anchor, journal: Path, resolve: Resolve) -> list[Signed]:
    """What an anchor holds, of whatever ledger. A syslog cannot be asked: nothing.

    Raises AuditUnavailable where it cannot be read, ConfigError for a line that is no checkpoint.
    """
    if anchor.file is not None:
        return await asyncio.to_thread(read_file, anchor.file)
    if anchor.ledger is None:
        return []
    password = await asyncio.to_thread(resolve, anchor.password) if anchor.password else None
    async with open_ledger(anchor.ledger, journal, password=password, write=False) as other:
        rows = await other.entries(kinds=(Kind.CHECKPOINT,), newest_first=False)
    return [signed for row in rows if not is_own(row) and (signed := signed_of(row)) is not None]


def read_file(name: str) -> list[Signed]:
    """Raises AuditUnavailable, ConfigError naming the first line that is no checkpoint."""
    found, junk = sift_file(name)
    if junk:
        raise junk[0]
    return found


def sift_file(name: str) -> tuple[list[Signed], list[ConfigError]]:
    """What is evidence still, and the lines that are none: the file was cut, or others wrote to it.

    Raises AuditUnavailable.
    """
    path = Path(name).expanduser()
    found: list[Signed] = []
    junk: list[ConfigError] = []
    try:
        with open_named(path) as lines:
            for number, line in enumerate(lines, 1):
                try:
                    found.append(msgspec.json.decode(line, type=Signed))
                except (ValueError, RecursionError, msgspec.MsgspecError):
                    junk.append(_junk(path, number))
    except OSError as error:
        raise AuditUnavailable(f"the anchor {path} cannot be read: {error.strerror or error}") from None
    return found, junk


def _junk(path: Path, number: int) -> ConfigError:
    return ConfigError(
        f"line {number} of the anchor {path} is no checkpoint: the file was cut or written by others",
        "what stands before and after is evidence still: copy the good lines to a file of their own",
    )


def points_of(
    found: Iterable[Signed], ledger: UUID | None, trusted: Collection[str]
) -> dict[bytes, Checkpoint]:
    """Of one ledger (None: of any), signed by a trusted key, by the hash of their texts.

    What nobody trustworthy signed proves nothing, nor does a text that is no checkpoint.
    """
    points: dict[bytes, Checkpoint] = {}
    for signed in found:
        if (trusted and signed.key not in trusted) or not is_genuine(signed):
            continue
        try:
            point = parse(signed.text)
        except LedgerFault:
            continue
        if ledger is None or point.ledger == ledger:
            points[signed.digest] = point
    return points


def _append(name: str, signed: Signed) -> None:
    """Durable, and never through a link that somebody laid there. Raises OSError."""
    line = canonical_json(msgspec.to_builtins(signed)).encode() + b"\n"
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    descriptor = os.open(Path(name).expanduser(), flags, 0o600)
    try:
        taken = os.write(descriptor, line)
        if taken != len(line):
            with contextlib.suppress(OSError):  # a file that only grows keeps it
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - taken)
            raise OSError(0, "it took only a part of the line")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def log_line(signed: Signed) -> str:
    """What a syslog is told; `digest` is the hash of the checkpoint's text: a vector of writers is too long
    for a line.
    """
    point = parse(signed.text)
    return (
        f"audit checkpoint ledger={point.ledger} rows={point.rows} digest={signed.digest.hex()} "
        f"previous={point.previous.hex() or 'none'} key={signed.key} signature={signed.signature}"
    )
