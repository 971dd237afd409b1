"""What SHOW GRANTS says a login may do to a table."""

from __future__ import annotations

import pytest

from console.engine.mysql.grants import lacking
from console.engine.port import Need

ACCOUNT = "`op`@`%`"
NEED = Need(schema="shop_1", name="orders", privileges=("SELECT", "INSERT"))
MISSING = "SELECT, INSERT on `shop_1`.`orders`: GRANT SELECT, INSERT ON `shop_1`.`orders` TO `op`@`%`;"


@pytest.mark.parametrize(
    "grants",
    [
        ["GRANT ALL PRIVILEGES ON *.* TO `op`@`%`"],
        ["GRANT SELECT, INSERT, UPDATE ON *.* TO `op`@`%`"],
        ["GRANT USAGE ON *.* TO `op`@`%`", "GRANT SELECT, INSERT ON `shop\\_1`.* TO `op`@`%`"],
        ["GRANT SELECT, INSERT ON `shop%`.* TO `op`@`%` WITH GRANT OPTION"],
        ["GRANT SELECT ON `shop_1`.* TO `op`@`%`", "GRANT INSERT ON `shop_1`.`orders` TO `op`@`%`"],
        ["GRANT ALL PRIVILEGES ON `SHOP_1`.* TO `op`@`%`"],
    ],
)
def test_what_is_granted_is_not_missing(grants: list[str]) -> None:
    assert lacking(grants, [NEED], ACCOUNT) == ()


@pytest.mark.parametrize(
    "grants",
    [
        ["GRANT USAGE ON *.* TO `op`@`%`"],
        ["GRANT SELECT, INSERT ON `shop\\_2`.* TO `op`@`%`"],
        ["GRANT SELECT, INSERT ON `shop_1`.`items` TO `op`@`%`"],
        ["GRANT SELECT (id), INSERT (id) ON `other`.`orders` TO `op`@`%`"],
        ["GRANT PROCESS ON *.* TO `op`@`%`"],
    ],
)
def test_what_is_not_granted_is_told_with_its_grant(grants: list[str]) -> None:
    assert lacking(grants, [NEED], ACCOUNT) == (MISSING,)


def test_a_wildcard_is_none_beside_the_name_of_a_table() -> None:
    assert lacking(["GRANT SELECT, INSERT ON `shop%`.`orders` TO `op`@`%`"], [NEED], ACCOUNT) == (MISSING,)


def test_of_a_login_with_roles_nothing_is_said() -> None:
    grants = ["GRANT USAGE ON *.* TO `op`@`%`", "GRANT `maintainers`@`%` TO `op`@`%`"]
    assert lacking(grants, [NEED], ACCOUNT) == ()


def test_a_privilege_on_everything() -> None:
    need = Need(schema="*", name="*", privileges=("OPTIMIZE_LOCAL_TABLE",))
    assert lacking(["GRANT OPTIMIZE_LOCAL_TABLE ON *.* TO `op`@`%`"], [need], ACCOUNT) == ()
    said = lacking(["GRANT SELECT ON `shop`.* TO `op`@`%`"], [need], ACCOUNT)
    assert said == ("OPTIMIZE_LOCAL_TABLE on *.*: GRANT OPTIMIZE_LOCAL_TABLE ON *.* TO `op`@`%`;",)


def test_backticks_in_names_are_read() -> None:
    need = Need(schema="a`b", name="c`d", privileges=("INDEX",))
    assert lacking(["GRANT INDEX ON `a``b`.`c``d` TO `op`@`%`"], [need], ACCOUNT) == ()


def test_one_of_several_rights_is_enough() -> None:
    need = Need(schema="*", name="*", privileges=("APPLICATION_PASSWORD_ADMIN",), enough=("CREATE USER",))
    assert lacking(["GRANT CREATE USER ON *.* TO `op`@`%`"], [need], ACCOUNT) == ()
    assert lacking(["GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO `op`@`%`"], [need], ACCOUNT) == ()
    (said,) = lacking(["GRANT USAGE ON *.* TO `op`@`%`"], [need], ACCOUNT)
    assert said.endswith("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO `op`@`%`;")


def test_ending_a_session_takes_a_right_but_for_ones_own() -> None:
    need = Need(
        schema="*", name="*", privileges=("CONNECTION_ADMIN",), enough=("SUPER",), sessions_of=("app",)
    )
    (said,) = lacking(["GRANT PROCESS ON *.* TO `op`@`%`"], [need], "'op'@'%'")
    assert said == "CONNECTION_ADMIN on *.*: GRANT CONNECTION_ADMIN ON *.* TO 'op'@'%';"
    for enough in ("SUPER", "CONNECTION_ADMIN", "ALL PRIVILEGES"):
        assert lacking([f"GRANT {enough} ON *.* TO `op`@`%`"], [need], "'op'@'%'") == ()
    assert lacking(["GRANT PROCESS ON *.* TO `app`@`10.%`"], [need], "'app'@'10.%'") == ()
    its = Need(schema="*", name="*", privileges=("CONNECTION_ADMIN",), sessions_of=("o'brien@x",))
    assert lacking(["GRANT USAGE ON *.* TO x"], [its], "'o''brien@x'@'%'") == ()
