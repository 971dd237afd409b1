"""Reads of another target than the run's own: opened when they are needed, named where they fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import Command
from tests.running import START, documents, end, rows_of, with_documents
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

OWN = """apiVersion: runbook/v1
id: own
title: Own
owner: dba
reviewed: 2026-11-20
engines: {postgresql: ">=13"}
risk: none
params:
  replica: {type: target, required: true}
steps:
  - {id: here, kind: query, sql: select current_database() as name, save: here}
  - id: there
    kind: query
    target: replica
    sql:
      postgresql: select current_database() as name
      mysql: select concat('my ', 1) as name
      mariadb: select concat('maria ', 1) as name
    expect: [{assert: "row.name != here.rows[0].name"}]
    save: there
    on_failure: continue
  - {id: kept, kind: capture, target: replica, collect: [sessions], save: kept, on_failure: continue}
  - id: until
    kind: wait_until
    target: replica
    read: sessions
    until: count >= 0
    timeout: 3s
    on_failure: continue
  - {id: done, kind: end, result: ok, text: "{{ there.rows[0].name }}"}
"""


@pytest.fixture
async def own(postgres18: PostgresServer, mysql: MysqlServer, tmp_path: Path) -> Command:
    targets = {
        "t": postgres18.target_dict(database=await postgres18.new_database()),
        "other": postgres18.target_dict(),
        "my": mysql.target_dict(),
        "gone": {**postgres18.target_dict(), "port": 1},
    }
    return with_documents(Command(tmp_path, targets), OWN)


async def test_another_target_is_read_with_its_own_monitor_and_sql(own: Command) -> None:
    for name, says in (("other", "postgres"), ("my", " 1")):
        done = await own.run("runbook", "run", "own", *START, "-p", f"replica={name}")
        assert (done.code, says in end(done)["text"]) == (0, True), done
        begun = [row for row in documents(done) if row.get("event") == "begun"]
        assert [row.get("given") for row in begun] == [None, *[{"target": name}] * 3]


async def test_one_that_cannot_be_reached_is_a_failed_read_with_its_name(own: Command) -> None:
    done = await own.run("runbook", "run", "own", *START, "-p", "replica=gone")
    rows = {row["step"]: row for row in await rows_of(own, end(done)["run"]) if row["event"] == "observed"}
    assert rows["there"]["state"] == rows["until"]["state"] == "failed"
    assert rows["there"]["summary"].startswith("gone"), done
    assert "gone" in rows["until"]["summary"]
    assert "gone" in rows["kept"]["warnings"][0]
    assert "known at run time" in end(done)["text"]


async def test_a_target_that_is_not_configured_is_no_param(own: Command) -> None:
    done = await own.run("runbook", "run", "own", *START, "-p", "replica=gon")
    assert (done.code, "no target 'gon'" in done.err, "did you mean gone?" in done.err) == (2, True, True)


async def test_the_plan_reads_it_too_and_says_which_it_is(own: Command) -> None:
    done = await own.run("runbook", "plan", "own", "-t", "t", "-p", "replica=other", "--json")
    told = {row["step"]: (row["text"], row["known"]) for row in done.document["rows"]}
    assert told["there"] == ("reads by its own SQL of other: 1 rows now", "now")
    assert told["kept"][0] == "keeps sessions of other as kept"
    gone = await own.run("runbook", "plan", "own", "-t", "t", "-p", "replica=gone", "--json")
    assert {row["step"]: row["known"] for row in gone.document["rows"]}["there"] == "run time"
