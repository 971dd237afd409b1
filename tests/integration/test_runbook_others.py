"""What others do with a run that nobody runs now: they are handed it, they stop it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from console.audit.ledger import install
from tests.command import Command
from tests.running import START, end, happened, rows_of, with_documents
from tests.servers.accounts import APP, OPERATOR, PASSWORDS
from tests.servers.postgres import PostgresServer

BOB, ANN, CAROL = "bob", "ann", "carol"
OWN = """apiVersion: runbook/v1
id: own
title: Own
owner: dba
reviewed: 2026-11-20
engines: {postgresql: ">=13"}
risk: medium
params:
  hold: {type: boolean, default: false}
steps:
  - {id: w, kind: wait_until, read: locks, until: count > 900, timeout: 9s, when: hold, on_failure: continue}
  - {id: tell, kind: manual, text: tell them}
  - id: set
    kind: action
    action: setting.set
    with: {name: "'lock_timeout'", value: "'7s'", database: server.database}
    rollback:
      - id: back
        kind: action
        action: setting.reset
        with: {name: "'lock_timeout'", database: server.database}
  - {id: sure, kind: confirm, text: sure}
"""


APPROVED = """apiVersion: runbook/v1
id: approved
title: Approved
owner: dba
reviewed: 2026-11-20
engines: {postgresql: ">=13"}
risk: none
approvals: {expires: 1h}
steps:
  - {id: done, kind: end, result: ok, text: done}
"""


@pytest.fixture
async def own(postgres18: PostgresServer, tmp_path: Path) -> Command:
    target = postgres18.target_dict(host=str(postgres18.host), database=await postgres18.new_database())
    target["operator"] = {"user": postgres18.superuser}  # over the socket
    return with_documents(Command(tmp_path, {"t": target}), OWN, APPROVED)


async def begun(own: Command, *words: str) -> str:
    done = await own.run("runbook", "run", "own", *START, *words, by=ANN)
    run: str = end(done)["run"]
    return run


async def test_a_run_is_handed_over_and_the_other_goes_on(own: Command) -> None:
    run = await begun(own)
    done = await own.run("runbook", "handover", run, "--to", "bob", "--note", "they know", by=ANN)
    assert (done.code, "to bob: they know" in done.out) == (0, True), done
    (row,) = (await own.run("runbook", "status", "--json")).rows
    assert (row["state"].partition("@")[0], row["holder"]) == ("not ended, handed over to bob by ann", "bob")
    mine = await own.run("runbook", "resume", run, "--json", by=BOB)
    assert ("handed over" in mine.err, happened(mine)[0]) == (False, ("resumed", "")), mine
    (row,) = (await own.run("runbook", "status", "--json")).rows
    assert (row["state"], row["holder"]) == ("not ended", None)


async def test_another_than_the_one_it_was_handed_to_is_told_and_may(own: Command) -> None:
    run = await begun(own)
    await own.run("runbook", "handover", run, "--to", "bob", by=ANN)
    done = await own.run("runbook", "resume", run, "--attest", "tell=told", "--json", by=CAROL)
    assert "was handed over to bob by ann" in done.err
    resumed = [row for row in await rows_of(own, run) if row["event"] == "resumed"]
    assert [row["by"].partition("@")[0] for row in resumed] == ["carol"]


async def test_a_run_that_somebody_runs_is_not_handed_over(own: Command) -> None:
    runner = await own.start("runbook", "run", "own", *START, "-p", "hold=true")
    assert runner.stdout is not None
    run = json.loads(await runner.stdout.readline())["run"]
    for words in (("handover", run, "--to", "bob"), ("stop", run, "--reason", "no")):
        done = await own.run("runbook", *words)
        assert (done.code, "is held by" in done.err) == (7, True), done
    runner.send_signal(signal.SIGKILL)
    await runner.communicate()
    assert {row["event"] for row in await rows_of(own, run)} == {"started", "begun"}


async def test_a_stopped_run_that_changed_nothing_ends_with_1(own: Command) -> None:
    run = await begun(own)
    without = await own.run("runbook", "stop", run)
    assert (without.code, "no reason" in without.err) == (2, True)
    done = await own.run("runbook", "stop", run, "--reason", "not ours", "--json", by=BOB)
    assert (done.code, end(done)["result"], end(done)["effects"]) == (1, "stopped", []), done
    assert "bob" in end(done)["text"]
    again = await own.run("runbook", "stop", run, "--reason", "not ours")
    assert (again.code, "has ended as stopped" in again.err) == (2, True)
    assert (await own.run("runbook", "resume", run)).code == 1


async def test_what_a_stopped_run_changed_stands_and_is_told(own: Command) -> None:
    run = await begun(own, "--yes", "--attest", "tell=told")
    done = await own.run("runbook", "stop", run, "--reason", "not ours")
    assert (done.code, "what it did stands: set" in done.err) == (8, True), done
    exported = await own.run("runbook", "export", run, "--format", "json")
    assert (exported.document["result"], exported.document["stands"]) == ("stopped", ["set"])


async def test_a_refusal_is_a_document_as_well(own: Command) -> None:
    words = ("runbook", "run", "own", "-t", "t", "--json")
    for more, kind, code in (((), "usage", 2), (("--reason", "x", "-p", "hold=7"), "usage", 2)):
        done = await own.run(*words, *more)
        assert (done.code, end(done)["exit"], end(done)["error"]["kind"]) == (code, code, kind), done
        assert (end(done)["result"], end(done)["run"], end(done)["target"]) == (None, None, "t")
    run = await begun(own)
    for command in (("stop", run), ("handover", run, "--to", ""), ("approve", run)):
        done = await own.run("runbook", *command, "--json")
        assert (done.code, end(done)["run"], end(done)["error"]["kind"]) == (2, run, "usage"), done


# ---- approvals -----------------------------------------------------------------------------------


async def test_another_approves_it_and_the_starter_does_not(own: Command) -> None:
    first = await own.run("runbook", "run", "approved", *START, by=ANN)
    run = end(first)["run"]
    assert (first.code, end(first)["waiting"]["question"]) == (4, "approval"), first
    assert f"somebody else: `dbdeck runbook approve {run} --reason TEXT`" in first.err, first
    herself = await own.run("runbook", "approve", run, "--reason", "fine", by=ANN)
    assert (herself.code, "does not approve it" in herself.err) == (4, True), herself
    other = await own.run("runbook", "approve", run, "--reason", "looked at the locks", by=BOB)
    assert (other.code, "verifies no login" in other.err) == (0, True), other
    again = await own.run("runbook", "approve", run, "--reason", "fine", by=BOB)
    assert (again.code, "wants no approval now" in again.err) == (2, True), again
    done = await own.run("runbook", "resume", run, "--json", by=ANN)
    assert (done.code, end(done)["result"]) == (0, "ok"), done


async def test_on_a_server_two_logins_are_two_people(
    postgres18: PostgresServer, own: Command, tmp_path: Path
) -> None:
    database = await postgres18.new_database()
    at = f":{postgres18.port}/{database}?host={postgres18.host}"
    logins = [OPERATOR, APP]
    await install(f"postgresql://{postgres18.superuser}@{at}", writers=logins, auditors=logins)
    targets = yaml.safe_load(own.config.read_text())
    first, second = [_as(tmp_path, login, at, targets) for login in logins]
    env = {name: PASSWORDS[name] for name in logins}
    run = end(await first.run("runbook", "run", "approved", *START, env=env))["run"]
    same = await first.run("runbook", "approve", run, "--reason", "fine", env=env, by=BOB)
    assert (same.code, f"for the ledger you both are {OPERATOR}" in same.err) == (4, True), same
    other = await second.run("runbook", "approve", run, "--reason", "fine", env=env)
    assert (other.code, "verifies no login" in other.err) == (0, False), other
    done = await first.run("runbook", "resume", run, "--json", env=env)
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    people = (await first.run("runbook", "export", run, "--format", "json", env=env)).document["people"]
    assert people[0]["logins"] == logins


def _as(folder: Path, login: str, at: str, values: dict[str, Any]) -> Command:
    """The same config, with another login of the ledger."""
    own = folder / login
    own.mkdir()
    command = Command(own, {}, url=f"postgresql://{login}@{at}", password=f"env:{login}")
    command.write({**values, "audit": command.audit})
    return command
