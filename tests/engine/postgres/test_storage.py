"""Storage parameters as the catalog tells them, without a server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions import setting_statements as statements
from actions import setting_storage as words
from actions.setting_statements import Place
from console.engine.postgres import storage
from console.engine.postgres.storage_parameters import find, near, of
from console.errors import UsageError
from console.model.settings import Setting, Storage

FACTOR = "autovacuum_vacuum_scale_factor"


def a_row(**over: Any) -> Any:
    return {
        "number": 7, "schema": "shop", "name": "orders", "kind": "r", "temporary": False, "system": False,
        "options": None, "toast": True, "toast_options": None,
    } | over  # fmt: skip


def described(name: str, row: Any, server: str | None = "0.2") -> Setting:
    guc: Any = {"reset_val": server} if server is not None else None
    return storage.describe(name, find(name, 180000), row, guc)


def test_what_applies_otherwise() -> None:
    own = a_row(options=[f"{FACTOR}=0.5"])
    assert (described(FACTOR, own).value, described(FACTOR, own).server_value) == ("0.5", "0.2")
    lent = described(f"toast.{FACTOR}", own)
    assert (lent.value, lent.server_value) == (None, "0.5"), "the table's own, as long as there is none"
    other = described(f"toast.{FACTOR}", a_row(options=own["options"], toast_options=["vacuum_truncate=off"]))
    assert (other.value, other.server_value) == (None, "0.2")
    assert described("fillfactor", a_row(), None).server_value == "100"
    unknown = described("no_such", a_row(options=["no_such=a=b"]))
    assert (unknown.value, unknown.server_known, unknown.kind) == ("a=b", False, "string")


@pytest.mark.parametrize(
    ("name", "over", "why"),
    [
        (FACTOR, {}, ""),
        (FACTOR, {"kind": "m"}, ""),
        (FACTOR, {"kind": "p"}, "partitioned"),
        (FACTOR, {"kind": "i"}, "an index"),
        (FACTOR, {"kind": "S"}, "a sequence"),
        (FACTOR, {"kind": "?"}, "a relation"),
        (FACTOR, {"system": True}, "system catalog"),
        (FACTOR, {"temporary": True}, "temporary"),
        (f"toast.{FACTOR}", {"toast": False}, "no TOAST table"),
    ],
)
def test_what_stands_against_it(name: str, over: dict[str, Any], why: str) -> None:
    found = storage.obstacle(name, a_row(**over))
    assert why in found
    assert bool(found) is bool(why)


def test_names_have_versions_and_neighbours() -> None:
    assert find("autovacuum_vacuum_max_threshold", 170000) is None
    assert find("autovacuum_vacuum_max_threshold", 180000)
    assert find("toast.fillfactor", 180000) is None
    assert near("autovacuum_vacum_scale_factor", 180000) == FACTOR
    assert near("toast.autovacuum_enable", 180000) == "toast.autovacuum_enabled"
    assert near("zzz", 180000) == ""
    assert len({one.name for one in of(180000)}) == len(of(180000))


def test_a_server_that_is_newer_than_the_list_decides_itself() -> None:
    assert "no parameter" in storage._storage("no_such", None, a_row(), [], 180000).obstacle
    newer = storage._storage("no_such", None, a_row(), [], 190000)
    assert (newer.obstacle, newer.known, newer.lock) == ("", False, "")
    assert storage._storage("columnar.level", None, a_row(), [], 180000).obstacle == ""


ORDERS = Storage(number=7, schema="sh.op", name='or"d', kind="table", lock="ShareUpdateExclusive")


def test_its_statements_quote_every_part() -> None:
    one = Setting(name="toast.autovacuum_enabled", value=None, server_value="on", storage=ORDERS)
    place = Place(flavor="postgresql", table='"sh.op"."or""d"')
    (sent,) = statements.assign(place, one, "o'ff")
    assert sent.sql == """ALTER TABLE "sh.op"."or""d" SET ("toast"."autovacuum_enabled" = 'o''ff')"""
    (gone,) = statements.clear(place, one)
    assert gone.sql == 'ALTER TABLE "sh.op"."or""d" RESET ("toast"."autovacuum_enabled")'
    assert (place.scope, place.words) == ("table", 'table "sh.op"."or""d"')


def test_many_partitions_are_counted() -> None:
    leaves = tuple(("shop", f"p{n}") for n in range(5))
    parted = Storage(
        number=7, schema="shop", name="t", kind="partitioned table", obstacle="no", leaves=leaves, parts=40
    )
    with pytest.raises(UsageError, match=r"shop\.t: no; nothing was executed") as refused:
        words.check(parted)
    named = ", ".join(f"shop.p{n}" for n in range(5))
    assert refused.value.hint == f"name its partitions: {named} and 35 more"


@given(st.dictionaries(st.from_regex(r"[a-z_]+", fullmatch=True), st.text(max_size=5), max_size=4))
def test_options_are_read_back(pairs: dict[str, str]) -> None:
    assert storage.options([f"{name}={value}" for name, value in pairs.items()]) == pairs
