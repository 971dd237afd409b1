"""Option files, sockets, versions, errors, checks, and the form of the SQL files."""

from __future__ import annotations

import socket
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pymysql.err import InterfaceError, OperationalError

from console.engine.mysql import checks, errors
from console.engine.mysql.driver import OPERATOR_LIMITS, READ_LIMITS, socket_path
from console.engine.mysql.identity import identity, recognise
from console.engine.mysql.operator import lock_name
from console.engine.queries import query
from console.errors import ActionFailed, OutcomeUnknown, PrivilegeMissing, ServerSilent, Unreachable
from console.model.target import Target

SQL = sorted(path.name for path in (files("console.engine.mysql") / "sql").iterdir())


def target(**over: Any) -> Target:
    base: dict[str, Any] = {"name": "shop", "engine": "mysql", "monitor": {"user": "mon"}}
    return msgspec.convert(base | over, Target)


def test_a_socket_is_named_itself_or_by_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "mysqld.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        assert socket_path(target(host=str(path))) == str(path)
        assert socket_path(target(host=str(tmp_path))) == str(path)
    with pytest.raises(Unreachable, match="no unix socket"):
        socket_path(target(host=str(tmp_path / "other")))


def listen(path: Path) -> None:
    """The file of a socket stays when its server is gone."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


def test_the_socket_of_a_folder(tmp_path: Path) -> None:
    asked = target(host=str(tmp_path))
    (tmp_path / "mysqld.pid").touch()
    listen(tmp_path / "mysqlx.sock")
    with pytest.raises(Unreachable, match=f"shop: there is no unix socket in the folder {tmp_path}"):
        socket_path(asked)
    listen(tmp_path / "one.sock")
    assert socket_path(asked) == str(tmp_path / "one.sock")
    listen(tmp_path / "two.sock")
    with pytest.raises(Unreachable, match=r"several unix sockets: one\.sock, two\.sock"):
        socket_path(asked)
    for name in ("mariadb.sock", "mysql.sock", "mysqld.sock"):
        listen(tmp_path / name)
        assert socket_path(asked) == str(tmp_path / name)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("9.4.0", ("mysql", 90400)),
        ("8.0.46-0ubuntu0.22.04.1", ("mysql", 80046)),
        ("26.7.1-commercial", ("mysql", 260701)),
        ("10.11.19-MariaDB-0+deb12u1", ("mariadb", 101119)),
        ("5.5.5-10.6.18-MariaDB-log", ("mariadb", 100618)),
    ],
)
def test_versions(version: str, expected: tuple[str, int]) -> None:
    assert recognise(version) == expected


def test_a_version_of_something_else_is_refused() -> None:
    with pytest.raises(Unreachable, match="TiDB"):
        recognise("TiDB-v8")


@pytest.mark.parametrize(
    ("read_only", "super_read_only", "primary"),
    [("0", "0", True), ("1", "0", False), ("ON", "0", False), ("OFF", "0", True), ("1", "1", False)],
)
def test_who_is_the_primary(read_only: str, super_read_only: str, primary: bool) -> None:
    found = identity(
        {
            "version": "9.7.4-2",
            "system_id": "uuid",
            "started": 1000,
            "read_only": read_only,
            "super_read_only": super_read_only,
            "tls": "",
            "account": "mon@%",
            "db": "",
        },
        target(),
    )
    assert (found.primary, found.tls, found.version, found.version_num) == (primary, "off", "9.7.4", 90704)


def test_errors_of_a_read() -> None:
    def read(error: Exception) -> Exception:
        return errors.on_read(error, target(), "sessions", "GRANT …")

    denied = read(OperationalError(1227, "Access denied"))
    assert isinstance(denied, PrivilegeMissing)
    assert denied.hint == "GRANT …"
    assert isinstance(read(OperationalError(3024, "maximum statement execution time")), ServerSilent)
    assert isinstance(read(TimeoutError()), ServerSilent)
    assert type(read(OperationalError(2013, "Lost connection"))) is Unreachable


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OperationalError(1094, "Unknown thread id: 0"), ActionFailed),
        (OperationalError(1095, "You are not owner of thread 7"), ActionFailed),
        (OperationalError(2013, "Lost connection"), OutcomeUnknown),
        (OperationalError(1053, "Server shutdown in progress"), OutcomeUnknown),
        (OperationalError(1927, "Connection was killed"), OutcomeUnknown),
        (InterfaceError("(0, 'Not connected')"), OutcomeUnknown),
        (ConnectionResetError(), OutcomeUnknown),
        (TimeoutError(), OutcomeUnknown),
    ],
)
def test_errors_of_an_effect(error: Exception, kind: type[Exception]) -> None:
    assert type(errors.on_effect(error, target(), "op@%")) is kind


def test_powers_of_the_polling_account() -> None:
    weak = ["GRANT PROCESS ON *.* TO `m`@`%`", "GRANT ALL PRIVILEGES ON `shop`.* TO `m`@`%`"]
    assert checks.powers(weak, "'m'@'%'").ok
    strong = checks.powers([*weak, "GRANT PROCESS, CONNECTION ADMIN, SUPER ON *.* TO `m`@`%`"], "'m'@'%'")
    assert not strong.ok
    assert strong.hint == "REVOKE CONNECTION ADMIN, SUPER ON *.* FROM 'm'@'%';"


def test_no_slot_left() -> None:
    assert not checks.slots({"used": "151", "max_connections": 151}).ok


def test_lock_names_fit_and_differ() -> None:
    assert len(lock_name("x" * 500)) <= 64
    assert lock_name("a") != lock_name("b")


def test_limits_name_both_flavours() -> None:
    assert "max_execution_time = 3000" in READ_LIMITS
    assert "max_statement_time = 3 " in READ_LIMITS
    assert "max_execution_time = 0" in OPERATOR_LIMITS
    assert "transaction_read_only = 0" in OPERATOR_LIMITS


@pytest.mark.parametrize("name", SQL)
def test_every_sql_file_says_what_it_is_for(name: str) -> None:
    text = (files("console.engine.mysql") / "sql" / name).read_text(encoding="utf-8")
    for word in ("-- Purpose: ", "-- Privilege: ", "-- Cost: "):
        assert word in text
    for flavor, version in (("mysql", 80000), ("mysql", 90700), ("mariadb", 100600)):
        sql = query("mysql", name.removesuffix(".sql"), flavor, version)
        assert sql.split()[0].lower() in ("select", "show", "xa")
        assert "--" not in sql
