"""Files with secrets are changed as a whole or not at all, and never through a link."""

from __future__ import annotations

import asyncio
import fcntl
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from console.dispatch import files
from console.errors import ActionFailed, UsageError


def put(text: str) -> files.Change:
    return lambda _: text


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "kept"
    path.write_text("old")
    path.chmod(0o600)
    return path


async def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    await files.rewrite_file(tmp_path / "new", put("x"))
    assert (mode(tmp_path / "new"), (tmp_path / "new").read_text()) == (0o600, "x")
    assert names(tmp_path) == ["new"]


@pytest.mark.parametrize("kind", [0o600, 0o400])
async def test_mode_owner_and_attributes_stay(kept: Path, kind: int) -> None:
    kept.chmod(kind)
    if os.geteuid() == 0:
        os.chown(kept, 65534, 65534)
    before = kept.stat()
    await files.rewrite_file(kept, put("new"))
    after = kept.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert kept.read_text() == "new"


async def test_what_is_no_utf8_stays_as_it_is(kept: Path) -> None:
    kept.write_bytes(b"\xff\r\n\x00caf\xc3\xa9\n")
    await files.rewrite_file(kept, lambda text: f"{text}more")
    assert kept.read_bytes() == b"\xff\r\n\x00caf\xc3\xa9\nmore"


@pytest.mark.parametrize("kind", [0o640, 0o604, 0o644, 0o620])
async def test_a_file_of_others_is_refused_with_the_chmod(kept: Path, kind: int) -> None:
    kept.chmod(kind)
    for call in (files.read(kept), files.rewrite_file(kept, put("new"))):
        with pytest.raises(ActionFailed) as refused:
            await call
        assert f"{kind:04o}" in refused.value.message
        assert refused.value.hint == f"chmod 0600 {kept}"
    assert (kept.read_text(), mode(kept)) == ("old", kind)
    assert (await files.look(kept)).remedy == f"chmod 0600 {kept}"


async def test_a_link_is_not_followed(kept: Path) -> None:
    link = kept.parent / "link"
    link.symlink_to(kept)
    with pytest.raises(ActionFailed, match="symbolic link"):
        await files.rewrite_file(link, put("new"))
    assert (kept.read_text(), link.is_symlink()) == ("old", True)


async def test_a_folder_behind_another_users_link_is_refused(kept: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a link away")
    link = tmp_path / "folder"
    link.symlink_to(tmp_path)
    assert await files.read(link / "kept") == "old"
    os.chown(link, 65534, 65534, follow_symlinks=False)
    with pytest.raises(ActionFailed, match="another user's symbolic link"):
        await files.read(link / "kept")


async def test_a_folder_that_others_may_write_is_refused(kept: Path) -> None:
    kept.parent.chmod(0o777)
    with pytest.raises(ActionFailed, match="others may replace"):
        await files.rewrite_file(kept, put("new"))
    kept.parent.chmod(0o1777)
    await files.rewrite_file(kept, put("new"))
    kept.parent.chmod(0o700)


async def test_a_file_with_two_names_is_refused(kept: Path) -> None:
    os.link(kept, kept.parent / "other")
    with pytest.raises(ActionFailed, match="hard link"):
        await files.rewrite_file(kept, put("new"))


async def test_a_fifo_or_a_folder_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "folder").mkdir(0o700)
    for name in ("fifo", "folder"):
        with pytest.raises(ActionFailed, match="no regular file"):
            await files.read(tmp_path / name)


async def test_a_change_that_fails_leaves_everything(kept: Path) -> None:
    def change(_: str | None) -> str:
        raise UsageError("no")

    with pytest.raises(UsageError):
        await files.rewrite_file(kept, change)
    assert (kept.read_text(), names(kept.parent)) == ("old", ["kept"])


async def test_what_a_killed_run_left_is_swept_away(kept: Path) -> None:
    (kept.parent / ".kept.dbdeck-0123").write_text("a secret")
    await files.rewrite_file(kept, put("new"))
    assert names(kept.parent) == ["kept"]


async def test_a_change_by_somebody_else_meanwhile_is_not_lost(kept: Path) -> None:
    seen: list[str | None] = []

    def change(text: str | None) -> str:
        seen.append(text)
        if len(seen) == 1:
            kept.write_text("theirs")
        return f"{text} and ours"

    await files.rewrite_file(kept, change)
    assert seen == ["old", "theirs"]
    assert kept.read_text() == "theirs and ours"


async def test_a_file_that_never_rests_is_given_up(kept: Path) -> None:
    def change(text: str | None) -> str:
        kept.write_text(f"{text}.")
        return "ours"

    with pytest.raises(ActionFailed, match="again and again"):
        await files.rewrite_file(kept, change)
    assert kept.read_text() == "old..."


async def test_who_comes_while_it_is_locked_waits_and_then_gives_up(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LOCK_SECONDS", 0.3)
    folder = os.open(kept.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with pytest.raises(ActionFailed, match="holds the lock"):
        await files.rewrite_file(kept, put("new"))
    monkeypatch.setattr(files, "LOCK_SECONDS", 5.0)
    waiting = asyncio.create_task(files.rewrite_file(kept, put("new")))
    await asyncio.sleep(0.1)
    assert kept.read_text() == "old"
    os.close(folder)
    await waiting
    assert kept.read_text() == "new"


def _count(path: Path, times: int) -> None:
    for _ in range(times):
        asyncio.run(files.rewrite_file(path, lambda text: str(int(text or 0) + 1)))


def test_processes_do_not_lose_each_others_changes(tmp_path: Path) -> None:
    path = tmp_path / "count"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_count, args=(path, 15)) for _ in range(3)]
    for one in workers:
        one.start()
    for one in workers:
        one.join(60)
    assert path.read_text() == "45"


async def test_a_plan_sees_what_would_fail(tmp_path: Path, kept: Path) -> None:
    assert (await files.look(kept)) == files.Sight(there=True, mode=0o600)
    assert (await files.look(tmp_path / "none")) == files.Sight()
    assert "No such file" in (await files.look(tmp_path / "no" / "folder")).fault
