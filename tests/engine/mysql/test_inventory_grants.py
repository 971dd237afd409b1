"""Grants by name and fingerprint: the same rights are the same, in whatever order a server tells them."""

from __future__ import annotations

from console.engine.mysql.inventory import grants_named

_HERE = "GRANT SELECT (`Port`, `Server_name`, `Host`), INSERT ON `mysql`.`servers` TO `m`@`%`"
_THERE = "GRANT INSERT, SELECT (`Host`, `Port`, `Server_name`) ON `mysql`.`servers` TO `m`@`%`"


def test_the_order_of_columns_tells_nothing() -> None:
    assert grants_named([_HERE], "m@%") == grants_named([_THERE], "m@%")


def test_a_blank_within_a_column_tells_something() -> None:
    one, two = (f"GRANT SELECT (`{name}`) ON `d`.`t` TO `m`@`%`" for name in ("a b", "ab"))
    assert grants_named([one], "m@%") != grants_named([two], "m@%")


def test_a_column_less_is_another_grant() -> None:
    assert grants_named([_HERE.replace("`Port`, ", "")], "m@%") != grants_named([_HERE], "m@%")
