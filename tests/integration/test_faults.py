"""Each exit code by a real situation, and what a server or a ledger in trouble may not cause."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from console.engine.open import open_engine, open_operator
from tests.command import Command, Done
from tests.integration.test_kill import terminate
from tests.servers.fleet import Server
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import tcp_proxy
from tests.situations import Scene, scene
from tests.targets import target_of

STALE_KEY = {"id": 1, "started_at": "2001-01-01T00:00:00Z"}


@pytest_asyncio.fixture
async def shop(postgres18: PostgresServer) -> AsyncIterator[Scene]:
    async with scene(postgres18) as made:
        await made.chain(2)
        await asyncio.sleep(0.3)
        yield made


@pytest.fixture
def command(postgres18: PostgresServer, tmp_path: Path) -> Command:
    return Command(tmp_path, {"t": postgres18.target_dict()})


async def still_there(shop: Scene) -> bool:
    admin = await shop.server.connect()
    found = await admin.fetchval("select count(*) from pg_stat_activity where pid = $1", shop.clients[1].id)
    await admin.close()
    return bool(found == 1)


# ---- targets in trouble ------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("show", "locks"), ("show", "sessions"), ("doctor",)])
async def test_a_target_that_is_down_is_exit_3_with_a_hint(
    any_server: Server, tmp_path: Path, words: tuple[str, ...]
) -> None:
    command = Command(tmp_path, {"t": any_server.target_dict(port=9)})
    done = await command.run(*words, "-t", "t", "--json")
    assert done.code == 3
    assert "Traceback" not in done.err
    assert done.document["rows"] is not None


async def test_the_problem_is_in_the_document_too(any_server: Server, tmp_path: Path) -> None:
    command = Command(tmp_path, {"t": any_server.target_dict(port=9)})
    done = await command.run("show", "locks", "-t", "t", "--json")
    assert done.document["problem"]["kind"] == "unreachable"
    assert done.document["rows"] == []


async def test_a_wrong_password_is_exit_3_and_is_not_shown(any_server: Server, tmp_path: Path) -> None:
    monitor = {"user": "dbdeck_monitor", "password": "env:WRONG_PASSWORD"}
    command = Command(tmp_path, {"t": any_server.target_dict(monitor=monitor)})
    done = await command.run("show", "locks", "-t", "t", "--json", env={"WRONG_PASSWORD": "c4nary-wrong"})
    assert (done.code, done.document["problem"]["kind"]) == (3, "login")
    assert "c4nary-wrong" not in done.out + done.err


async def test_tls_that_is_not_offered_is_exit_3_before_any_secret(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    command = Command(tmp_path, {"t": postgres18.target_dict(tls="verify-full")})
    done = await command.run("show", "locks", "-t", "t", "--json")
    assert (done.code, done.document["problem"]["kind"]) == (3, "tls")


async def test_a_certificate_of_another_authority_is_exit_3(
    postgres_tls: PostgresServer, tmp_path: Path
) -> None:
    target = postgres_tls.target_dict()
    del target["ca"]
    command = Command(tmp_path, {"t": target})
    done = await command.run("show", "locks", "-t", "t", "--json")
    assert (done.code, done.document["problem"]["kind"]) == (3, "tls")


async def test_a_server_that_hangs_is_told_and_comes_back_by_itself(
    any_server: Server, tmp_path: Path
) -> None:
    port = any_server.target_dict()["port"]
    async with tcp_proxy("127.0.0.1", port) as proxy:
        command = Command(tmp_path, {"t": any_server.target_dict(port=proxy.port)})
        watching = await command.start("show", "locks", "-t", "t", "--json", "--watch", "0.3")
        await line_with(watching, b'"problem":null')
        proxy.stall()
        await line_with(watching, b'"kind":"silent"')
        once = await command.run("show", "sessions", "-t", "t", "--json")
        assert (once.code, once.document["problem"]["kind"]) == (3, "silent")
        proxy.resume()
        await line_with(watching, b'"problem":null')
        watching.terminate()
        _, err = await watching.communicate()
    assert b"Traceback" not in err


@pytest.mark.parametrize("asking", [True, False])
async def test_a_server_that_hangs_keeps_nobody_from_leaving(any_server: Server, asking: bool) -> None:
    port = any_server.target_dict()["port"]
    async with tcp_proxy("127.0.0.1", port) as proxy:
        target = target_of(any_server, port=proxy.port)
        async with AsyncExitStack() as opened:
            engine = await opened.enter_async_context(open_engine(target))
            await opened.enter_async_context(open_operator(target))
            await engine.sessions()
            proxy.stall()
            poll = asyncio.create_task(engine.sessions())
            if asking:
                await asyncio.sleep(0.5)
            poll.cancel()
            await asyncio.gather(poll, return_exceptions=True)
            async with asyncio.timeout(2.0):  # half of it goes by on a machine with nothing else to do
                await opened.aclose()


async def line_with(process: asyncio.subprocess.Process, text: bytes) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while text not in await process.stdout.readline():
            continue


# ---- refusals ----------------------------------------------------------------------------------


async def refused(done: Done, code: int, shop: Scene, command: Command) -> None:
    """Codes 2 to 7: nothing happened, and no intent was written."""
    assert done.code == code, done
    assert done.document["effect"] == "none"
    assert done.document["exit"] == code
    assert done.document["error"]["message"]
    assert await still_there(shop)
    if code != 5:
        assert "intent" not in await command.kinds()


async def test_without_yes_and_without_a_terminal_it_says_what_it_would_have_asked(
    shop: Scene, command: Command
) -> None:
    root = await command.root()
    key = (f"id={root['id']}", f"started_at={root['started_at']}")
    done = await command.run("apply", "session.terminate", "-t", "t", "--json", *key)
    await refused(done, 2, shop, command)
    assert "--yes" in done.err
    assert "--reason" in done.err


@pytest.mark.parametrize(
    "words",
    [("id=x",), ("id=1", "id=2"), ("started_at=now",), ("what=1",), ("id",)],
)
async def test_bad_arguments_are_usage(shop: Scene, command: Command, words: tuple[str, ...]) -> None:
    done = await command.run(
        "apply", "session.terminate", "-t", "t", "--json", "--yes", "--reason", "x", *words
    )
    await refused(done, 2, shop, command)


async def test_a_frozen_target_is_refused(shop: Scene, command: Command) -> None:
    root = await command.root()
    freeze = {"start": "2020-01-01T00:00:00Z", "end": "2999-01-01T00:00:00Z", "reason": "black friday"}
    targets = {"t": shop.server.target_dict()}
    command.write({"audit": command.audit, "targets": targets, "policy": {"freeze": [freeze]}})
    done = await command.apply("session.terminate", root)
    await refused(done, 4, shop, command)
    assert "black friday" in done.err


async def test_prod_wants_the_name(postgres18: PostgresServer, shop: Scene, tmp_path: Path) -> None:
    command = Command(tmp_path, {"t": postgres18.target_dict(environment="prod")})
    root = await command.root()
    await refused(await command.apply("session.terminate", root), 4, shop, command)
    await refused(await command.apply("session.terminate", root, "--confirm", "T"), 4, shop, command)
    assert (await command.apply("session.terminate", root, "--confirm", "t")).code == 0


async def test_a_held_lock_is_exit_7_and_names_who_holds_it(shop: Scene, command: Command) -> None:
    root = await command.root()
    async with open_operator(target_of(shop.server)) as other:
        assert await other.hold(f"t:session:{root['id']}") is None
        done = await command.apply("session.terminate", root)
        await refused(done, 7, shop, command)
    assert "dbdeck operator" in done.err


async def test_an_operator_without_the_right_is_failed_with_the_grant(
    postgres18: PostgresServer, shop: Scene, tmp_path: Path
) -> None:
    weak = {"user": "dbdeck_monitor", "password": "env:DBDECK_TEST_MONITOR"}
    command = Command(tmp_path, {"t": postgres18.target_dict(operator=weak)})
    done = await command.apply("session.terminate", await command.root())
    assert (done.code, done.document["effect"]) == (1, "none")
    assert "GRANT pg_signal_backend" in done.document["error"]["hint"]
    assert await still_there(shop)
    assert await command.kinds() == ["intent", "step", "outcome"]


async def test_who_approves_by_a_flag_is_warned_all_the_same(
    postgres18: PostgresServer, command: Command
) -> None:
    pooled = await postgres18.connect(server_settings={"application_name": "pgbouncer"})
    rows = (await command.run("show", "sessions", "-t", "t", "--json")).rows
    (key,) = (row["session"] for row in rows if row["session"]["id"] == pooled.get_server_pid())
    done = await command.apply("session.terminate", key)
    pooled.terminate()
    assert "warning: it belongs to a pooler: another client may be behind it by now\n" in done.err


async def test_a_saved_plan_is_bound_to_what_it_was_made_of(shop: Scene, command: Command) -> None:
    root = await command.root()
    path = str(command.folder / "plan.json")
    key = (f"id={root['id']}", f"started_at={root['started_at']}")
    planned = await command.run("plan", "session.terminate", "-t", "t", *key, "--out", path, "--exit-code")
    assert planned.code == 10
    assert Path(path).stat().st_mode & 0o777 == 0o600
    text = Path(path).read_text()
    Path(path).write_text(text.replace(str(root["id"]), str(root["id"] + 1)))
    edited = await command.run("apply", path, "--json", "--yes", "--reason", "x")
    await refused(edited, 2, shop, command)
    Path(path).write_text(text)
    applied = await command.run("apply", path, "--json", "--yes", "--reason", "x")
    assert applied.code == 0, applied
    again = await command.run("apply", path, "--json", "--yes", "--reason", "x")
    assert again.code == 6


async def test_an_idempotency_key_answers_the_second_time(shop: Scene, command: Command) -> None:
    root = await command.root()
    first = await command.apply("session.terminate", root, "--idempotency-key", "inc-7")
    again = await command.apply("session.terminate", root, "--idempotency-key", "inc-7")
    assert (first.code, first.document["effect"]) == (0, "applied")
    assert (again.code, again.document["effect"]) == (0, "no_op")
    assert again.document["intent"] == first.document["intent"]
    assert await command.kinds() == ["intent", "step", "outcome"]


async def test_an_idempotency_key_stands_for_one_intention(shop: Scene, command: Command) -> None:
    root = await command.root()
    assert (await command.apply("session.terminate", root, "--idempotency-key", "inc-8")).code == 0
    other = {"id": shop.clients[0].id, "started_at": root["started_at"]}
    done = await command.apply("session.terminate", other, "--idempotency-key", "inc-8")
    assert (done.code, done.document["effect"]) == (4, "none")
    assert "something else" in done.err
    assert (await command.apply("session.terminate", root, "--idempotency-key", "")).code == 2


@pytest.mark.parametrize("select", ["enviroment=prod", "prod", "env="])
async def test_a_policy_that_could_never_hold_is_refused(shop: Scene, command: Command, select: str) -> None:
    root = await command.root()
    freeze = {
        "start": "2020-01-01T00:00:00Z",
        "end": "2999-01-01T00:00:00Z",
        "reason": "x",
        "select": select,
    }
    targets = {"t": shop.server.target_dict()}
    command.write({"audit": command.audit, "targets": targets, "policy": {"freeze": [freeze]}})
    await refused(await command.apply("session.terminate", root), 2, shop, command)


@pytest.mark.parametrize("form", [("--json",), ()])
@pytest.mark.parametrize("into", ["/dev/full", "closed pipe"])
async def test_a_stdout_that_breaks_changes_nothing_of_what_is_said(
    shop: Scene, command: Command, into: str, form: tuple[str, ...]
) -> None:
    """1 would mean that the action failed and nothing is left of it."""
    root = await command.root()
    words = [sys.executable, "-m", "console", "--config", str(command.config), "apply", "session.terminate"]
    words += ["-t", "t", *form, "--yes", "--reason", "x", *key(root)]
    reading, writing = os.pipe()
    os.close(reading)
    stdout = os.open(into, os.O_WRONLY) if into.startswith("/") else writing
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=stdout, stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    os.close(stdout)
    assert process.returncode == 0, err
    assert b"defect" not in err
    assert await command.kinds() == ["intent", "step", "outcome"]


@pytest.mark.parametrize("closed", ["<&- 2>&-", "<&- >&- 2>&-"])
async def test_closed_streams_change_nothing_of_what_is_done(
    shop: Scene, command: Command, closed: str
) -> None:
    """Their numbers are given to no file of dbdeck's, such as the journal; a message is lost, and no more."""
    root = await command.root()
    words = [sys.executable, "-m", "console", "--config", str(command.config)]
    for more, code in (
        (["apply", "session.terminate", "-t", "t", "--yes", "--reason", "x", *key(root)], 0),
        (["apply", "session.terminate", "-t", "nowhere"], 2),
        (["secret", "set", "a/b"], 2),
    ):
        line = f"{shlex.join([*words, *more])} {closed}"
        ended = await (await asyncio.create_subprocess_shell(line, stdout=asyncio.subprocess.DEVNULL)).wait()
        assert ended == code, line
    assert await command.kinds() == ["intent", "step", "outcome"]


async def test_a_session_that_may_not_be_seen_is_not_taken_for_gone(
    postgres18: PostgresServer, shop: Scene, tmp_path: Path
) -> None:
    """An open intent, looked at with a login that sees no other sessions: undecidable, and still frozen."""
    command = Command(tmp_path, {"t": postgres18.target_dict()})
    root = await command.root()
    code, _ = await terminate(command, root, 2)
    assert code == -signal.SIGKILL
    weak = {"user": "app_user", "password": "env:APP_PASSWORD"}
    targets = {"t": postgres18.target_dict(monitor=weak)}
    command.write({"audit": command.audit, "targets": targets})
    env = {"APP_PASSWORD": "app-pw"}
    settled = await command.run("audit", "reconcile", "--json", env=env)
    assert settled.rows[0]["state"] in ("undecidable", "not_applied")
    assert "gone" not in settled.rows[0]["summary"]


# ---- the ledger in trouble ---------------------------------------------------------------------


async def test_a_ledger_that_cannot_be_reached_stops_everything(
    postgres18: PostgresServer, shop: Scene, tmp_path: Path
) -> None:
    command = Command(
        tmp_path, {"t": postgres18.target_dict()}, url="postgresql://dbdeck_audit@127.0.0.1:9/ledger"
    )
    root = await command.root()
    done = await command.apply("session.terminate", root)
    await refused(done, 5, shop, command)
    assert "127.0.0.1:9" in done.err


async def test_a_ledger_that_is_damaged_stops_everything(shop: Scene, command: Command) -> None:
    root = await command.root()
    assert (await command.run("doctor")).code == 0
    command.folder.joinpath("audit.db").write_bytes(b"this is no database" * 100)
    done = await command.apply("session.terminate", root)
    await refused(done, 5, shop, command)
    assert "audit.db" in done.err


async def test_a_ledger_that_swallows_rows_stops_everything(shop: Scene, command: Command) -> None:
    root = await command.root()
    assert (await command.run("doctor")).code == 0
    connection = sqlite3.connect(command.folder / "audit.db")
    (table,) = next(
        row
        for row in connection.execute("select name from sqlite_master where type = 'table'")
        if "entry" in row[0]
    )
    connection.execute(
        f"create trigger swallow before insert on {table} when new.kind = 'intent' "
        "begin select raise(ignore); end"
    )
    connection.commit()
    connection.close()
    done = await command.apply("session.terminate", root)
    await refused(done, 5, shop, command)


async def test_a_journal_that_cannot_be_written_stops_everything(shop: Scene, command: Command) -> None:
    root = await command.root()
    blocked = command.folder / "blocked"
    blocked.write_text("a file where a folder should be")
    command.write(
        {
            "audit": {**command.audit, "journal": str(blocked)},
            "targets": {"t": shop.server.target_dict()},
        }
    )
    done = await command.apply("session.terminate", root)
    await refused(done, 5, shop, command)
    assert "blocked" in done.err


# ---- signals and time --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
)
async def test_a_signal_ends_it_cleanly(command: Command, number: signal.Signals, code: int) -> None:
    watching = await command.start("show", "sessions", "-t", "t", "--json", "--watch", "0.2")
    assert watching.stdout is not None
    await watching.stdout.readline()
    os.kill(watching.pid, number)
    _, err = await watching.communicate()
    assert watching.returncode == code
    assert b"Traceback" not in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_before_any_effect_is_told_in_the_document(
    postgres18: PostgresServer, shop: Scene, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    async with tcp_proxy("127.0.0.1", postgres18.port) as proxy:
        command = Command(tmp_path, {"t": postgres18.target_dict(port=proxy.port)})
        root = await command.root()
        proxy.stall()
        done = await signalled(command, root, number)
        proxy.resume()
        await refused(done, code, shop, command)
        assert done.document["error"]["kind"] == "interrupted"
        assert number.name in done.document["error"]["message"]
        assert "nothing was executed" in done.document["error"]["message"]


async def signalled(command: Command, root: dict[str, Any], number: signal.Signals) -> Done:
    """`apply` against a server that does not answer, ended once it has had time to ask."""
    words = ("apply", "session.terminate", "-t", "t", "--json", "--yes", "--reason", "x", *key(root))
    process = await command.start(*words)
    await asyncio.sleep(2)
    os.kill(process.pid, number)
    out, err = await process.communicate()
    return Done(code=process.returncode or 0, out=out.decode(), err=err.decode())


async def test_a_time_limit_ends_it_before_any_effect(
    postgres18: PostgresServer, shop: Scene, tmp_path: Path
) -> None:
    async with tcp_proxy("127.0.0.1", postgres18.port) as proxy:
        command = Command(tmp_path, {"t": postgres18.target_dict(port=proxy.port)})
        root = await command.root()
        proxy.stall()
        done = await command.apply("session.terminate", root, "--timeout", "1")
        proxy.resume()
        await refused(done, 124, shop, command)


# ---- secrets -----------------------------------------------------------------------------------


async def test_no_password_is_found_anywhere_afterwards(
    postgres18: PostgresServer, shop: Scene, tmp_path: Path
) -> None:
    """Logs, ledger, journal, output, argv: the canaries are in none of them."""
    canaries = ["monitor-pw", "operator-pw"]
    command = Command(tmp_path, {"t": postgres18.target_dict()})
    root = await command.root()
    done = [
        await command.run("doctor", "-t", "t"),
        await command.run("plan", "session.terminate", "-t", "t", *key(root), "--json"),
        await command.apply("session.terminate", root),
        await command.apply("session.terminate", root),
        await command.run("audit", "list", "--json"),
        await command.run("audit", "export", str(tmp_path / "export.ndjson")),
        await command.run("targets", "--json"),
    ]
    seen = "".join(one.out + one.err for one in done)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            seen += path.read_bytes().decode("latin-1")
    seen += postgres18.scratch.log.read_text(errors="replace")
    for canary in canaries:
        assert canary not in seen


async def test_no_password_is_in_the_arguments_of_a_running_command(
    postgres18: PostgresServer, command: Command
) -> None:
    watching = await command.start("show", "sessions", "-t", "t", "--watch", "0.2")
    assert watching.stdout is not None
    await watching.stdout.readline()
    argv = Path(f"/proc/{watching.pid}/cmdline").read_bytes()
    watching.terminate()
    await watching.communicate()
    assert b"-pw" not in argv


def key(session: dict[str, Any]) -> tuple[str, str]:
    return (f"id={session['id']}", f"started_at={session['started_at']}")
