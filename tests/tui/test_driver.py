"""What is typed arrives at once, and nothing is looked for meanwhile: at a real terminal."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from textual.drivers.linux_driver import LinuxDriver

from console.tui import driver
from console.tui.driver import Bell, PatientDriver
from console.tui.tight import TightApp
from tests.guards.sources import ROOT

SECONDS = 30.0


class Listening:
    def __init__(self, master: int, process: subprocess.Popen[bytes], file: Path) -> None:
        self._master = master
        self.process = process
        self._file = file

    def type(self, data: bytes) -> None:
        os.write(self._master, data)

    @property
    def heard(self) -> list[str]:
        return self._file.read_text().split("\n")[:-1] if self._file.exists() else []

    def hears(self, *words: str) -> None:
        until = time.monotonic() + SECONDS
        while self.heard[-len(words) :] != list(words):
            assert time.monotonic() < until, self.heard
            time.sleep(0.02)


def _swallow(master: int) -> None:
    with suppress(OSError):  # the app has ended, and the terminal with it
        while os.read(master, 65536):
            pass


@contextmanager
def listening(tmp_path: Path) -> Iterator[Listening]:
    master, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    file = tmp_path / "heard"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.tui.listener", str(file)],
        stdin=terminal, stdout=terminal, stderr=terminal, cwd=ROOT, start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(terminal)
    reader = threading.Thread(target=_swallow, args=(master,), daemon=True)
    reader.start()
    try:
        app = Listening(master, process, file)
        app.hears("ready")
        yield app
    finally:
        process.kill()
        process.wait()
        reader.join()
        os.close(master)


def test_keys_arrive_whole_however_they_come(tmp_path: Path) -> None:
    with listening(tmp_path) as app:
        app.type(b"a")
        app.hears("a")
        app.type("é".encode()[:1])
        time.sleep(0.05)
        app.type("é".encode()[1:])
        app.hears("a", "é")
        app.type(b"\x1b")
        app.hears("é", "escape")  # nothing follows that would tell: only time does
        app.type(b"\x1b[A")
        app.hears("escape", "up")
        app.type(b"q")
        assert app.process.wait(SECONDS) == 0


def test_nobody_wakes_while_nothing_is_typed(tmp_path: Path) -> None:
    with listening(tmp_path) as app:
        time.sleep(1.0)  # the terminal's questions at the start have no answers here
        app.type(b"i")
        until = time.monotonic() + SECONDS
        while not app.heard[-1].startswith("woke"):
            assert time.monotonic() < until, app.heard
            time.sleep(0.05)
        assert int(app.heard[-1].split()[1]) <= 1  # Textual's own wakes ten times


def test_after_a_suspension_it_listens_again(tmp_path: Path) -> None:
    with listening(tmp_path) as app:
        app.type(b"s")
        app.hears("s", "outside")
        app.type(b"b")
        app.hears("outside", "b")
        app.type(b"q")
        assert app.process.wait(SECONDS) == 0


def test_this_textual_is_one_we_know() -> None:
    assert driver.supported()
    assert issubclass(TightApp().get_driver_class(), PatientDriver)


def test_another_textual_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "supported", lambda: False)
    assert TightApp().get_driver_class() is LinuxDriver


def test_a_bell_may_ring_again() -> None:
    bell = Bell()
    bell.clear()
    for _ in range(2):
        bell.set()
        bell.set()
        assert bell.is_set()
        bell.clear()
        assert not bell.is_set()
