"""Where `init` looks: files of a home, variables, and a /proc, all of this test."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from console.cli.finding import candidates
from console.cli.init_answers import held
from console.errors import ConfigError
from console.model.login import EngineKind
from console.secrets import Secret
from tests.model.test_login_path import WORD, WRITTEN

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
CANARY = "c4n4ry"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """One process, a mariadbd on port 3307, whose socket has the inode 77."""
    made = tmp_path / "proc"
    (made / "net").mkdir(parents=True)
    line = "   0: 0100007F:0CEB 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 77 1 0 100 0\n"
    (made / "net" / "tcp").write_text(HEAD + line)
    (made / "42" / "fd").mkdir(parents=True)
    (made / "42" / "comm").write_text("mariadbd\n")
    (made / "42" / "fd" / "3").symlink_to("socket:[77]")
    (made / "43").mkdir()
    (made / "43" / "comm").write_text("mysqld\n")
    return made


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    made.mkdir()
    (made / ".pgpass").write_text(f"db1:5433:orders:ann:{CANARY}\n")
    (made / ".pg_service.conf").write_text(f"[shop]\nhost=db2\nuser=bob\npassword={CANARY}\n")
    (made / ".my.cnf").write_text(f"[client]\nhost=db3\nuser=eve\npassword={CANARY}\n")
    return made


def test_everything_is_found_once_and_what_is_named_comes_first(home: Path, proc: Path) -> None:
    environ = {"HOME": str(home), "PGHOST": "db0", "PGPASSWORD": CANARY}
    seen = [(one.engine, one.host, one.port) for one in candidates(environ, proc)]
    wanted = [
        (EngineKind.POSTGRES, "db0", 5432),
        (EngineKind.POSTGRES, "db2", 5432),
        (EngineKind.POSTGRES, "db1", 5433),
        (EngineKind.MYSQL, "db3", 3306),
        (EngineKind.MYSQL, "127.0.0.1", 3307),
    ]
    assert [one for one in seen if one in wanted] == wanted
    assert CANARY not in repr(candidates(environ, proc))


def test_files_that_variables_name_are_read_instead(home: Path, proc: Path, tmp_path: Path) -> None:
    (tmp_path / "pass").write_text(f"other:1:*:x:{CANARY}\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "pg_service.conf").write_text("[system]\nhost=sys\n")
    environ = {"HOME": str(home), "PGPASSFILE": str(tmp_path / "pass"), "PGSYSCONFDIR": str(tmp_path / "etc")}
    hosts = {one.host for one in candidates(environ, proc)}
    assert {"other", "sys", "db2"} <= hosts
    assert "db1" not in hosts


def test_sockets_that_are_bound_are_found_wherever_they_are(tmp_path: Path, proc: Path) -> None:
    path = tmp_path / ".s.PGSQL.6543"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        gone = tmp_path / ".s.PGSQL.6544"
        lines = [f"0: 00000002 00000000 00010000 0001 01 9 {one}\n" for one in (path, path, gone)]
        (proc / "net" / "unix").write_text("Num RefCount\n" + "".join(lines))
        seen = [one for one in candidates({"HOME": str(tmp_path)}, proc) if one.host == str(tmp_path)]
    assert [one.port for one in seen] == [6543]


def test_nothing_to_read_is_nothing_found_there(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PGSYSCONFDIR": str(tmp_path)}
    assert all(one.by.startswith("/") for one in candidates(environ, tmp_path / "none"))


def test_what_an_option_file_includes_is_found_with_it(home: Path, proc: Path) -> None:
    (home / "more").mkdir()
    (home / "more" / "b.cnf").write_text("[client-b]\nhost=dbb\n")
    (home / "more" / "a.txt").write_text("[client-t]\nhost=dbt\n")
    (home / "one.inc").write_text(f"[client]\npassword={CANARY}\n")
    (home / ".my.cnf").write_text(
        f"[client]\nhost=db3\nuser=eve\n!includedir {home}/more\n!include {home}/one.inc\n!include /gone\n"
    )
    seen = {one.host: one for one in candidates({"HOME": str(home)}, proc)}
    assert {"db3", "dbb"} <= set(seen)
    assert "dbt" not in seen
    assert not seen["db3"].served, "dbdeck itself reads ~/.my.cnf alone when it logs in"
    place = seen["db3"].held
    assert place is not None
    assert held(place, EngineKind.MYSQL) == Secret(CANARY)


def test_login_paths_are_found_and_their_password_only_when_it_is_used(
    home: Path, proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(home))
    (home / ".mylogin.cnf").write_bytes(WRITTEN)
    (home / ".mylogin.cnf").chmod(0o600)
    seen = {one.name: one for one in candidates({"HOME": str(home)}, proc)}
    prod = seen["prod"]
    assert (prod.host, prod.user, prod.served) == ("db8.example.net", "bob", False)
    assert WORD not in repr(prod)
    assert prod.held is not None
    assert held(prod.held, EngineKind.MYSQL) == Secret(WORD)
    (home / ".mylogin.cnf").chmod(0o644)
    with pytest.raises(ConfigError, match="mode 0644"):
        held(prod.held, EngineKind.MYSQL)


def test_a_login_path_file_that_is_none_finds_nothing(home: Path, proc: Path) -> None:
    before = candidates({"HOME": str(home)}, proc)
    (home / ".mylogin.cnf").write_bytes(b"[client]\nhost=plain\n")
    assert candidates({"HOME": str(home)}, proc) == before


def test_what_includes_no_file_is_left_out_and_not_waited_for(home: Path, proc: Path) -> None:
    os.mkfifo(home / "pipe")
    os.mkfifo(home / ".mylogin.cnf")
    (home / ".my.cnf").write_text(
        f"[client]\nhost=db3\n!include {home}/pipe\n!include ~nobody-at-all/x\n!include x\0y\n"
        f"!includedir x\0y\n!include /dev/zero\n!include {home}/.my.cnf\n"
    )
    seen = {one.host: one for one in candidates({"HOME": str(home)}, proc)}
    place = seen["db3"].held
    assert place is None or held(place, EngineKind.MYSQL) is None
