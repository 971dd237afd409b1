"""Hooks in the config: every fault is refused at load, with its line."""

from __future__ import annotations

import pytest

from console.config import parse
from console.errors import ConfigError
from console.model.hooks import covered, named

HEAD = """targets:
  pg: {engine: postgres, monitor: {user: m}}
  my: {engine: mysql, monitor: {user: m}}
rotation:
  targets:
"""
POOLER = "pgbouncer: {userlist: /u, admin: {host: h, user: a}, verify: {host: h, database: d}}"


def config(target: str, *hooks: str, rule: str = "") -> str:
    lines = "".join(f"            - {hook}\n" for hook in hooks)
    return f"{HEAD}    {target}:\n      accounts:\n        ann:\n{rule}          hooks:\n{lines}"


def test_each_kind_is_read() -> None:
    text = config("pg", "pgpass: {path: ~/.pgpass}", POOLER, "exec: {argv: [/bin/true], timeout: 2m}")
    hooks = parse(text).target("pg").rotation.accounts["ann"].hooks
    assert [one.kinds for one in hooks] == [("pgpass",), ("pgbouncer",), ("exec",)]
    assert hooks[2].exec is not None
    assert hooks[2].exec.seconds == 120
    assert parse(config("my", "my_cnf: {path: /x}")).target("my").rotation.accounts["ann"].hooks


@pytest.mark.parametrize(
    ("target", "hook", "says", "hint"),
    [
        ("pg", "pgpass: {path: .pgpass}", "pgpass.path: '.pgpass' is a relative path", "from / or ~/"),
        ("pg", "exec: {argv: [true]}", "argv", ""),
        ("pg", 'exec: {argv: ["true"]}', "hooks.1.exec.argv: 'true' is a relative path", ""),
        ("pg", "exec: {argv: []}", "argv", ""),
        ("pg", "exec: {argv: [/x], timeout: 5}", "timeout", ""),
        ("pg", "exec: {argv: [/x], timeout: 0s}", "timeout", ""),
        ("pg", "exec: {argv: [/x], shell: true}", "unknown key", "argv, timeout"),
        ("pg", "pgpas: {path: /x}", "unknown key", "pgpass"),
        ("pg", "name: x", "exactly one of pgpass, my_cnf, pgbouncer, exec", ""),
        ("pg", "{pgpass: {path: /x}, exec: {argv: [/x]}}", "exactly one of", "two hooks"),
        ("pg", "my_cnf: {path: /x}", "there is no my_cnf for postgres", "pgpass, pgbouncer, exec"),
        ("my", POOLER, "there is no pgbouncer for mysql", "my_cnf, exec"),
        ("pg", POOLER.replace("/u", "u"), "hooks.1.pgbouncer.userlist: 'u' is a relative path", ""),
        ("pg", POOLER.replace("user: a", "user: a, password: pw"), "must be a reference", "keyring:"),
    ],
)  # fmt: skip
def test_a_fault_names_its_line(target: str, hook: str, says: str, hint: str) -> None:
    with pytest.raises(ConfigError) as fault:
        parse(config(target, "exec: {argv: [/bin/true]}", hook), "c.yaml")
    assert "c.yaml, line 11, column " in fault.value.message
    assert says in fault.value.message
    assert hint in fault.value.hint


@pytest.mark.parametrize("entry", ["shop", "shop/a#pending"])
def test_an_entry_that_is_no_name_of_a_secret_is_refused(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"line 9, column \d+: "):
        parse(config("pg", POOLER, rule=f'          entry: "{entry}"\n'))


def test_two_accounts_do_not_share_an_entry() -> None:
    rules = "".join(f"        {name}: {{entry: shop/x}}\n" for name in ("ann", "bob"))
    with pytest.raises(ConfigError, match=r"line 9, column \d+: .*another account's"):
        parse(f"{HEAD}    pg:\n      accounts:\n{rules}")


def test_two_hooks_of_one_name_are_refused() -> None:
    one = "{name: a, exec: {argv: [/bin/true]}}"
    with pytest.raises(ConfigError, match=r"line 11, column \d+: .*called 'a'"):
        parse(config("pg", one, one))


def test_hooks_are_told_apart() -> None:
    more = ("{name: exec-2, exec: {argv: [/b]}}", "exec: {argv: [/c]}")
    text = config("pg", "exec: {argv: [/a]}", *more)
    hooks = parse(text).target("pg").rotation.accounts["ann"].hooks
    assert [one.label for one in named(hooks)] == ["exec", "exec-2", "exec-3"]


def test_what_a_hook_covers_is_a_pattern() -> None:
    hooks = (
        parse(config("pg", "{covers: [pg_*], exec: {argv: [/a]}}"))
        .target("pg")
        .rotation.accounts["ann"]
        .hooks
    )
    assert covered(hooks, "pg_basebackup")
    assert not covered(hooks, "walreceiver")
