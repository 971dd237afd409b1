"""What can be told of a setting that is read at the start, with the files and without; without a server."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actions import setting_restart as restart
from actions import setting_statements as statements
from actions import setting_words as words
from actions.setting_rules import care, refused
from actions.setting_statements import Place
from console.model.settings import AtStart, Setting

SERVER = Place(flavor="postgresql")
PERSIST = Place(flavor="mysql", persist=True)


def a_setting(value: str | None, running: str = "100", **over: Any) -> Setting:
    known: dict[str, Any] = {"pending": False, "seen": False, "source": "file"}
    return Setting(
        name="max_connections",
        value=value,
        server_value=running,
        kind="integer",
        restart=True,
        notes=("hidden",),
        at_start=AtStart(**known | over),
    )


@pytest.mark.parametrize(
    ("value", "wanted", "so"),
    [
        ("200", "200", True),
        ("200", "300", False),
        (None, None, True),
        ("200", None, False),
        (None, "1", False),
    ],
)
@pytest.mark.parametrize("pending", [True, False])
def test_what_is_seen_is_compared(value: str | None, wanted: str | None, so: bool, pending: bool) -> None:
    one = a_setting(value, seen=True, pending=pending)
    assert restart.holds(one, wanted) is so
    assert not restart.hidden(SERVER, one, wanted)
    assert restart.before(one) == (True, value)


@pytest.mark.parametrize(
    ("source", "pending", "wanted", "hidden"),
    [
        ("file", False, "200", False),
        ("file", True, "200", True),
        ("file", True, "100", False),
        ("file", True, None, False),
        ("entry", False, None, False),
        ("entry", True, None, True),
        ("default", True, None, True),
        ("default", False, None, False),
        ("", False, None, True),
        ("", False, "200", False),
    ],
)
def test_what_nobody_could_tell_is_refused(
    source: str, pending: bool, wanted: str | None, hidden: bool
) -> None:
    one = a_setting(None, source=source, pending=pending)
    assert restart.hidden(SERVER, one, wanted) is hidden
    assert any("nobody could tell" in line for line in restart.refusals(SERVER, one, wanted)) is hidden


@pytest.mark.parametrize("source", ["file", "entry", "default", ""])
@pytest.mark.parametrize("pending", [True, False])
@pytest.mark.parametrize("wanted", ["100", "200", None])
def test_what_is_let_through_differs_before_and_after(source: str, pending: bool, wanted: str | None) -> None:
    """Else an end that was never reached would be taken for one that was."""
    one = a_setting("100" if source == "entry" else None, source=source, pending=pending)
    if restart.hidden(SERVER, one, wanted) or restart.holds(one, wanted):
        return  # refused, or nothing to do
    after = [a_setting(None, source=source, pending=not pending)]
    if source == "entry" and wanted is None:  # another file may say the same
        after.append(a_setting(None, source="file", pending=False))
    assert all(restart.holds(one, wanted) for one in after)


@pytest.mark.parametrize(
    ("source", "pending", "before"),
    [
        ("file", False, (True, None)),
        ("entry", False, (True, "100")),
        ("default", False, (True, "100")),
        ("file", True, (False, None)),
    ],
)
def test_the_way_back_is_one_that_can_be_proved(
    source: str, pending: bool, before: tuple[bool, str | None]
) -> None:
    one = a_setting(None, source=source, pending=pending)
    assert restart.before(one) == before
    undo = words.undo("t", SERVER, one, same=False)
    assert ("cannot be seen" in undo) is (not before[0])


def test_mysql_needs_to_see_what_is_persisted() -> None:
    assert restart.hidden(PERSIST, a_setting(None), "1")
    assert not restart.hidden(PERSIST, a_setting(None, seen=True), "1")
    assert not restart.waits(Place(flavor="mysql"), a_setting(None))


def test_its_statements_write_and_do_not_run() -> None:
    one = a_setting(None, seen=True)
    assert [s.sql for s in statements.assign(PERSIST, one, "5")] == ["SET PERSIST_ONLY `max_connections` = 5"]
    assert [s.sql for s in statements.clear(PERSIST, one)] == ["RESET PERSIST IF EXISTS `max_connections`"]


def test_mariadb_is_told_its_line() -> None:
    (why,) = words.refusals(Place(flavor="mariadb"), a_setting(None), "5")
    assert "write `max_connections = 5` under [mariadb] in its my.cnf" in why
    (gone,) = words.refusals(Place(flavor="mariadb"), a_setting(None), None)
    assert "take out `max_connections` under" in gone


@pytest.mark.parametrize(
    "name",
    ["unix_socket_directories", "unix_socket_permissions", "data_sync_retry", "recovery_target_time",
     "datadir", "basedir", "tmpdir", "socket", "log_error", "lower_case_table_names", "innodb_force_recovery",
     "innodb_directories", "auto_generate_certs", "persist_sensitive_variables_in_plaintext"],
)  # fmt: skip
def test_what_only_a_start_reads_is_refused_where_it_is_dangerous(name: str) -> None:
    assert refused(name)


@pytest.mark.parametrize(
    "name", ["port", "listen_addresses", "max_connections", "wal_level", "toast.autovacuum_enabled"]
)
def test_these_want_care(name: str) -> None:
    assert care(name, "postgresql")
    assert not refused(name)


def test_a_replica_of_mysql_starts_with_fewer_connections_than_its_source() -> None:
    """PostgreSQL's rule for standbys was told of MariaDB."""
    assert care("port", "mariadb")
    assert not care("max_connections", "mysql")
    assert not care("max_connections", "mariadb")


def test_a_value_of_no_letters_is_seen() -> None:
    place = Place(flavor="mysql")
    setting = msgspec.structs.replace(a_setting("STRICT"), name="sql_mode", restart=False, at_start=None)
    assert "new sessions get ''" in words.forecast(place, setting, "", same=False)
