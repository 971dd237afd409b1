"""The least rights: what docs/privileges.md prints is what the code grants, and what is missing is found."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.model.access import DEFAULT_NAMES, Purpose, missing, rights
from console.present.access import account_in_sql, statements
from tests.guards.sources import ROOT

SECTIONS = {"PostgreSQL 13+": "postgresql", "MySQL 8.0+": "mysql", "MariaDB 10.6+": "mariadb"}
VERSIONS = {"postgresql": (130000, 180000), "mysql": (80000, 90700), "mariadb": (100600, 110800)}


@pytest.mark.parametrize("title", SECTIONS)
def test_the_page_prints_what_is_granted(title: str) -> None:
    text = (ROOT / "docs" / "privileges.md").read_text(encoding="utf-8")
    block = text.partition(f"## {title}\n")[2].partition("```sql\n")[2].partition("```")[0]
    printed = {re.sub(r"\s*--.*", "", line) for line in block.splitlines() if line.strip()}
    flavor = SECTIONS[title]
    host = None if flavor == "postgresql" else "%"
    for version in VERSIONS[flavor]:
        made = [
            one
            for purpose in Purpose
            for one in statements(purpose, flavor, version, DEFAULT_NAMES[purpose], host)
        ]
        assert set(made) == printed


def test_before_privileges_were_split_the_older_ones_are_named() -> None:
    old = rights(Purpose.OPERATOR, "mysql", 50744)
    assert old[0].names == ("PROCESS", "SUPER")
    assert all("XA_RECOVER_ADMIN" not in one.names for one in rights(Purpose.MONITOR, "mysql", 50744))
    assert rights(Purpose.OPERATOR, "mariadb", 100432)[0].names == ("PROCESS", "SUPER")


EVERY = [
    (purpose, flavor, version)
    for flavor, versions in VERSIONS.items()
    for version in versions
    for purpose in Purpose
]


@given(st.sampled_from(EVERY), st.data())
def test_what_is_held_and_what_is_missing_are_all_of_it(
    of: tuple[Purpose, str, int], data: st.DataObject
) -> None:
    wanted = rights(*of)
    each = sorted({pair for right in wanted for pair in right.each})
    held = frozenset(data.draw(st.sets(st.sampled_from(each))))
    left = {pair for right in missing(wanted, held) for pair in right.each}
    covered = {name for name, on in held if on == "*.*"}
    assert left == {(name, on) for name, on in each if (name, on) not in held and name not in covered}


def test_a_right_on_everything_covers_each_thing() -> None:
    wanted = rights(Purpose.MONITOR, "mysql", 90000)
    held = frozenset({("SELECT", "*.*"), *((name, "*.*") for right in wanted for name in right.names)})
    assert missing(wanted, held) == ()


@pytest.mark.parametrize(
    ("flavor", "name", "host", "shown"),
    [
        ("postgresql", "dbdeck_monitor", None, "dbdeck_monitor"),
        ("postgresql", 'o"Neil', None, '"o""Neil"'),
        ("mysql", "dbdeck_monitor", "10.%", "dbdeck_monitor@'10.%'"),
        ("mariadb", "o'Neil", None, "'o''Neil'@'%'"),
    ],
)
def test_names_are_quoted_where_they_have_to_be(flavor: str, name: str, host: str | None, shown: str) -> None:
    assert account_in_sql(flavor, name, host) == shown
