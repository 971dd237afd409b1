"""Wherever the command takes a path, what is no file is refused at once: a pipe may never answer."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from console.named_file import open_named, read_named, refuse_no_file
from tests.command import Command

NOBODY = "a pipe that nobody writes to"
NO_FILE = "a pipe, and no file"
TARGET: dict[str, Any] = {
    "engine": "postgres", "host": "127.0.0.1", "port": 1, "database": "x", "environment": "dev",
    "tls": "off", "monitor": {"user": "m"}, "operator": {"user": "o"},
}  # fmt: skip


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o600)
    return path


@pytest.fixture
async def command(tmp_path: Path) -> Command:
    made = Command(tmp_path, {"t": TARGET})
    assert (await made.run("audit", "init")).code == 0
    return made


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-c", "PIPE", "targets"], NOBODY),
        (["-c", "/dev/zero", "targets"], "a device, and no file"),
        (["apply", "PIPE", "--reason", "x"], NOBODY),
        (["plan", "session.cancel", "-t", "t", "--args", "PIPE"], NOBODY),
        (["runbook", "lint", "PIPE"], NOBODY),
        (["audit", "verify", "--file", "PIPE"], NOBODY),
        (["audit", "verify", "--anchor", "PIPE"], NOBODY),
        (["audit", "merge", "PIPE"], NO_FILE),
    ],
)
async def test_a_path_on_the_command_line(command: Command, pipe: Path, words: list[str], said: str) -> None:
    done = await command.run(*(str(pipe) if word == "PIPE" else word for word in words))
    assert said in done.err + done.out
    assert done.code == 2


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"policy_file": "PIPE"}, NOBODY),
        ({"targets": {"t": TARGET | {"monitor": {"user": "m", "password": "file:PIPE"}}}}, NOBODY),
        ({"targets": {"t": TARGET | {"tls": "verify-full", "ca": "PIPE"}}}, NO_FILE),
    ],
)
async def test_a_path_in_the_config(command: Command, pipe: Path, section: dict[str, Any], said: str) -> None:
    command.write({"audit": command.audit, "targets": {"t": TARGET}, **section})
    command.config.write_text(command.config.read_text().replace("PIPE", str(pipe)))
    done = await command.run("show", "locks", "-t", "t")
    assert said in done.err
    assert done.code == 2


@pytest.mark.parametrize("words", [["audit", "init"], ["audit", "list"], ["audit", "doctor"]])
async def test_a_ledger(tmp_path: Path, pipe: Path, words: list[str]) -> None:
    done = await Command(tmp_path, {}, url=f"sqlite:///{pipe}").run(*words)
    assert NO_FILE in done.err
    assert done.code == 5


@pytest.mark.parametrize(
    "words",
    [
        ["apply", "HOLE", "--reason", "x"],
        ["plan", "session.cancel", "-t", "t", "--args", "HOLE"],
        ["audit", "verify", "--file", "HOLE"],
        ["audit", "verify", "--anchor", "HOLE"],
    ],
)
async def test_a_file_that_is_longer_than_any_memory(command: Command, words: list[str]) -> None:
    with (command.folder / "hole").open("wb") as file:
        file.truncate(1 << 40)
    done = await command.run(*(str(command.folder / "hole") if word == "HOLE" else word for word in words))
    assert "longer than" in done.err
    assert done.code == 2


def test_what_comes_by_a_pipe_with_a_writer_is_read_whole(pipe: Path) -> None:
    data = b"".join(b"line %d\n" % number for number in range(200_000))
    writer = threading.Thread(target=lambda: pipe.write_bytes(data))
    writer.start()
    with open_named(pipe) as file:
        assert next(file) == b"line 0\n"
        assert file.read() == data.removeprefix(b"line 0\n")
    writer.join()


def test_a_writer_may_take_its_time(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.named_file.WRITER_SECONDS", 0.01)
    held = os.open(pipe, os.O_RDWR)

    def write() -> None:
        os.write(held, b"late")
        os.close(held)

    later = threading.Timer(0.2, write)
    later.start()
    assert read_named(pipe) == b"late"
    later.join()


def test_what_is_no_file(tmp_path: Path, pipe: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"x")
    assert read_named(plain) == b"x"
    refuse_no_file(plain)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    server.close()
    for path, said in [
        (pipe, NOBODY),
        (tmp_path, "Is a directory"),
        (tmp_path / "socket", "a socket, and no file"),
        (Path("/dev/null"), "a device, and no file"),
        (tmp_path / "none", "No such file"),
    ]:
        with pytest.raises(OSError, match=said):
            read_named(path)
    with pytest.raises(OSError, match=NO_FILE):
        open_named(pipe, pipes=False)
