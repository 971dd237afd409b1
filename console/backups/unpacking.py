"""Files as they are, or compressed: read as what is in them."""

from __future__ import annotations

import gzip
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from console.backups.tools import program
from console.errors import ActionFailed
from console.programs import clean_environment

PACKED = {".gz": "gzip", ".zst": "zstd", ".xz": "xz", ".bz2": "bzip2", ".lz4": "lz4"}


class Packing(NamedTuple):
    """The program that unpacks a file; empty where it is not packed."""

    name: str
    path: Path | None

    @property
    def fault(self) -> str:
        return f"{self.name} is not installed here" if self.name and self.path is None else ""


def packing(path: Path) -> Packing:
    name = PACKED.get(path.suffix, "")
    return Packing(name, program(name) if name else None)


def beginning(path: Path, wanted: int) -> bytes:
    """The first bytes of what is in a file, as far as they can be read: its end may be damaged."""
    how = packing(path)
    if how.name == "gzip":
        with path.open("rb") as packed:
            return _inflated(packed.read(wanted), wanted)
    found = b""
    with suppress(ActionFailed), unpacked(path) as stream:
        while len(found) < wanted and (block := stream.read(wanted - len(found))):
            found += block
    return found


def _inflated(data: bytes, wanted: int) -> bytes:
    with suppress(zlib.error):
        return zlib.decompressobj(wbits=31).decompress(data, wanted)
    return b""


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """What is in a file. Raises ActionFailed where it is damaged or cut off, or no program unpacks it."""
    how = packing(path)
    if not how.name:
        with path.open("rb", buffering=1 << 20) as plain:
            yield plain
        return
    if how.name == "gzip":
        try:
            with gzip.open(path, "rb") as packed:
                yield packed  # type: ignore[misc]  # it reads like any other binary file
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ActionFailed(f"{path} cannot be unpacked: {error}") from None
        return
    if how.path is None:
        raise ActionFailed(f"{path} cannot be read: {how.fault}")
    with _unpacking(path, str(how.path)) as stream:
        yield stream


@contextmanager
def _unpacking(path: Path, program_path: str) -> Iterator[IO[bytes]]:
    with path.open("rb") as packed:
        process = subprocess.Popen(  # noqa: S603 - a program of the system, on a file we opened
            [program_path, "-dc"],
            stdin=packed,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment(),
            cwd="/",
        )
    done = False
    try:
        if process.stdout is not None:
            yield process.stdout
            done = process.stdout.read(1) == b""
    finally:
        if not done:
            process.kill()
        said = process.stderr.read() if process.stderr else b""
        for stream in (process.stdout, process.stderr):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
        process.wait()
    if done and process.returncode != 0:
        why = said.decode("utf-8", "replace").strip().splitlines()
        raise ActionFailed(f"{path} cannot be unpacked: {why[-1] if why else process.returncode}")
