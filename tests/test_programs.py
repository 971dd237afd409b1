"""Programs are heard as they speak, and end with all that they started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from console.errors import ActionFailed
from console.programs import Call, hear, without_verifiers


async def test_answer_and_complaint_are_kept_apart() -> None:
    heard = await hear(Call(["/bin/sh", "-c", "echo out; echo bad >&2; exit 3"]))
    assert (heard.code, heard.answer, heard.complaint) == (3, b"out\n", "bad")
    assert heard.why == "ended with exit code 3: bad"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1.GRANT USAGE ON *.* TO `b`@`%` IDENTIFIED BY PASSWORD '*DC8D'", "IDENTIFIED BY PASSWORD <hidden>"),
        (
            "IDENTIFIED VIA ed25519 USING 'a' OR x USING 'b'",
            "IDENTIFIED VIA ed25519 USING <hidden> OR x USING <hidden>",
        ),
        ("CREATE USER u IDENTIFIED WITH 'p' AS 0x24412430", "IDENTIFIED WITH <hidden> AS <hidden>"),
        ("LINE 1: alter role x password 'it''s'", "password <hidden>"),
        ("LINE 1: ALTER ROLE app WITH PASSWORD 'SCRAM-SHA-256$4096:abc...", "PASSWORD <hidden>"),
        ("LINE 1: alter role app password 'cut off...", "password <hidden>"),
        ("LINE 1: alter role app password 'cut off\\", "password <hidden>"),
        ("SET PASSWORD FOR 'a'@'%' = 'plain'", " = <hidden>"),
        ("near 'PASSWORD('plain')'", "PASSWORD(<hidden>)<hidden>"),
        ('CREATE USER a IDENTIFIED BY "plain"', "IDENTIFIED BY <hidden>"),
        ("-- *6BB4837EB74329105EE4568DDA7DC67ED2CA2AD9 and md5" + "a" * 32, "-- <hidden> and <hidden>"),
        ("ALTER ROLE app PASSWORD E'pl\\'ain'", "PASSWORD E<hidden>"),
        ("ALTER ROLE app PASSWORD $a$plain$a$ LOGIN", "PASSWORD <hidden> LOGIN"),
        (
            "CHANGE MASTER TO MASTER_PASSWORD='plain', MASTER_PORT=1",
            "MASTER_PASSWORD=<hidden>, MASTER_PORT=1",
        ),
        (
            "CREATE SUBSCRIPTION s CONNECTION 'host=h password=plain user=u' P",
            "'host=h password=<hidden> user=u' P",
        ),
        ("CREATE SUBSCRIPTION s CONNECTION 'password=''pl ain'' user=u' P", "'password=<hidden> user=u' P"),
        ("SET PASSWORD=PASSWORD('plain')", "PASSWORD=<hidden>"),
        ("CONNECTION 'password=''pl\\''ain'' user=u' P", "'password=<hidden> user=u' P"),
        ("LINE 1: CREATE SUBSCRIPTION s CONNECTION 'password=''pl ain...", "'password=<hidden>"),
        ("CONNECTION 'host=h password = plain user=u' P", "'host=h password = <hidden> user=u' P"),
        ("CONNECTION 'password=pl\\ ain user=u' P", "'password=<hidden> user=u' P"),
        ("PGPASSWORD='pl ain' psql", "PGPASSWORD=<hidden> psql"),
        ("postgresql://app:plain@h:5432/db: refused", "postgresql://<hidden>@h:5432/db: refused"),
        ("postgresql://app:pl@in@h:5432/db: refused", "postgresql://<hidden>@h:5432/db: refused"),
        ("http://h:80 said x@y", "http://h:80 said x@y"),
        ('invalid option "sslpassword", not "x"', 'invalid option "sslpassword", not "x"'),
        ("option '--password' requires an argument", "option '--password' requires an argument"),
        ("ALTER ROLE app PASSWORD'plain' LOGIN", "PASSWORD<hidden> LOGIN"),
        ("program --password='pl ain' -v", "--password=<hidden> -v"),
        ('password authentication failed for user "app"', 'failed for user "app"'),
        ("Access denied for user 'b'@'h' (using password: YES)", "user 'b'@'h' (using password: YES)"),
    ],
)
def test_no_verifier_gets_out_of_what_a_program_says(line: str, told: str) -> None:
    assert without_verifiers(line).endswith(told)


@pytest.mark.parametrize("line", ["'password' + ' ' * 20_000 + 'x'", "'password for ' * 200_000"])
def test_no_line_holds_everything_up(line: str) -> None:
    """It is looked at while nothing else of the console goes on: such a line took minutes."""
    script = (
        f"import signal; from console.programs import without_verifiers as w; signal.alarm(20); w({line})"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 0


async def test_a_complaint_has_no_verifier() -> None:
    script = """echo "GRANT USAGE ON *.* TO b IDENTIFIED BY PASSWORD '*DC8D'" >&2; exit 1"""
    said: list[str] = []
    heard = await hear(Call(["/bin/sh", "-c", script], line=said.append))
    assert "DC8D" not in heard.complaint + "".join(said)


async def test_each_line_is_heard_when_it_is_said() -> None:
    said: list[str] = []
    await hear(Call(["/bin/sh", "-c", "echo a >&2; echo b; echo c"], line=said.append, both=True))
    assert sorted(said) == ["a", "b", "c"]


async def test_a_line_without_end_is_heard_in_parts() -> None:
    said: list[str] = []
    script = "import sys; sys.stderr.write('x' * 3_000_000)"
    await hear(Call([sys.executable, "-c", script], line=said.append))
    assert sum(map(len, said)) == 3_000_000
    assert max(map(len, said)) < 2_000_000


async def test_what_takes_too_long_is_ended() -> None:
    start = time.monotonic()
    heard = await hear(Call(["/bin/sleep", "60"], seconds=0.2))
    assert heard.code is None
    assert time.monotonic() - start < 10


async def test_a_program_that_is_not_there_is_told_by_its_name() -> None:
    with pytest.raises(ActionFailed, match="/no/such/program could not be run"):
        await hear(Call(["/no/such/program"]))


async def test_a_cancelled_run_leaves_no_child(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 300 & echo $! >{pids}; echo $$ >>{pids}; wait"
    task = asyncio.create_task(hear(Call(["/bin/sh", "-c", script])))
    while not pids.exists() or pids.read_text().count("\n") < 2:
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for pid in map(int, pids.read_text().split()):
        assert gone(pid)


@pytest.mark.parametrize("rounds", range(12))
async def test_a_run_that_is_cancelled_while_it_starts_leaves_no_child(tmp_path: Path, rounds: int) -> None:
    """After so many rounds of the loop: asyncio starts the program in the first, and hears it some later."""
    pids = tmp_path / "pids"
    script = f"sleep 300 & echo $! >{pids}; echo $$ >>{pids}; wait"
    before = opened()
    task = asyncio.create_task(hear(Call(["/bin/sh", "-c", script])))
    for _ in range(rounds):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(20):
            await task
    for pid in map(int, pids.read_text().split() if pids.exists() else ()):
        assert gone(pid)
    assert opened() <= before


@pytest.mark.parametrize(
    "script",
    ["setsid sleep 30 & sleep 60", f"{sys.executable} -c 'while True: print(\"x\" * 4_000_000)' >&2"],
    ids=["who left the group", "a flood"],
)
async def test_nothing_is_left_open_of_one_that_was_ended(script: str) -> None:
    """Its output is open elsewhere still, or was not read to its end."""
    before = opened()
    heard = await hear(Call(["/bin/sh", "-c", script], seconds=0.5))
    assert heard.code is None
    assert opened() <= before


def opened() -> set[str]:
    """Our pipes."""
    found = set()
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(one.readlink()))
    return {name for name in found if name.startswith("pipe:")}


def gone(pid: int) -> bool:
    """Ended, if not yet reaped by whoever has to."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


async def test_nothing_of_our_environment_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    heard = await hear(Call(["/usr/bin/env"], env={"PGPORT": "5"}))
    assert b"s3cret" not in heard.answer
    assert b"PGPORT=5" in heard.answer
    assert b"TZ=UTC" in heard.answer


async def test_a_program_reads_and_writes_files_itself(tmp_path: Path) -> None:
    source, copy = tmp_path / "in", tmp_path / "out"
    source.write_bytes(b"data" * 1000)
    with source.open("rb") as given, copy.open("wb") as taken:
        heard = await hear(Call(["/bin/cat"], stdin=given, stdout=taken))
    assert heard.code == 0
    assert copy.read_bytes() == source.read_bytes()


async def test_a_signal_is_told() -> None:
    heard = await hear(Call(["/bin/sh", "-c", "kill -TERM $$"]))
    assert heard.code == -signal.SIGTERM
    assert "signal 15" in heard.how
