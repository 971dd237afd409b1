"""Acting while the ledger is out of reach, by the command line and on real servers, and what follows."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

import actions
from console.audit.ledger import install
from console.cli.act import load_plan
from console.config import load
from console.dispatch.registry import Registry
from console.dispatch.scratch import free_port
from console.engine.open import open_operator
from tests.audit.outage import outage
from tests.audit.sinks import MysqlSink, PostgresSink
from tests.command import Command, Done
from tests.servers.accounts import APP, OPERATOR, PASSWORDS
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

SET = ("setting.set", "-t", "t", "name=work_mem", "value=8MB", f"role={OPERATOR}", "--reason", "x", "--yes")
BREAK = (*SET, "--break-glass", "--confirm", "t")
MAY = {"who": ["*"], "minutes": 5}


class People:
    """Two people with a login each at one ledger; the target is another server, or another database."""

    def __init__(self, sink: PostgresSink | MysqlSink, target: PostgresServer, folder: Path) -> None:
        self.sink = sink
        self.target = target
        self.mine, self.other = (self._command(folder / login, login) for login in (OPERATOR, APP))

    def _command(self, folder: Path, login: str) -> Command:
        folder.mkdir()
        (folder / "password").write_text(PASSWORDS[login])
        (folder / "password").chmod(0o600)
        url = self.sink.url.replace(f"//{OPERATOR}@", f"//{login}@")
        return Command(
            folder, {"t": self.target.target_dict()}, url=url, password=f"file:{folder}/password",
            journal=str(folder / "journal"),
        )  # fmt: skip

    def policy(self, **policy: Any) -> None:
        values = yaml.safe_load(self.mine.config.read_text())
        self.mine.write({**values, "policy": policy})

    async def knows_the_ledger(self) -> None:
        """The refusal is a row of this machine."""
        before = self.mine.config.read_text()
        self.policy(ticket=["dev"])
        assert (await self.mine.run("apply", *SET)).code == 4
        self.mine.config.write_text(before)

    async def undone(self) -> None:
        reset = ("setting.reset", "-t", "t", "name=work_mem", f"role={OPERATOR}", "--reason", "x", "--yes")
        done = await self.mine.run("apply", *reset)
        assert done.code == 0, done


async def people_at(server: Server, target: PostgresServer, folder: Path) -> People:
    sink: PostgresSink | MysqlSink
    if isinstance(server, MysqlServer):
        sink = MysqlSink(server, f"ledger_{uuid4().hex[:12]}", folder / "journal")
    else:
        sink = PostgresSink(server, await server.new_database(), folder / "journal")
    await sink.install()
    await install(sink.admin, auditors=[f"{APP}@%" if isinstance(sink, MysqlSink) else APP])
    made = People(sink, target, folder)
    await made.knows_the_ledger()
    return made


@pytest.fixture
async def people(postgres18: PostgresServer, tmp_path: Path) -> AsyncIterator[People]:
    yield await people_at(postgres18, postgres18, tmp_path)
    admin = await postgres18.connect()
    await admin.execute(f"alter role {OPERATOR} reset work_mem")
    await admin.close()


async def broken(people: People, *words: str) -> Done:
    async with outage(people.sink):
        return await people.mine.run("apply", *(words or BREAK), "--json")


@pytest.mark.timeout(300)
async def test_from_the_outage_to_the_review(
    any_server: Server, postgres18: PostgresServer, tmp_path: Path
) -> None:
    people = await people_at(any_server, postgres18, tmp_path)
    people.policy(break_glass=[MAY])
    async with outage(people.sink):
        without = await people.mine.run("apply", *SET)
        assert (without.code, "; nothing was executed\n" in without.err) == (5, True), without
    done = await broken(people)
    assert (done.code, done.document["intent"], done.document["recorded"]) == (0, None, False), done
    assert "BREAK-GLASS on t" in done.err
    async with outage(people.sink):  # while it is away, too
        away = await people.mine.run("audit", "doctor", "--json")
        said = await people.mine.run("audit", "doctor")
    assert [one["rows"] for one in away.document["unmerged"]] == [6], away
    assert away.document["unknown"]
    assert (away.code == 5) == (away.document["rows"] == []), away  # MySQL tells its parts without the table
    assert "6 rows of a break-glass are in" in said.out
    doctor = await people.mine.run("audit", "doctor", "--json")
    assert doctor.document["unknown"] is None
    assert [one["rows"] for one in doctor.document["unmerged"]] == [6], doctor
    merged = await people.mine.run("audit", "merge", "--json")
    assert (merged.code, merged.rows[0]["rows"], merged.rows[0]["ended"]) == (0, 6, True), merged
    again = await people.mine.run("audit", "merge", str(tmp_path / OPERATOR / "journal"), "--json")
    assert (again.code, again.rows[0]["already"]) == (0, 6), again
    kinds = [kind for kind in await people.mine.kinds() if kind != "refused"]
    assert kinds == ["breakglass", "intent", "step", "outcome", "breakglass"]
    verified = await people.mine.run("audit", "verify")
    assert (verified.code, "UNREVIEWED" in verified.out, "declared offline" in verified.out) == (
        0,
        True,
        True,
    )
    which = done.document["action_id"]
    own = await people.mine.run("audit", "review", which, "--reason", "fine", "--yes")
    assert (own.code, "cannot review it" in own.err) == (4, True), own
    theirs = await people.other.run("audit", "review", which, "--reason", "looked", "--yes")
    assert (theirs.code, "work_mem" in theirs.err) == (0, True), theirs
    verified = await people.mine.run("audit", "verify", "--json")
    (offline,) = verified.document["offline"]
    assert (offline["reviewed_by"], offline["review"]) == (APP, "looked"), verified
    assert (await people.mine.run("audit", "doctor", "--json")).document["unreviewed"] == []
    await people.undone()


async def test_who_reaches_no_ledger_is_told_what_was_not_done_and_what_there_is(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    nowhere = f"postgresql://{OPERATOR}@127.0.0.1:{free_port('127.0.0.1')}/ledger"
    done = await Command(tmp_path, {"t": postgres18.target_dict()}, url=nowhere).run("apply", *SET)
    assert (done.code, "; nothing was executed\n" in done.err) == (5, True), done
    assert "--break-glass, for whom policy lets" in done.err, done


async def test_a_ledger_that_answers_is_used(people: People) -> None:
    people.policy(break_glass=[MAY])
    done = await people.mine.run("apply", *BREAK)
    assert (done.code, "can be reached" in done.err) == (4, True), done
    assert "intent" not in await people.mine.kinds()


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ({}, "no policy lets"),
        ({"break_glass": [{"who": ["nobody-else"]}]}, "no policy lets"),
        ({"break_glass": [{"who": ["*"], "select": "env=prod"}]}, "no policy lets"),
        ({"break_glass": [MAY], "deny": [{"actions": ["setting.*"], "reason": "ask"}]}, "denies"),
        ({"break_glass": [MAY], "rules": [{"name": "no", "effect": "deny", "risk": ["medium"]}]}, "denies"),
        (
            {
                "break_glass": [MAY],
                "freeze": [
                    {"start": "2020-01-01T00:00:00+00:00", "end": "2090-01-01T00:00:00+00:00", "reason": "x"}
                ],
            },
            "is frozen until",
        ),
        (
            {"break_glass": [MAY], "rules": [{"name": "two", "effect": "allow", "approvals": 1}]},
            "nobody's approval can be read",
        ),
    ],
)
async def test_it_is_no_way_round_the_policy(people: People, policy: dict[str, Any], told: str) -> None:
    people.policy(**policy)
    done = await broken(people)
    assert (done.code, told in done.err, "nothing was executed" in done.err) == (4, True, True), done
    left = list((people.mine.folder / "journal").glob("*.glass.ndjson"))
    assert [str(one) in done.err for one in left] == [True] * len(left), done  # a refusal is a row, too


async def test_a_policy_may_let_it_go_without_approvals_and_that_is_recorded(people: People) -> None:
    four_eyes = [{"name": "two", "effect": "allow", "approvals": 1}]
    people.policy(break_glass=[{**MAY, "without_approvals": True}], rules=four_eyes)
    done = await broken(people)
    assert done.code == 0, done
    assert (await people.mine.run("audit", "merge")).code == 0
    shown = await people.mine.run("audit", "show", done.document["action_id"], "--json")
    assert shown.rows[0]["body"]["approvals_waived"] == 1
    people.policy()
    await people.undone()


async def test_a_log_server_is_told_each_row(people: People) -> None:
    people.policy(break_glass=[MAY])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as log:
        log.bind(("127.0.0.1", 0))
        log.settimeout(10)
        values = yaml.safe_load(people.mine.config.read_text())
        anchors = [{"syslog": f"udp://127.0.0.1:{log.getsockname()[1]}"}, {"syslog": "/no/log"}]
        values["audit"]["checkpoints"] = {"anchors": anchors}
        people.mine.write(values)
        done = await broken(people)
        assert done.code == 0, done
        seen = [log.recv(4096).decode() for _ in range(6)]
    assert [one.partition(" kind=")[2].split()[0] for one in seen] == [
        "open", "breakglass", "intent", "step", "outcome", "breakglass",
    ]  # fmt: skip
    assert "6 receipts of them are not known to be in /no/log: No such file or directory" in done.err
    last = seen[-1].partition(" link=")[2][:16]
    assert f"the last is {last}" in done.err
    assert (await people.mine.run("audit", "merge")).code == 0
    await people.undone()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((*SET, "--break-glass"), "name typed"),
        ((*SET, "--break-glass", "--confirm", "yes"), "name typed"),
        ((*BREAK, "--idempotency-key", "k"), "needs the ledger"),
        ((*BREAK, "--approve-wait", "1m"), "needs the ledger"),
        (("--resume", str(uuid4()), "-t", "t", "--break-glass"), "needs the ledger"),
        ((*(one for one in BREAK if one != "--yes"),), "no terminal"),
        ((*(one for one in BREAK if one not in ("--reason", "x")),), "no reason"),
    ],
)
async def test_what_is_missing_is_said_before_anything_is_tried(
    people: People, words: tuple[str, ...], told: str
) -> None:
    people.policy(break_glass=[MAY])
    done = await people.mine.run("apply", *words)
    assert (done.code, told in done.err) == (2, True), done


async def test_a_journal_that_cannot_be_written_is_5(people: People) -> None:
    people.policy(break_glass=[MAY])
    (people.mine.folder / "journal").chmod(0o755)
    done = await broken(people)
    assert (done.code, "chmod 0700" in done.err) == (5, True), done


async def test_the_lock_in_the_target_keeps_two_apart(people: People) -> None:
    people.policy(break_glass=[MAY])
    config = load(people.mine.config)
    planned = await people.mine.run("plan", *SET[:-3], "--json")
    action = Registry(actions.ALL).get("setting.set")
    saved = people.mine.folder / "plan.json"
    saved.write_text(planned.out)
    lock = action.lock(load_plan(saved))
    async with open_operator(config.target("t")) as somebody:
        assert await somebody.hold(f"t:{lock}") is None
        done = await broken(people)
    assert (done.code, "being acted on" in done.err) == (7, True), done


# ---- kill -9 --------------------------------------------------------------------------------------

CHILD = """
import asyncio, os, signal, sys
from console.audit import ledger
from console.__main__ import main

stop = int(os.environ["KILL_AT"])
turns = None
append = ledger.Ledger.append
once = asyncio.SelectorEventLoop._run_once

async def counted(self, kind, *args, **options):
    global turns
    receipt = await append(self, kind, *args, **options)
    if kind == "intent":
        turns = 0
    return receipt

def run_once(self):
    global turns
    once(self)
    if turns is not None:
        turns += 1
        if turns == stop:
            os.kill(os.getpid(), signal.SIGKILL)

ledger.Ledger.append = counted
asyncio.SelectorEventLoop._run_once = run_once
sys.argv[0] = "dbdeck"
sys.exit(main())
"""


async def killed(people: People, at: int) -> bool:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHILD, "--config", str(people.mine.config), "apply", *BREAK),
        env={**os.environ, "KILL_AT": str(at)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parent.parent.parent,
    )
    _, err = await process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), err
    return process.returncode != 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("at", [1, 5, 12])
async def test_killed_anywhere_it_is_frozen_here_then_merged_then_reconciled(people: People, at: int) -> None:
    people.policy(break_glass=[MAY])
    async with outage(people.sink):
        died = await killed(people, at)
    if not died:
        return  # it was quicker than it was to be killed
    opened = await people.mine.run("audit", "open", "--json")
    if opened.rows:
        assert [one["unmerged"] for one in opened.rows] == [True], opened
        frozen = await people.mine.run("apply", *SET)
        assert (frozen.code, "audit merge" in frozen.err) == (4, True), frozen
        early = await people.mine.run("audit", "reconcile")
        assert (early.code, "audit merge" in early.out) == (9, True), early
    refused = await people.mine.run("audit", "merge")
    assert (refused.code, "--died" in refused.err) == (4, True), refused
    assert (await people.mine.run("audit", "merge", "--died")).code == 0
    settled = await people.mine.run("audit", "reconcile")
    assert settled.code == 0, settled
    assert (await people.mine.run("audit", "verify")).code == 0
    assert (await people.mine.run("apply", *SET)).code == 0
    await people.undone()
