"""The strict loader: every fault names its line and what would be right, and repeats no password."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.config import find, load, parse
from console.errors import ConfigError, Exit
from console.model.target import EngineKind, Environment, TlsMode
from console.strict_yaml import read_yaml

GOOD = """
audit: {url: "sqlite:///~/a.db", journal: ~/j}
targets:
  orders:
    engine: postgres
    host: db1
    monitor: {user: m, password: "env:M"}
    operator: {user: o}
    labels: {team: shop}
  legacy:
    engine: mysql
    environment: staging
    tls: require
    monitor: {user: m}
"""


def test_defaults_are_the_safe_ones() -> None:
    orders, legacy = parse(GOOD).all_targets()
    assert (orders.environment, orders.tls, orders.port) == (Environment.PROD, TlsMode.VERIFY_FULL, 5432)
    assert (orders.database, orders.read_only) == ("postgres", False)
    assert (legacy.engine, legacy.port, legacy.read_only) == (EngineKind.MYSQL, 3306, True)


@pytest.mark.parametrize(
    ("text", "line", "says", "hint"),
    [
        ("targets:\n  a:\n    engine: mysql\n    hots: x\n    monitor: {user: x}\n", 4, "a.hots", "host"),
        ("targets:\n  a:\n    engine: mongo\n    monitor: {user: x}\n", 3, "a.engine", "postgres, mysql"),
        ("targets:\n  a:\n    engine: mysql\n    monitor: {usr: x}\n", 4, "targets.a.monitor.usr", "user"),
        ("targets:\n  a:\n    engine: mysql\n", 2, "monitor", ""),
        ("tragets: {}\n", 1, "tragets", "targets"),
        ("audit:\n  url: 5\n", 2, "audit.url", ""),
        ("audit: {}\naudit: {}\n", 2, "twice", ""),
        ("theme: &a x\n", 1, "anchors", ""),
        ("theme: *a\n", 1, "aliases", ""),
        ("theme: !!str x\n", 1, "tags", ""),
        ("targets: {a: [}\n", 1, "", ""),
        ("- a\n", 1, "array", ""),
        ("policy:\n  deny:\n    - {actions: [x], raeson: y}\n", 3, "raeson", "reason"),
    ],
)  # fmt: skip
def test_a_fault_names_line_key_and_what_is_valid(text: str, line: int, says: str, hint: str) -> None:
    with pytest.raises(ConfigError) as fault:
        parse(text, "c.yaml")
    assert f"c.yaml, line {line}" in fault.value.message
    assert says in fault.value.message
    assert hint in fault.value.hint
    assert fault.value.exit == Exit.USAGE


@pytest.mark.parametrize(
    "text",
    [
        "targets: {a: {engine: mysql, monitor: {user: x, password: hunter2secret}}}",
        "targets: {a: {engine: mysql, monitor: {user: x, password: 'vault:hunter2secret'}}}",
        "audit: {url: 'postgresql://u:hunter2secret@h/db'}",
        "audit: {password: hunter2secret, url: 5}",
    ],
)
def test_a_literal_password_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as fault:
        parse(text)
    assert "hunter2secret" not in fault.value.message + fault.value.hint


@pytest.mark.parametrize(
    ("text", "value"),
    [("no", "no"), ("on", "on"), ("yes", "yes"), ("true", True), ("3.10", 3.1), ("12:30:00", "12:30:00"),
     ("0x1f", "0x1f"), ("1_000", "1_000"), ("~", None), ("2026-11-21", "2026-11-21"), ("'true'", "true")],
)  # fmt: skip
def test_only_true_and_false_are_booleans(text: str, value: object) -> None:
    assert read_yaml(f"k: {text}", "c")[0] == {"k": value}


@given(st.text(max_size=300))
def test_no_text_whatever_brings_a_traceback(text: str) -> None:
    try:
        told = repr(parse(text))
    except ConfigError as fault:
        told = fault.message
    assert told


def test_a_missing_file_says_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no config file") as fault:
        load(tmp_path / "none.yaml")
    assert "dbdeck init" in fault.value.hint


def test_an_unknown_target_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as fault:
        parse(GOOD).target("order")
    assert "orders" in fault.value.hint


def test_the_file_is_the_given_one_else_the_environments_else_xdgs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/x")
    monkeypatch.delenv("DBDECK_CONFIG", raising=False)
    assert find(None) == Path("/x/dbdeck/config.yaml")
    monkeypatch.setenv("DBDECK_CONFIG", "/e.yaml")
    assert find(None) == Path("/e.yaml")
    assert find("/g.yaml") == Path("/g.yaml")


def test_rules_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    config, policy = tmp_path / "config.yaml", tmp_path / "policy.yaml"
    config.write_text(f"policy_file: {policy}\n")
    with pytest.raises(ConfigError, match="nothing is allowed without it"):
        load(config)
    policy.write_text("rules: [{name: all, effect: allow}]\n")
    assert [one.name for one in load(config).policy.rules] == ["all"]
    policy.write_text("rules: [{name: all, effect: perhaps}]\n")
    with pytest.raises(ConfigError, match=r"policy\.yaml.*effect"):
        load(config)
    policy.chmod(0o666)
    with pytest.raises(ConfigError, match="everybody may write the policy"):
        load(config)


def test_rules_do_not_stand_in_two_places(tmp_path: Path) -> None:
    config, policy = tmp_path / "config.yaml", tmp_path / "policy.yaml"
    policy.write_text("{}\n")
    config.write_text(f"policy_file: {policy}\npolicy: {{ticket: [prod]}}\n")
    with pytest.raises(ConfigError, match="policy and in policy_file"):
        load(config)


def test_a_file_without_an_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="/dev/zero: it is a device, and no file"):
        load(Path("/dev/zero"))
    path = tmp_path / "config.yaml"
    with path.open("wb") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(ConfigError, match="it is longer than 16 MB"):
        load(path)
