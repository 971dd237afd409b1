"""What others do with a run that nobody runs now: they are handed it, they stop it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.command import Command
from tests.running import START, end, happened, rows_of, with_documents
from tests.servers.postgres import PostgresServer

BOB = {"LOGNAME": "bob"}
ANN = {"LOGNAME": "ann"}
CAROL = {"LOGNAME": "carol"}
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


@pytest.fixture
async def own(postgres18: PostgresServer, tmp_path: Path) -> Command:
    target = postgres18.target_dict(host=str(postgres18.host), database=await postgres18.new_database())
    target["operator"] = {"user": postgres18.superuser}  # over the socket
    return with_documents(Command(tmp_path, {"t": target}), OWN)


async def begun(own: Command, *words: str) -> str:
    done = await own.run("runbook", "run", "own", *START, *words, env=ANN)
    run: str = end(done)["run"]
    return run


async def test_a_run_is_handed_over_and_the_other_goes_on(own: Command) -> None:
    run = await begun(own)
    done = await own.run("runbook", "handover", run, "--to", "bob", "--note", "they know", env=ANN)
    assert (done.code, "to bob: they know" in done.out) == (0, True), done
    (row,) = (await own.run("runbook", "status", "--json")).rows
    assert (row["state"].partition("@")[0], row["holder"]) == ("not ended, handed over to bob by ann", "bob")
    mine = await own.run("runbook", "resume", run, "--json", env=BOB)
    assert ("handed over" in mine.err, happened(mine)[0]) == (False, ("resumed", "")), mine
    (row,) = (await own.run("runbook", "status", "--json")).rows
    assert (row["state"], row["holder"]) == ("not ended", None)


async def test_another_than_the_one_it_was_handed_to_is_told_and_may(own: Command) -> None:
    run = await begun(own)
    await own.run("runbook", "handover", run, "--to", "bob", env=ANN)
    done = await own.run("runbook", "resume", run, "--attest", "tell=told", "--json", env=CAROL)
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
    done = await own.run("runbook", "stop", run, "--reason", "not ours", "--json", env=BOB)
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
