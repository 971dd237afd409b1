"""Programs of the operator's: the secret by standard input alone, a clean environment, an end in time."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import time
from pathlib import Path

import pytest

from console.dispatch import process
from console.errors import ActionFailed
from console.secrets import Secret
from tests.test_programs import opened

WORD = "s3cret-0f:the'day"
SECRET = Secret(WORD)
PYTHON = sys.executable


async def run(code: str, *, seconds: float = 10.0, stdin: Secret | None = SECRET) -> process.Ended:
    return await process.run_program([PYTHON, "-c", code], stdin=stdin, seconds=seconds)


async def test_it_reads_the_secret_as_one_line() -> None:
    told = f"import sys; data = sys.stdin.read(); sys.exit(0 if data == {WORD + chr(10)!r} else 3)"
    assert (await run(told)).code == 0


async def test_without_a_secret_there_is_nothing_to_read() -> None:
    assert (await run("import sys; sys.exit(len(sys.stdin.read()))", stdin=None)).code == 0


async def test_its_environment_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", WORD)
    ended = await run("import os; print(*sorted(set(os.environ) - {'LC_CTYPE'}), os.getcwd())")
    assert ended.output.split() == ["HOME", "LANG", "LOGNAME", "PATH", "USER", "/"]


async def test_neither_its_arguments_nor_its_environment_show_the_secret(tmp_path: Path) -> None:
    there = tmp_path / "pid"
    code = f"import os, time; open({str(there)!r}, 'w').write(str(os.getpid())); time.sleep(1)"
    task = asyncio.create_task(run(code))
    while not there.exists() or not there.read_text():
        await asyncio.sleep(0.02)
    folder = Path("/proc") / there.read_text()
    assert WORD.encode() not in (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
    await task


async def test_what_it_says_is_masked_in_its_usual_forms() -> None:
    code = (
        "import base64, json, sys, shlex, urllib.parse\n"
        "word = sys.stdin.readline()[:-1]\n"
        "print(word, json.dumps(word), urllib.parse.quote(word, safe=''), shlex.quote(word))\n"
        "print(base64.b64encode(word.encode()).decode(), word.encode().hex(), file=sys.stderr)\n"
    )
    said = (await run(code)).output
    for form in (WORD, WORD.encode().hex(), base64.b64encode(WORD.encode()).decode(), "3Athe%27"):
        assert form not in said
    assert said.count("***") == 6


async def test_a_secret_that_is_cut_off_by_the_limit_is_not_shown_in_part() -> None:
    for gap in range(1, len(WORD), 3):
        before = "x" * (process.HEARD - gap)
        code = f"w = input(); print({before!r} + w + 'y' * 99)"
        said = (await run(code)).output
        assert set(said) == {"x", "…"}, said[-80:]


async def test_one_that_says_much_does_not_wait_for_us_and_is_not_kept() -> None:
    ended = await run("import sys; sys.stdout.write('x' * 5_000_000)")
    assert ended.code == 0
    assert len(ended.output) <= process.HEARD


@pytest.mark.parametrize(
    "code", ["import sys; sys.exit(7)", "import os; os.close(0); import sys; sys.exit(7)"]
)
async def test_its_exit_code_is_told_whether_it_listens_or_not(code: str) -> None:
    ended = await run(code)
    assert (ended.code, ended.how) == (7, "ended with exit code 7")


async def test_a_long_secret_and_one_that_never_listens() -> None:
    ended = await run("import os; os.close(0)", stdin=Secret("x" * 200_000))
    assert ended.code == 0


async def test_a_signal_is_told() -> None:
    assert (await run("import os; os.kill(os.getpid(), 9)")).how == "was ended by signal 9"


async def test_one_that_hangs_is_killed_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "TERM_SECONDS", 0.3)
    there = tmp_path / "pids"
    code = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        f"open({str(there)!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
        "time.sleep(60)\n"
    )
    begun = time.monotonic()
    ended = await run(code, seconds=1.0)
    assert (ended.code, ended.how) == (None, "did not end in time and was killed")
    assert time.monotonic() - begun < 8
    pids = [int(line) for line in there.read_text().split()]
    assert len(pids) == 2
    for _ in range(50):
        if not any(_lives(pid) for pid in pids):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("what it started lives on")


def _lives(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


async def test_a_child_that_holds_its_output_open_keeps_nobody() -> None:
    begun = time.monotonic()
    code = "import os, time\nif os.fork() == 0:\n    time.sleep(5)\n    os._exit(0)\nprint('done')"
    ended = await run(code)
    assert (ended.code, ended.output.strip()) == (0, "done")
    assert time.monotonic() - begun < 4


async def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ActionFailed, match="could not be run: No such file"):
        await process.run_program([str(tmp_path / "none")], stdin=SECRET, seconds=1)


def test_what_is_no_fit_program_is_told_beforehand(tmp_path: Path) -> None:
    program = tmp_path / "hook"
    assert "No such file" in process.unfit([str(program)])[0]
    program.write_text("#!/bin/sh\n")
    program.chmod(0o777)
    assert process.unfit([str(program)])[1] == f"chmod go-w {program}"
    program.chmod(0o755)
    assert process.unfit([str(program)]) == ("", "")
    assert "no program" in process.unfit([str(tmp_path)])[0]
    if os.geteuid() != 0:
        program.chmod(0o600)
        assert "may not be executed" in process.unfit([str(program)])[0]


@pytest.mark.parametrize("rounds", range(1, 12))
async def test_one_that_is_cancelled_while_it_starts_leaves_no_child(tmp_path: Path, rounds: int) -> None:
    """After so many rounds of the loop: asyncio starts the program in the first, and hears it some later."""
    pids = tmp_path / "pids"
    script = f"sleep 300 & echo $! >{pids}; echo $$ >>{pids}; wait"
    before = opened()
    task = asyncio.create_task(process.run_program(["/bin/sh", "-c", script], stdin=None, seconds=60))
    for _ in range(rounds):
        await asyncio.sleep(0)
        time.sleep(0.01)  # the program goes on while we do not
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(20):
            await task
    await asyncio.sleep(0)  # asyncio closes our end in its next round
    left = [int(pid) for pid in pids.read_text().split()] if pids.exists() else []
    async with asyncio.timeout(20):
        while any(map(_lives, left)):
            await asyncio.sleep(0.02)
    assert opened() <= before
