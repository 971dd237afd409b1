"""The shipped runbooks from start to end, by the command line, in the real situation, on every server."""

from __future__ import annotations

import asyncio
import html
import json
import signal
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from console.runbook.skeleton import skeleton
from tests.command import Command
from tests.running import START, end, happened, waiting, with_documents
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.situations import Scene, scene


@pytest_asyncio.fixture
async def shop(any_server: Server) -> AsyncIterator[Scene]:
    async with scene(any_server) as made:
        yield made


@pytest.fixture
def command(shop: Scene, any_server: Server, tmp_path: Path) -> Command:
    mysql = isinstance(any_server, MysqlServer)  # whose documented operator enters no database
    given = {} if mysql else {"database": shop.database}
    return Command(tmp_path, {"t": any_server.target_dict(**given)})


async def test_every_effect_is_a_child_of_its_run(shop: Scene, command: Command) -> None:
    await shop.chain(2)
    await waiting(command, 2)
    done = await command.run("runbook", "run", "lock-storm", *START, "--yes")
    run = end(done)["run"]
    kinds = await command.kinds()
    assert kinds[0] == "run"
    assert kinds.index("run") < kinds.index("intent") < kinds.index("outcome")
    exported = await command.run("audit", "export", "-")
    rows = [json.loads(line) for line in exported.out.splitlines()]
    assert {row["parent"] for row in rows if row.get("kind") in ("intent", "step", "outcome")} == {run}


async def test_a_run_is_exported_as_a_post_mortem(shop: Scene, command: Command) -> None:
    await shop.chain(2)
    await waiting(command, 2)
    run = end(await command.run("runbook", "run", "lock-storm", *START, "--yes"))["run"]
    done = await command.run("runbook", "export", run, "--format", "json")
    effect = done.document["effects"][0]
    assert (effect["standing"], effect["status"]) == ("stands", "applied")
    assert effect["sent"][0]["statements"], done
    assert done.document["stands"] == [effect["step"]]
    page = command.folder / "page.html"
    first = await command.run("runbook", "export", run, "--format", "html", "-o", str(page))
    assert (first.code, page.stat().st_mode & 0o777) == (0, 0o600)
    assert effect["sent"][0]["statements"][0][:20] in html.unescape(page.read_text())
    twice = await command.run("runbook", "export", run, "-o", str(page))
    assert (twice.code, "nothing was written" in twice.err) == (2, True)
    assert (await command.run("runbook", "export", run)).out.startswith("# Post-mortem: ")


async def test_without_a_yes_the_run_waits_and_nothing_was_done(shop: Scene, command: Command) -> None:
    root, *_ = await shop.chain(2)
    await waiting(command, 2)
    done = await command.run("runbook", "run", "lock-storm", *START)
    assert (done.code, end(done)["waiting"]["question"]) == (2, "action"), done
    assert "--yes" in done.err
    assert "intent" not in await command.kinds()
    assert root.id in {
        row["session"]["id"] for row in (await command.run("show", "locks", "-t", "t", "--json")).rows
    }


async def test_a_run_that_waits_is_gone_on_with_by_the_ledger(shop: Scene, command: Command) -> None:
    await shop.chain(2)
    await waiting(command, 2)
    first = await command.run("runbook", "run", "lock-storm", *START)
    run = end(first)["run"]
    again = await command.run("runbook", "resume", run, "--yes", "--json")
    assert (again.code, end(again)["result"]) == (0, "ok"), again
    assert happened(again)[0] == ("resumed", "")
    assert ("observed", "look") not in happened(again)
    twice = await command.run("runbook", "resume", run, "--yes", "--json")
    assert (twice.code, "has ended as ok" in twice.err) == (0, True), twice


async def test_the_plan_shows_the_whole_tree_and_changes_nothing(shop: Scene, command: Command) -> None:
    root, *_ = await shop.chain(2)
    await waiting(command, 2)
    done = await command.run("runbook", "plan", "lock-storm", "-t", "t", "--json")
    rows = {(row["step"], row["text"].partition(":")[0]): row for row in done.document["rows"]}
    assert rows[("look", "reads locks")]["known"] == "now"
    assert rows[("calm", "if storm.count == 0 (nobody waits)")]["known"] == "never"
    action = next(row for row in done.document["rows"] if row["text"].startswith("ACTION chain.break"))
    assert str(root.id) in " ".join(action["statements"])
    assert any(
        row["step"] == "break" and row["text"] == "nothing takes it back" for row in done.document["rows"]
    )
    assert next(row for row in done.document["rows"] if row["step"] == "settled")["known"] == "run time"
    assert await command.kinds() == []


async def test_the_plan_says_of_each_action_that_the_policy_denies_it(shop: Scene, command: Command) -> None:
    """Before the run, not at the step; the tree is shown all the same."""
    await shop.chain(2)
    await waiting(command, 2)
    free = await command.run("runbook", "plan", "lock-storm", "-t", "t", "--json")
    assert {row["policy"] for row in free.document["rows"]} == {""}
    values = yaml.safe_load(command.config.read_text())
    values["policy"] = {"deny": [{"actions": ["chain.*"], "reason": "not in the sale"}]}
    command.write(values)
    done = await command.run("runbook", "plan", "lock-storm", "-t", "t", "--json")
    assert done.code == 0, done
    told = {row["text"].split()[1]: row["policy"] for row in done.document["rows"] if "ACTION" in row["text"]}
    assert told["chain.break"] == "would be refused: policy denies chain.break on t: not in the sale"
    assert not any(policy for name, policy in told.items() if not name.startswith("chain."))
    shown = await command.run("runbook", "plan", "lock-storm", "-t", "t")
    assert "policy, as it is now: would be refused: policy denies chain.break" in shown.out


async def test_what_a_newcomer_begins_with_finds_the_session_it_is_given(
    shop: Scene, command: Command
) -> None:
    await shop.chain(2)
    await waiting(command, 2)
    rows = (await command.run("show", "locks", "-t", "t", "--json")).rows
    waiter = next(row["session"] for row in rows if row["blocked_by"])
    mine = with_documents(command, skeleton("mine", "ann", date(2026, 11, 20)))
    given = f"session={waiter['id']}@{waiter['started_at']}"  # as `show sessions --json` prints it
    done = await mine.run("runbook", "run", "mine", *START, "--yes", "-p", given)
    assert (done.code, end(done)["effects"]) == (0, ["cancel"]), done


# ---- a runner that dies, and two of them ---------------------------------------------------------

OWN = """apiVersion: runbook/v1
id: own
title: Own
owner: dba
reviewed: 2026-11-20
engines: {postgresql: ">=13", mysql: ">=8.0", mariadb: ">=10.6"}
risk: high
params:
  session: {type: session, required: true}
  hold: {type: boolean, default: false}
steps:
  - id: wait
    kind: wait_until
    read: locks
    until: count > 900
    timeout: 12s
    when: hold
    every: 200ms
    on_failure: continue
  - id: one
    kind: query
    sql:
      postgresql: "select :id::bigint as n, 'x' as t"
      mysql: "select :id as n, 'x' as t"
      mariadb: "select :id as n, 'x' as t"
    args: {id: session.id}
    expect: [{assert: row.n == session.id}]
    save: one
  - {id: tell, kind: manual, text: "tell the owner of {{ one.rows[0].n }}"}
  - {id: sure, kind: confirm, text: sure, phrase: end it}
  - id: stop
    kind: action
    action: session.terminate
    with: {id: session.id, started_at: session.started_at}
"""


@pytest.fixture
def own(command: Command) -> Command:
    return with_documents(command, OWN)


async def key(command: Command, number: int) -> str:
    rows = (await command.run("show", "sessions", "-t", "t", "--json")).rows
    found = next(row["session"] for row in rows if row["session"]["id"] == number)
    return f"session={found['id']}@{found['started_at']}"


async def test_hand_and_gate_are_refused_unless_they_are_given(shop: Scene, own: Command) -> None:
    holder = await shop.holder(1)
    first = await own.run("runbook", "run", "own", *START, "--yes", "-p", await key(own, holder.id))
    assert (first.code, end(first)["waiting"]["question"]) == (2, "manual"), first
    run = end(first)["run"]
    second = await own.run(
        "runbook", "resume", run, "--yes", "--attest", "tell=told", "--confirm", "sure=yes", "--json"
    )
    assert (second.code, end(second)["waiting"]["question"]) == (2, "confirm"), second
    third = await own.run("runbook", "resume", run, "--yes", "--confirm", "sure=end it", "--json")
    assert (third.code, end(third)["effects"]) == (0, ["stop"]), third


async def test_a_runner_that_is_killed_is_followed_by_another_that_goes_on(shop: Scene, own: Command) -> None:
    holder = await shop.holder(1)
    words = ("runbook", "run", "own", *START, "-p", "hold=true", "-p", await key(own, holder.id))
    runner = await own.start(*words)
    assert runner.stdout is not None
    first = json.loads(await runner.stdout.readline())
    await runner.stdout.readline()  # the wait has begun
    follower = await own.start("runbook", "resume", first["run"], "--json")
    assert follower.stderr is not None
    assert b"is held by" in await follower.stderr.readline()
    runner.send_signal(signal.SIGKILL)
    await runner.wait()
    out, err = await asyncio.wait_for(follower.communicate(), 60)
    assert (follower.returncode, b"its runner is gone" in err) == (7, True), (out, err)
    again = await own.run(
        "runbook",
        "resume",
        first["run"],
        "--yes",
        "--attest",
        "tell=told",
        "--confirm",
        "sure=end it",
        "--json",
    )
    assert (again.code, end(again)["effects"]) == (0, ["stop"]), again
    assert (await own.run("audit", "verify", "--json")).document["ok"] is True


async def test_a_second_runner_follows_to_the_end(shop: Scene, own: Command) -> None:
    holder = await shop.holder(1)
    answers = ("--yes", "--attest", "tell=told", "--confirm", "sure=end it")
    runner = await own.start(
        "runbook", "run", "own", *START, *answers, "-p", "hold=true", "-p", await key(own, holder.id)
    )
    assert runner.stdout is not None
    first = json.loads(await runner.stdout.readline())
    follower = await own.start("runbook", "resume", first["run"], *answers, "--json")
    await runner.communicate()
    out, err = await asyncio.wait_for(follower.communicate(), 60)
    assert b"is held by" in err
    followed = [json.loads(line) for line in out.splitlines()]
    assert (runner.returncode, follower.returncode) == (0, 0), err
    assert (followed[-2]["event"], followed[-1]["result"]) == ("ended", "ok")
    assert (await own.kinds()).count("intent") == 1
