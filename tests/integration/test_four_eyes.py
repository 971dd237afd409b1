"""Plans that another person has to approve, with the ledger on real servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from console.audit.ledger import Ledger, install, open_ledger
from console.audit.record import Kind
from console.dispatch.action import Plan, Risk
from console.dispatch.approving import ApprovalMissing, approved, id_of
from console.dispatch.ruling import Ruling
from console.errors import Refused
from console.secrets import Secret
from tests.audit.sinks import MysqlSink, PostgresSink
from tests.command import Command
from tests.fakes import IDENTITY, NOW
from tests.running import waiting
from tests.servers.accounts import APP, OPERATOR, PASSWORDS
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.situations import scene

RULE = {"name": "four eyes", "effect": "allow", "actions": ["setting.*"], "approvals": 1}
WORDS = (
    "setting.set",
    "-t",
    "t",
    "name=work_mem",
    "value=8MB",
    f"role={OPERATOR}",
    "--reason",
    "x",
    "--yes",
)
HASH = "ab" * 32


@pytest.fixture
async def sink(any_server: Server, tmp_path: Path) -> PostgresSink | MysqlSink:
    """OPERATOR and APP may both write and read."""
    journal = tmp_path / "journal"
    made: PostgresSink | MysqlSink
    if isinstance(any_server, MysqlServer):
        made = MysqlSink(any_server, f"ledger_{uuid4().hex[:12]}", journal)
    else:
        made = PostgresSink(any_server, await any_server.new_database(), journal)
    await made.install()
    app = f"{APP}@%" if isinstance(made, MysqlSink) else APP
    await install(made.admin, auditors=[app])
    return made


def other(sink: PostgresSink | MysqlSink) -> Any:
    url = sink.url.replace(f"//{OPERATOR}@", f"//{APP}@")
    return open_ledger(url, sink.journal, password=Secret(PASSWORDS[APP]))


async def approval(ledger: Ledger, plan_hash: str = HASH) -> str:
    receipt = await ledger.append(Kind.APPROVAL, id_of(plan_hash), {"plan_hash": plan_hash})
    return receipt.link.hex()


def intent(*links: str, within: float = 60.0) -> dict[str, object]:
    return {"plan_hash": HASH, "approvals": list(links), "approvals_within": within}


async def test_the_ledgers_server_takes_only_the_approval_of_another(sink: PostgresSink | MysqlSink) -> None:
    async with sink.open() as mine, other(sink) as theirs:
        good = await approval(theirs)
        assert [row.link.hex() for row in await mine.approvals(id_of(HASH))] == [good]
        bad = {
            "one's own": intent(await approval(mine)),
            "of another plan": intent(await approval(theirs, "cd" * 32)),
            "too old": intent(good, within=0.0),
            "one that is not there": intent("00" * 32),
            "the same one twice": intent(good, good),
            "one login twice": intent(good, await approval(theirs)),
            "one of two": intent(good, "00" * 32),
        }
        for name, body in bad.items():
            with pytest.raises(Refused, match="nothing was executed"):
                await mine.append(Kind.INTENT, uuid4(), body)
            assert [row.body for row in await mine.entries(kinds=(Kind.INTENT,))] == [], name
        await mine.append(Kind.INTENT, uuid4(), intent(good))
        await mine.append(Kind.INTENT, uuid4(), {"plan_hash": HASH})
        assert (await mine.verify()).ok


async def test_an_approval_of_a_time_to_come_is_none(sink: PostgresSink | MysqlSink) -> None:
    """Made before the clock of the ledger's server was set back a day: it would be young for a day."""
    day = "interval 1 day" if isinstance(sink, MysqlSink) else "interval '1 day'"
    plan = Plan(
        action="a",
        target="t",
        risk=Risk.LOW,
        args={},
        subject={},
        statements=(),
        server=IDENTITY,
        made_at=NOW,
    )
    wanted = Ruling(effect="allow", approvals=1, within=60.0)
    async with sink.open() as mine, other(sink) as theirs:
        link = await approval(theirs, plan.hash)
        body = {"plan_hash": plan.hash, "approvals": [link], "approvals_within": 60.0}
        assert (await approved(mine, plan, wanted)).links == (link,)
        await sink.attack(f"update {{entry}} set at = at + {day} where kind = 'approval'")
        with pytest.raises(ApprovalMissing, match="0 did"):
            await approved(mine, plan, wanted)
        with pytest.raises(Refused, match="nothing was executed"):
            await mine.append(Kind.INTENT, uuid4(), body)
        await sink.execute(f"update {{entry}} set at = at - {day} where kind = 'approval'")
        await mine.append(Kind.INTENT, uuid4(), body)


# ---- by the command line -----------------------------------------------------------------------


@pytest.fixture
async def two(postgres18: PostgresServer, tmp_path: Path) -> AsyncIterator[tuple[Command, Command]]:
    """The same targets and the same ledger; two people with a login each at it."""
    made = PostgresSink(postgres18, await postgres18.new_database(), tmp_path / "journal")
    await made.install()
    await install(made.admin, auditors=[APP])
    people = []
    for login in (OPERATOR, APP):
        folder = tmp_path / login
        folder.mkdir()
        (folder / "password").write_text(PASSWORDS[login])
        (folder / "password").chmod(0o600)
        url = made.url.replace(f"//{OPERATOR}@", f"//{login}@")
        command = Command(
            folder, {"t": postgres18.target_dict()}, url=url, password=f"file:{folder}/password"
        )
        values = {
            "audit": command.audit,
            "targets": {"t": {**postgres18.target_dict(), "environment": "staging"}},
        }
        command.write({**values, "policy": {"rules": [RULE]}})
        people.append(command)
    yield people[0], people[1]
    admin = await postgres18.connect()
    await admin.execute(f"alter role {OPERATOR} reset work_mem")
    await admin.close()


async def test_a_plan_runs_once_somebody_else_approved_it(two: tuple[Command, Command]) -> None:
    asking, approving = two
    planned = await asking.run("plan", *WORDS[:-3])
    assert "`apply` wants the approval of 1 other, by four eyes" in planned.err, planned
    first = await asking.run("apply", *WORDS, "--reason", "for the night", "--ticket", "T-1")
    assert (first.code, "four eyes wants 1 other" in first.err) == (4, True), first
    plan_hash = first.err.split("nothing was executed: ")[1].split()[0]
    own = await asking.run("approve", plan_hash, "--reason", "fine", "--yes")
    assert (own.code, "cannot approve it" in own.err) == (4, True), own
    theirs = await approving.run("approve", plan_hash[:12], "--reason", "fine", "--yes")
    assert (theirs.code, "work_mem" in theirs.err) == (0, True), theirs
    assert f"asked for by {OPERATOR} at " in theirs.err, theirs
    assert "UTC: for the night (ticket T-1)\n" in theirs.err, theirs
    (row,) = (await approving.run("audit", "list", "--kind", "approval", "--json")).rows
    assert row["operator"] == APP  # the verified login, not the name that this machine gives
    second = await asking.run("apply", *WORDS)
    assert second.code == 0, second
    kinds = await asking.kinds()
    assert [kind for kind in kinds if kind in ("refused", "approval", "intent", "outcome")] == [
        "refused", "approval", "intent", "outcome",
    ]  # fmt: skip
    await asking.run("apply", "setting.reset", "-t", "t", "name=work_mem", f"role={OPERATOR}",
                     "--reason", "x", "--yes")  # fmt: skip


async def test_what_is_shown_is_what_has_the_hash(two: tuple[Command, Command], tmp_path: Path) -> None:
    """Who may write rows may write one with the hash that a colleague was told, and another plan in it."""
    asking, approving = two
    first = await asking.run("apply", *WORDS)
    plan_hash = first.err.split("nothing was executed: ")[1].split()[0]
    audit = yaml.safe_load(asking.config.read_text())["audit"]
    async with open_ledger(audit["url"], tmp_path / "by hand", password=Secret(PASSWORDS[OPERATOR])) as mine:
        (row,) = await mine.entries(kinds=(Kind.REFUSED,))
        body = json.loads(row.body or "")
        body["plan"]["statements"] = ["alter role postgres password 'x'"]
        await mine.append(Kind.REFUSED, uuid4(), body)
    done = await approving.run("approve", plan_hash, "--reason", "fine", "--yes")
    assert (done.code, f"by {OPERATOR}, is not the one with the hash {plan_hash}" in done.err) == (2, True), (
        done
    )
    assert (await approving.run("audit", "list", "--kind", "approval", "--json")).rows == []
    await asking.run("apply", *WORDS)  # asks again, with the true one
    assert (await approving.run("approve", plan_hash, "--reason", "fine", "--yes")).code == 0


async def test_who_plans_the_same_again_gets_the_hash_that_was_approved(
    any_server: Server, tmp_path: Path
) -> None:
    """Ages go on, waiters come, its client works on, and what is done to whom is the same."""
    async with scene(any_server) as shop:
        mysql = isinstance(any_server, MysqlServer)
        given = {} if mysql else {"database": shop.database}
        command = Command(tmp_path, {"t": any_server.target_dict(**given)})
        root, _ = await shop.chain(2)
        await waiting(command, 2)
        row = (await command.run("show", "locks", "-t", "t", "--json")).rows[0]
        number, started = row["session"]["id"], f"started_at={row['session']['started_at']}"
        wanted = [
            ("session.terminate", f"id={number}", started),
            ("chain.break", f"root={number}", started),
            ("session.terminate_idle", "older_than=1s"),
        ]

        async def hashes() -> list[str]:
            done = [await command.run("plan", *words, "-t", "t", "--json") for words in wanted]
            return [one.document["hash"] for one in done]

        await asyncio.sleep(1.5)
        before = await hashes()
        await shop.waiter(1)
        await waiting(command, 3)
        await root.run("select 42")
        await asyncio.sleep(1.5)
        assert await hashes() == before


async def test_what_is_left_of_an_approved_plan_needs_no_second_approval(
    two: tuple[Command, Command], postgres18: PostgresServer
) -> None:
    asking, approving = two
    values = yaml.safe_load(asking.config.read_text())
    values["policy"]["rules"] = [{**RULE, "actions": ["session.*"]}]
    asking.write(values)
    file = str(asking.folder / "plan.json")
    async with scene(postgres18) as shop:
        goes, stays = await shop.holder(1), await shop.holder(2)
        await asyncio.sleep(1.5)
        words = ("session.terminate_idle", "-t", "t", "older_than=1s", f"database={shop.database}")
        planned = await asking.run("plan", *words, "--out", file)
        assert planned.code == 0, planned
        apply = ("apply", file, "--reason", "x", "--yes", "--json")
        first = await asking.run(*apply)
        plan_hash = first.err.split("nothing was executed: ")[1].split()[0]
        assert (await approving.run("approve", plan_hash, "--reason", "fine", "--yes")).code == 0
        await goes.close()
        done = await asking.run(*apply)
        assert (done.code, done.document["effect"], len(done.document["statements"])) == (0, "applied", 1)
        shown = (await approving.run("audit", "show", done.document["action_id"], "--json")).rows[0]["body"]
        assert (shown["plan_hash"], shown["plan"]["part_of"]) == (plan_hash, plan_hash)
        assert [one["session"]["id"] for one in shown["subject"]["sessions"]] == [stays.id]


async def test_only_the_approval_of_who_the_rule_names_counts(two: tuple[Command, Command]) -> None:
    asking, approving = two
    values = yaml.safe_load(asking.config.read_text())
    values["policy"]["rules"] = [{**RULE, "approvers": ["dba_*"]}]
    asking.write(values)
    first = await asking.run("apply", *WORDS)
    plan_hash = first.err.split("nothing was executed: ")[1].split()[0]
    assert (await approving.run("approve", plan_hash, "--reason", "fine", "--yes")).code == 0
    second = await asking.run("apply", *WORDS)
    assert (second.code, "1 other of dba_* to approve this plan, 0 did" in second.err) == (4, True), second
    values["policy"]["rules"] = [{**RULE, "approvers": [f"{APP[:3]}*"]}]
    asking.write(values)
    assert (await asking.run("apply", *WORDS)).code == 0
    await asking.run("apply", "setting.reset", "-t", "t", "name=work_mem", f"role={OPERATOR}",
                     "--reason", "x", "--yes")  # fmt: skip


async def test_apply_waits_for_the_other_terminal(two: tuple[Command, Command]) -> None:
    asking, approving = two
    runner = await asking.start("apply", *WORDS, "--approve-wait", "40s")
    assert runner.stderr is not None
    said = ""
    while "nothing was executed: " not in said:
        said = (await asyncio.wait_for(runner.stderr.readline(), 20)).decode()
    plan_hash = said.split("nothing was executed: ")[1].split()[0]
    await asyncio.wait_for(runner.stderr.readline(), 20)
    said = (await asyncio.wait_for(runner.stderr.readline(), 20)).decode()
    assert said.startswith("dbdeck: waiting for it until "), said
    assert (await approving.run("approve", plan_hash, "--reason", "fine", "--yes")).code == 0
    out, err = await asyncio.wait_for(runner.communicate(), 40)
    assert runner.returncode == 0, (out, err)
    assert (await asking.kinds()).count("refused") == 1


async def test_a_file_verifies_nobody(postgres18: PostgresServer, tmp_path: Path) -> None:
    command = Command(tmp_path, {"t": postgres18.target_dict()})
    target = {**postgres18.target_dict(), "environment": "staging"}
    command.write({"audit": command.audit, "targets": {"t": target}, "policy": {"rules": [RULE]}})
    first = await command.run("apply", *WORDS)
    plan_hash = first.err.split("nothing was executed: ")[1].split()[0]
    done = await command.run("approve", plan_hash, "--reason", "fine", "--yes")
    assert (done.code, "verifies nobody" in done.err) == (4, True), done


async def test_what_is_no_plan_is_told(two: tuple[Command, Command]) -> None:
    for text in ("xyz", "abc", "0" * 16):
        done = await two[1].run("approve", text, "--reason", "fine", "--yes")
        assert (done.code, "nothing was approved" in done.err or "no hash" in done.err) == (2, True), done
