"""`policy explain` and `policy test`, and a refusal by a rule, by the command line."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import yaml

from tests.command import Command
from tests.integration.actions.conftest import superuser
from tests.servers import accounts
from tests.servers.postgres import PostgresServer

ME = pwd.getpwuid(os.getuid()).pw_name
TARGET = {"engine": "postgres", "monitor": {"user": "m"}, "operator": {"user": "o"}, "environment": "prod"}


def ruled(folder: Path, *rules: dict[str, Any], **more: Any) -> Command:
    command = Command(folder, {"t": TARGET})
    values = yaml.safe_load(command.config.read_text())
    command.write({**values, "policy": {"rules": list(rules), **more}})
    return command


async def test_the_deciding_rule_is_named(tmp_path: Path) -> None:
    command = ruled(tmp_path, {"name": "mine", "effect": "allow", "who": [ME], "actions": ["session.*"]})
    allowed = await command.run("policy", "explain", "session.terminate", "-t", "t", "--json")
    assert (allowed.code, allowed.rows[0]["rule"], allowed.rows[0]["effect"]) == (0, "mine", "allow"), allowed
    denied = await command.run("policy", "explain", "session.terminate", "-t", "t", "--who", "bob")
    assert (denied.code, "no rule allows high risk in prod" in denied.out) == (4, True), denied


async def test_a_group_of_nobody_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    command = ruled(tmp_path, {"name": "dbas", "effect": "allow", "who": ["group:dba"]})
    words = ("policy", "explain", "session.terminate", "-t", "t", "--group", "dba")
    done = await command.run(*words)
    assert (done.code, "--who" in done.err) == (2, True), done
    assert (await command.run(*words, "--who", "eve")).code == 0


async def test_tests_of_the_policy_are_tried(tmp_path: Path) -> None:
    good = {"action": "session.cancel", "target": "t", "who": "ann", "risk": "high", "expect": "deny"}
    rule = {"name": "mine", "effect": "allow", "who": [ME]}
    assert (await ruled(tmp_path, rule, tests=[good]).run("policy", "test")).code == 0
    bad = await ruled(tmp_path, rule, tests=[good, {**good, "expect": "allow"}]).run("policy", "test")
    assert (bad.code, "1 of 2 tests hold" in bad.out) == (1, True), bad
    assert (await ruled(tmp_path, rule).run("policy", "test")).code == 2


async def test_what_decides_is_named_also_where_it_is_no_rule(tmp_path: Path) -> None:
    allow = {"name": "mine", "effect": "allow", "max_targets": 1, "per": "2h"}
    words = ("policy", "explain", "session.terminate", "-t", "t", "--json")
    ever = {"start": "2020-01-01T00:00:00Z", "end": "2999-01-01T00:00:00Z", "reason": "sale"}
    denial = {"actions": ["session.*"], "reason": "ask first"}
    for more, rule in (
        ({"deny": [denial], "freeze": [ever]}, "policy.deny"),
        ({"freeze": [ever]}, "policy.freeze"),
    ):
        found = await ruled(tmp_path, allow, **more).run(*words)
        row = found.rows[0]
        assert (found.code, row["rule"], row["effect"]) == (4, rule, "deny"), found
    found = await ruled(tmp_path, allow, ticket=["prod"]).run(*words)
    row = found.rows[0]
    assert (found.code, row["rule"], row["ticket"], row["max_targets"], row["per"]) == (
        0,
        "mine",
        True,
        1,
        "2h",
    )


async def test_what_has_no_operator_is_named_as_that_whatever_the_policy_says(tmp_path: Path) -> None:
    command = ruled(tmp_path, deny=[{"actions": ["*"], "reason": "ask first"}])
    values = yaml.safe_load(command.config.read_text())
    del values["targets"]["t"]["operator"]
    command.write(values)
    row = (await command.run("policy", "explain", "session.cancel", "-t", "t", "--json")).rows[0]
    assert (row["rule"], row["effect"], row["approvals"]) == ("targets.t.operator", "deny", 0)
    assert row["reason"].startswith("t is read-only")


async def test_a_policy_with_a_slip_in_it_allows_nothing(tmp_path: Path) -> None:
    deny = {"name": "no", "effect": "deny", "actions": ["sesion.*"]}
    done = await ruled(tmp_path, deny).run("policy", "explain", "session.cancel", "-t", "t")
    assert (done.code, "sesion.*" in done.err) == (2, True), done
    done = await ruled(tmp_path, deny).run(
        "apply", "session.cancel", "-t", "t", "--json", "--yes", "--reason", "x"
    )
    assert (done.code, done.document["effect"]) == (2, "none"), done


async def test_what_a_rule_denies_is_recorded_and_not_done(
    postgres18: PostgresServer, tmp_path: Path
) -> None:
    command = Command(tmp_path, {"t": postgres18.target_dict()})
    values = yaml.safe_load(command.config.read_text())
    deny = {"name": "hands off", "effect": "deny", "actions": ["setting.*"], "reason": "ask the owner"}
    command.write({**values, "policy": {"rules": [deny]}})
    words = ("setting.set", "-t", "t", "name=work_mem", "value=8MB", "scope=server", "--reason", "x", "--yes")
    done = await command.run("apply", *words)
    assert (done.code, "hands off: ask the owner" in done.err) == (4, True), done
    assert await command.kinds() == ["refused"]


async def test_a_rule_ends_at_so_many_targets(postgres18: PostgresServer, tmp_path: Path) -> None:
    """Whoever acted; the ledger counts. A target that was met already is not one more."""
    names = ("a", "b", "c")
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "rules: [{name: few, effect: allow, actions: ['setting.*'], max_targets: 2, per: 1h}]\n"
    )
    command = Command(tmp_path, {name: postgres18.target_dict() for name in names})
    values = yaml.safe_load(command.config.read_text())
    command.write({**values, "policy_file": str(policy)})
    codes: dict[str, tuple[int, ...]] = {}
    rights = ("alter system on parameter work_mem", "execute on function pg_reload_conf()")
    await superuser(postgres18, *(f"grant {right} to {accounts.OPERATOR}" for right in rights))
    for name in (*names, "a"):
        words = ("setting.set", "-t", name, "name=work_mem", "value=5MB", "scope=server")
        done = await command.run("apply", *words, "--reason", "x", "--yes")
        codes[name] = (*codes.get(name, ()), done.code)
    revoked = (f"revoke {right} from {accounts.OPERATOR}" for right in rights)
    await superuser(postgres18, *revoked, "alter system reset work_mem")
    assert codes["c"] == (4,), codes
    assert 4 not in (*codes["a"], *codes["b"]), codes
    shown = await command.run("audit", "list", "--json", "--limit", "50")
    intents = [one["body"] for one in shown.rows if one["kind"] == "intent"]
    assert {(one["target"], one["rule"]) for one in intents} == {("a", "few"), ("b", "few")}
    assert {len(one["policy"]) for one in intents} == {64}
