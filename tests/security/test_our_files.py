"""Files that say what dbdeck does are not taken from anybody; what it writes goes where it was told to."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from console.config import load as load_config
from console.errors import ConfigError, UsageError
from console.new_file import read_trusted, write_over
from console.runbook.loader import load as load_runbook


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("load", [load_config, load_runbook])
def test_what_everybody_may_write_is_not_read(load: object, tmp_path: Path) -> None:
    assert callable(load)
    path = tmp_path / "config.yaml"
    path.write_text("targets: {}\n")
    path.chmod(0o646)
    with pytest.raises(ConfigError, match="everybody may write") as caught:
        load(path)
    assert caught.value.hint == f"chmod o-w {path}"


def test_nor_where_everybody_may_put_another_in_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    path = folder / "config.yaml"
    path.write_text("{}\n")
    folder.chmod(0o777)
    with pytest.raises(ConfigError, match="another file in the place"):
        load_config(path)
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    with pytest.raises(ConfigError, match="another file in the place"):
        load_config(link)
    folder.chmod(0o1777)  # as /tmp: only the owner of a file can take it away
    assert load_config(path) is not None


def test_a_config_by_a_pipe_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_text("targets: {}\n"))
    writer.start()
    assert read_trusted(path, "") == "targets: {}\n"
    writer.join()


def test_what_is_written_over_is_replaced_and_is_its_owners_alone(tmp_path: Path) -> None:
    old = tmp_path / "plan.json"
    old.write_text("old")
    old.chmod(0o666)
    with old.open() as held:
        write_over(old, b"new")
        assert held.read() == "old"  # who had it open before does not see what is written now
    assert (old.read_bytes(), mode(old)) == (b"new", 0o600)


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    link = tmp_path / "plan.json"
    link.symlink_to(victim)
    write_over(link, b"new")
    assert victim.read_text() == "kept"
    assert not link.is_symlink()
    assert link.read_bytes() == b"new"


def test_a_device_is_written_to(tmp_path: Path) -> None:
    write_over("/dev/null", b"gone")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(UsageError, match="nothing was written"):
        write_over(tmp_path / "no" / "folder", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_written_to_where_somebody_reads_it(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match=r"a pipe that nobody reads; nothing was written"):
        write_over(pipe, b"x")
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    data = b"x" * (1 << 20)  # more than a pipe holds
    write_over(pipe, data)
    reader.join()
    assert read == [data]
    assert pipe.is_fifo()
