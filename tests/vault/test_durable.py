"""Many writers, a full disk, and processes that are killed: no entry is ever lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from console.errors import SecretsUnavailable
from console.secrets import Secret
from console.vault import disk
from console.vault.store import Vault
from tests.audit.test_journal import largest_file
from tests.guards.sources import ROOT
from tests.vault.disks import MASTER, can_mount, files, small_disk, vault_at


def start(vault: Vault, prefix: str, count: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.vault.writer", str(vault.path), prefix, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin is not None
    process.stdin.write(MASTER.reveal())
    process.stdin.close()
    return process


def told(process: subprocess.Popen[str]) -> list[str]:
    """Names that the process said were stored; the last line may be torn by its end."""
    assert process.stdout is not None
    with process.stdout as out:
        lines = out.read().splitlines(keepends=True)
    process.wait()
    return [line.strip() for line in lines if line.endswith("\n")]


def test_three_processes_with_a_hundred_writes_each_keep_three_hundred_entries(tmp_path: Path) -> None:
    vault = vault_at(tmp_path)
    vault.create(MASTER)
    writers = [start(vault, prefix, 100) for prefix in "abc"]
    assert [len(told(writer)) for writer in writers] == [100, 100, 100]
    wanted = {("dbdeck", f"{prefix}{number}") for prefix in "abc" for number in range(100)}
    assert set(vault.names()) == wanted
    assert all(vault.get(*name) == Secret(f"value of {name[1]}") for name in wanted)
    assert vault.state().generation == 301


def test_three_processes_that_all_find_no_vault_make_one(tmp_path: Path) -> None:
    vault = vault_at(tmp_path)
    writers = [start(vault, prefix, 5) for prefix in "abc"]
    assert [len(told(writer)) for writer in writers] == [5, 5, 5]
    assert len(vault.names()) == 15


def test_what_a_killed_process_said_was_stored_is_there(tmp_path: Path) -> None:
    vault = vault_at(tmp_path)
    vault.put("dbdeck", "first", Secret("1"))
    stored = {"first"}
    for turn in range(12):
        writer = start(vault, f"t{turn}-", 10_000)
        assert writer.stdout is not None
        stored.add(writer.stdout.readline().strip())
        time.sleep(0.003 * turn)
        writer.send_signal(signal.SIGKILL)
        stored |= set(told(writer))
        found = {name for _, name in vault.names()}
        assert stored <= found
        assert len(found) <= len(stored) + turn + 1, "at most the write under way is more than was told"
        vault.put("dbdeck", f"after-{turn}", Secret("x"))
        stored.add(f"after-{turn}")
    assert set(files(vault)) >= {"vault"}
    assert len(vault.state().kept) == 3


@pytest.mark.parametrize("at", ["os.link", "os.rename", "os.fsync", "os.unlink"])
def test_a_process_killed_in_any_step_loses_nothing(tmp_path: Path, at: str) -> None:
    """Each step of a write is where a child ends without another instruction."""
    vault = vault_at(tmp_path)
    for number in range(6):
        vault.put("dbdeck", f"n{number}", Secret(str(number)))
    kept = set(vault.names())
    for call in range(1, 4):
        child = os.fork()
        if not child:
            _die_at(at.removeprefix("os."), call)
            vault.put("dbdeck", "more", Secret("more"))
            os._exit(0)
        os.waitpid(child, 0)
        assert kept <= set(vault.names()) <= kept | {("dbdeck", "more")}
        vault.delete("dbdeck", "more")
    assert set(vault.names()) == kept


def _die_at(name: str, call: int) -> None:
    calls = iter(range(1, 100))
    real = getattr(os, name)

    def dying(*arguments: object, **options: object) -> object:
        if next(calls) == call:
            os._exit(9)
        return real(*arguments, **options)

    setattr(os, name, dying)


def fill(vault: Vault, stored: set[tuple[str, str]]) -> None:
    for number in range(1000):
        vault.put("dbdeck", f"n{number}", Secret("x" * 500))
        stored.add(("dbdeck", f"n{number}"))


@pytest.mark.skipif(not can_mount(), reason="only root may mount")
def test_a_full_disk_leaves_the_vault_whole_and_room_heals_it(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with small_disk(folder, "120k"):
        vault = vault_at(tmp_path)
        stored: set[tuple[str, str]] = set()
        with pytest.raises(SecretsUnavailable, match=r"No space left.*holds what it held"):
            fill(vault, stored)
        assert len(stored) > 10
        assert set(vault.names()) == stored
        assert all(vault.get(*name) == Secret("x" * 500) for name in stored)
        assert "vault.new" not in files(vault)
        subprocess.run(["mount", "-o", "remount,size=1m", str(folder)], check=True)
        vault.put("dbdeck", "more", Secret("y"))
        assert set(vault.names()) == {*stored, ("dbdeck", "more")}
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        with pytest.raises(SecretsUnavailable, match="Read-only"):
            vault.put("dbdeck", "no", Secret("z"))
        assert vault.get("dbdeck", "more") == Secret("y")


def test_a_limit_of_file_sizes_leaves_the_vault_whole(tmp_path: Path) -> None:
    vault = vault_at(tmp_path)
    vault.put("dbdeck", "one", Secret("x" * 3000))
    before = vault.path.read_bytes()
    with largest_file(4096), pytest.raises(SecretsUnavailable, match="too large"):
        vault.put("dbdeck", "two", Secret("y" * 3000))
    assert vault.path.read_bytes() == before
    assert files(vault) == ["vault"]


def test_a_writer_that_stands_still_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    vault = vault_at(tmp_path)
    vault.put("dbdeck", "one", Secret("1"))
    place = disk.Disk(vault.path)
    with place.locked():
        with pytest.raises(SecretsUnavailable, match=r"another process for 0\.1 s"), place.locked(0.1):
            pass
        assert vault.get("dbdeck", "one") == Secret("1"), "who reads waits for nobody"


def test_a_lock_file_that_was_removed_still_excludes(tmp_path: Path) -> None:
    vault = vault_at(tmp_path)
    vault.put("dbdeck", "one", Secret("1"))
    vault.path.with_name("vault.lock").unlink()
    vault.put("dbdeck", "two", Secret("2"))
    assert len(vault.names()) == 2
