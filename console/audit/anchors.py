"""Anchors: copies of signed checkpoints where the ledger's owner cannot write, and how they are read back."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from console.audit import syslog
from console.audit.checkpoint import Checkpoint, Signed, is_genuine, parse
from console.audit.ledger import open_ledger
from console.audit.marks import is_own, signed_of
from console.audit.one_thread import OneThread
from console.audit.record import Kind, canonical_json
from console.audit.table.port import in_time
from console.errors import AuditUnavailable, ConfigError, LedgerFault
from console.model.anchors import Anchor
from console.named_file import lines_of, open_named
from console.secrets import Secret

SECONDS: Final = 10.0
_BEGINS: Final = b'{"key":"'
Resolve = Callable[[str], Secret]


class Sifted(msgspec.Struct, frozen=True):
    """What a file holds that is evidence still (`sound`); lines that are none (`junk`: others wrote to it),
    and that were not written to their end (`torn`: a crash, a power cut or a full disk does that, and it is
    no fault).
    """

    sound: list[Signed]
    junk: list[ConfigError]
    torn: list[str]


async def keep(anchor: Anchor, signed: Signed, journal: Path, resolve: Resolve) -> str:
    """What is to be told of it; mostly nothing. Raises AuditUnavailable naming the anchor and the reason;
    ConfigError for a password.
    """
    try:
        async with asyncio.timeout(SECONDS):
            # A disk or a log that hangs keeps its own thread, and no command from ending.
            if (file := anchor.file) is not None:
                return await OneThread(anchor.name).ask(lambda: _append(file, signed))
            if (log := anchor.syslog) is not None:
                await OneThread(anchor.name).ask(lambda: syslog.send(log, log_line(signed)))
            elif anchor.ledger is not None:
                password = await asyncio.to_thread(resolve, anchor.password) if anchor.password else None
                async with open_ledger(anchor.ledger, journal, password=password) as other:
                    await other.keep_copy(signed)
    except TimeoutError:
        raise AuditUnavailable(f"{anchor.name} did not answer in {SECONDS:g} s") from None
    except OSError as error:
        raise AuditUnavailable(f"{anchor.name} cannot be written: {error.strerror or error}") from None
    return ""


async def kept(anchor: Anchor, journal: Path, resolve: Resolve) -> list[Signed]:
    """What an anchor holds, of whatever ledger. A syslog cannot be asked: nothing.

    Raises AuditUnavailable where it cannot be read, ConfigError for a line that is no checkpoint.
    """
    if anchor.file is not None:
        sifted = await sift(anchor)
        if sifted.junk:
            raise sifted.junk[0]
        return sifted.sound
    if anchor.ledger is None:
        return []
    password = await asyncio.to_thread(resolve, anchor.password) if anchor.password else None
    async with open_ledger(anchor.ledger, journal, password=password, write=False) as other:
        rows = await other.entries(kinds=(Kind.CHECKPOINT,), newest_first=False)
    return [signed for row in rows if not is_own(row) and (signed := signed_of(row)) is not None]


async def sift(anchor: Anchor) -> Sifted:
    """Of an anchor that is a file. Raises AuditUnavailable."""
    name = str(anchor.file)
    try:
        return await in_time(SECONDS, OneThread(anchor.name).ask(lambda: sift_file(name)))
    except TimeoutError:
        raise AuditUnavailable(f"{anchor.name} did not answer in {SECONDS:g} s") from None


def sift_file(name: str) -> Sifted:
    """Raises AuditUnavailable."""
    path = Path(name).expanduser()
    found = Sifted([], [], [])
    try:
        with open_named(path) as file:
            for number, line in enumerate(lines_of(file), 1):
                _sift_line(path, number, line, found)
    except OSError as error:
        raise AuditUnavailable(f"the anchor {path} cannot be read: {error.strerror or error}") from None
    return found


def _sift_line(path: Path, number: int, line: bytes, found: Sifted) -> None:
    whole = line.rstrip(b"\n")
    text = whole.rstrip(b"\0")  # a power cut leaves them where the end was not on the disk yet
    try:
        found.sound.append(msgspec.json.decode(text, type=Signed))
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        if not whole:
            return  # where the end before it may not be read, a line begins with one of its own
        if _is_begun(text) and "truncated" in str(error):
            found.torn.append(
                f"line {number} of the anchor {path} was not written to its end, or was cut: "
                "it proves nothing"
            )
        else:
            found.junk.append(_junk(path, number))


def _is_begun(text: bytes) -> bool:
    """As `_append` begins a line."""
    return text.startswith(_BEGINS) or _BEGINS.startswith(text)


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
        if not is_trusted(signed, trusted):
            continue
        try:
            point = parse(signed.text)
        except LedgerFault:
            continue
        if ledger is None or point.ledger == ledger:
            points[signed.digest] = point
    return points


def is_trusted(signed: Signed, trusted: Collection[str]) -> bool:
    """By the key it names, and by its signature; where no key is trusted, by the signature alone."""
    return (not trusted or signed.key in trusted) and is_genuine(signed)


def is_of(signed: Signed, ledger: UUID) -> bool:
    """As its text says, whoever signed it."""
    try:
        return parse(signed.text).ledger == ledger
    except LedgerFault:
        return False


def _append(name: str, signed: Signed) -> str:
    """Durable, and never through a link that somebody laid there; after a line without its end on a line of
    its own, which is told. Raises OSError, at once for what is no file.
    """
    path = Path(name).expanduser()
    line = canonical_json(msgspec.to_builtins(signed)).encode() + b"\n"
    descriptor, readable = _open_to_append(path)
    torn = False
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        size = os.fstat(descriptor).st_size
        torn = readable and size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        if torn or (size and not readable):
            line = b"\n" + line
        taken = os.write(descriptor, line)
        if taken != len(line):
            with contextlib.suppress(OSError):  # a file that only grows keeps it
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - taken)
            raise OSError(0, "it took only a part of the line")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    told = "the last line of the anchor {} had lost its end: the checkpoint stands on a line of its own"
    return told.format(path) if torn else ""


def _open_to_append(path: Path) -> tuple[int, bool]:
    """A descriptor, and whether its end may be read. Raises OSError; a pipe is not waited for."""
    flags = os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, os.O_RDWR | flags, 0o600), True
    except PermissionError:  # a box that one may only put into
        return os.open(path, os.O_WRONLY | flags, 0o600), False


def log_line(signed: Signed) -> str:
    """What a syslog is told; `digest` is the hash of the checkpoint's text: a vector of writers is too long
    for a line.
    """
    point = parse(signed.text)
    return (
        f"audit checkpoint ledger={point.ledger} rows={point.rows} digest={signed.digest.hex()} "
        f"previous={point.previous.hex() or 'none'} key={signed.key} signature={signed.signature}"
    )
