"""The rotation section: strict, and what holds for a target."""

from __future__ import annotations

import pytest

from console.config import parse
from console.errors import ConfigError
from console.model.rotation import PasswordRule, Rule, seconds

TARGETS = """
targets:
  orders: {engine: postgres, monitor: {user: m}}
  billing: {engine: mysql, monitor: {user: m}}
"""


def test_without_a_section_nobody_is_overdue() -> None:
    assert parse(TARGETS).rotation.of("orders") == Rule()
    assert Rule().every is None


def test_a_target_replaces_what_it_writes_and_keeps_the_rest() -> None:
    config = parse(
        TARGETS
        + """
rotation:
  every: 90d
  exclude: [root]
  targets:
    orders: {every: 2w}
    billing: {exclude: [], every: never, password: {length: 20, max_length: 32}}
"""
    )
    orders, billing = config.rotation.of("orders"), config.rotation.of("billing")
    assert (orders.every, orders.exclude, orders.password) == (14 * 86400.0, ("root",), PasswordRule())
    assert (billing.every, billing.exclude, billing.password.length) == (None, (), 20)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{every: 0d}", "every"),
        ("{every: 90}", "every"),
        ("{every: 90 days}", "every"),
        ("{password: {length: 4}}", "length"),
        ("{password: {length: 40, max_length: 32}}", "more than max_length"),
        ("{password: {length: 12}}", "bits"),
        ("{password: {exclude: abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ012345}}", "bits"),
        ("{targets: {order: {every: 1d}}}", "no target"),
        ("{evry: 1d}", "unknown key"),
    ],
)
def test_a_rule_that_means_nothing_is_refused_with_its_line(section: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as fault:
        parse(f"{TARGETS}rotation: {section}")
    assert "line 5" in fault.value.message


def test_an_exclusion_means_all_hosts_of_a_user_or_one_of_them() -> None:
    rule = Rule(exclude=("repl_*", "app@10.%"))
    assert rule.excludes("repl_a", "%")
    assert rule.excludes("app", "10.%")
    assert not rule.excludes("app", "%")
    assert not rule.excludes("app")


def test_a_cadence_is_in_seconds() -> None:
    assert [seconds(text) for text in ("1h", "1d", "1w", "never")] == [3600.0, 86400.0, 604800.0, None]
