"""`dbdeck init` at a terminal of its own: what it asks, and what Enter means."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.config import load
from tests.cli.terminal import Terminal, at_terminal
from tests.command import Command
from tests.integration.test_init import admin, home, pair, server, where
from tests.servers import accounts
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

__all__ = ["home", "pair", "server"]  # fixtures
MASTER = "another-l0ng-master"


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """With a home and nothing in it, and nobody who knows a master."""
    made = Command(tmp_path, {})
    made.config.unlink()
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "MYSQL_HOST", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return made


def dialogue(terminal: Terminal, *pairs: tuple[str, str]) -> None:
    for question, typed in pairs:
        terminal.expect(question)
        terminal.type(f"{typed}\r")


def test_a_person_answers_and_has_a_target(person: Command, server: Server, pair: tuple[str, str]) -> None:
    given = where(server)
    given = given[: given.index("--tls")] + (["--ca", server.target_dict()["ca"]] if "--ca" in given else [])
    names = ["--monitor", pair[0], "--operator", pair[1]]
    tls = str(server.target_dict()["tls"])
    mysql = isinstance(server, MysqlServer)
    with at_terminal(person, "init", *given, *admin(server)[2:], *names) as terminal:
        dialogue(
            terminal,
            ("a name for it", "shop"),
            ("environment (prod, staging, dev, demo) [prod]: ", "nonsense"),
            ("is none of them", "dev"),
            ("TLS (it is this machine)", tls),
            ("administrator's login? [Y/n] ", "postgres"),
            ("'postgres' is neither yes nor no", ""),
            (f"[{server.superuser}]: ", ""),
            ("(Enter: none is sent): ", ""),
            *([("from which host", "")] if mysql else []),
        )
        terminal.expect("as they would be made by hand")
        terminal.expect("CREATE USER" if mysql else "CREATE ROLE")
        dialogue(
            terminal,
            ("go on? [Y/n] ", ""),
            ("master of the new vault: ", MASTER),
            ("again: ", MASTER),
            (f"make the monitor's login {pair[0]}? [Y/n] ", "y"),
            (f"make the operator's login {pair[1]}? [Y/n] ", "y"),
        )
        terminal.expect("shop was written")
        terminal.expect("next: dbdeck show locks -t shop")
        code, _ = terminal.end()
    assert code == 0
    entry = load(person.config).targets["shop"]
    assert (entry.monitor.user, entry.environment) == (pair[0], "dev")


def test_a_server_is_chosen_from_what_was_found(
    person: Command, postgres18: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(postgres18.port))
    with at_terminal(person, "init") as terminal:
        terminal.expect(f"1. PostgreSQL at 127.0.0.1:{postgres18.port}")
        dialogue(
            terminal,
            ("which server", ""),
            ("a name for it, as -t takes it [", "one"),
            ("environment", "dev"),
            ("TLS (it is this machine)", ""),
            ("administrator's login? [Y/n] ", "n"),
            ("the login of the monitor: ", accounts.MONITOR),
            ("none is sent): ", accounts.PASSWORDS[accounts.MONITOR]),
            ("a login that may act, too? [y/N] ", ""),
            ("go on? [Y/n] ", ""),
            ("master of the new vault: ", MASTER),
            ("again: ", MASTER),
        )
        terminal.expect(f"dbdeck/one/{accounts.MONITOR}: stored in vault")
        code, shown = terminal.end()
    assert code == 0, shown
    text = person.config.read_text()
    assert accounts.PASSWORDS[accounts.MONITOR] not in text + shown
    assert load(person.config).targets["one"].operator is None


def test_tls_that_is_not_there_is_asked_for_again(person: Command, postgres18: PostgresServer) -> None:
    given = ["--engine", "postgres", "--host", "127.0.0.1", "--port", str(postgres18.port), "--name", "one"]
    login = ["--monitor", accounts.MONITOR, "--monitor-password", "env:DBDECK_TEST_MONITOR", "--read-only"]
    with at_terminal(person, "init", *given, "--environment", "dev", *login) as terminal:
        dialogue(terminal, ("TLS (it is this machine)", "require"))
        terminal.expect("offers no TLS")
        dialogue(terminal, ("TLS (", "off"), ("go on? [Y/n] ", ""))
        code, shown = terminal.end()
    assert code == 0, shown
    assert load(person.config).targets["one"].tls == "off"


LOGIN = ["--environment", "dev", "--tls", "off", "--read-only", "--monitor", accounts.MONITOR, "--no-create"]


@pytest.fixture
def door(person: Command, postgres18: PostgresServer) -> list[str]:
    return ["--engine", "postgres", "--host", "127.0.0.1", "--port", str(postgres18.port), "--name", "one"]


def test_a_wrong_password_is_asked_for_again(person: Command, door: list[str]) -> None:
    with at_terminal(person, "init", *door, *LOGIN) as terminal:
        dialogue(terminal, ("none is sent): ", "wrong"))
        terminal.expect("refused the login of")
        dialogue(
            terminal,
            ("none is sent): ", accounts.PASSWORDS[accounts.MONITOR]),
            ("go on? [Y/n] ", ""),
            ("master of the new vault: ", MASTER),
            ("again: ", MASTER),
        )
        code, shown = terminal.end()
    assert code == 0, shown
    assert load(person.config).targets["one"].monitor.password == f"keyring:dbdeck/one/{accounts.MONITOR}"


def test_a_third_wrong_password_ends_it_and_nothing_is_written(person: Command, door: list[str]) -> None:
    with at_terminal(person, "init", *door, *LOGIN) as terminal:
        dialogue(terminal, *[("none is sent): ", "wrong")] * 3)
        code, shown = terminal.end()
    assert code == 3
    assert "refused the login of" in shown
    assert "none is sent" not in shown
    assert not person.config.exists()


def test_a_wrong_administrators_password_is_asked_for_again(
    person: Command, server: Server, pair: tuple[str, str]
) -> None:
    """Told by the name that then logged in; it goes no further here."""
    given = where(server)
    with at_terminal(
        person, "init", *given, "--name", "one", "--admin", accounts.MONITOR, "--from-host", "%",
        "--monitor", pair[0], "--operator", pair[1], "--create",
    ) as terminal:  # fmt: skip
        dialogue(terminal, ("none is sent): ", "wrong"))
        terminal.expect("refused the login of")
        dialogue(terminal, ("none is sent): ", accounts.PASSWORDS[accounts.MONITOR]))
        terminal.expect(f"logged in as {accounts.MONITOR}")
        terminal.expect("go on? [Y/n] ")
        terminal.type("n\r")
        assert terminal.end()[0] == 4
    assert not person.config.exists()


def test_a_wrong_password_by_reference_is_not_asked_for(
    person: Command, door: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG_ONE", "wrong")
    with at_terminal(person, "init", *door, *LOGIN, "--monitor-password", "env:WRONG_ONE") as terminal:
        code, shown = terminal.end()
    assert code == 3
    assert "none is sent" not in shown


@pytest.mark.parametrize(("typed", "code"), [("\x03", 130), ("\x04", 2)])
def test_a_question_can_be_left_and_nothing_is_written(person: Command, typed: str, code: int) -> None:
    with at_terminal(person, "init", "--engine", "postgres", "--host", "db", "--port", "1") as terminal:
        terminal.expect("a name for it")
        terminal.type(typed)
        assert terminal.end()[0] == code
        assert terminal.echoes
    assert not person.config.exists()


def test_a_no_writes_nothing(person: Command, postgres18: PostgresServer) -> None:
    given = [*where(postgres18), "--name", "one", "--monitor", accounts.MONITOR]
    word = ["--monitor-password", "env:DBDECK_TEST_MONITOR", "--read-only"]
    with at_terminal(person, "init", *given, *word) as terminal:
        dialogue(terminal, ("go on? [Y/n] ", "n"))
        code, shown = terminal.end()
    assert code == 4
    assert "nothing was written" in shown
    assert not person.config.exists()
    assert not (person.folder / ".local").exists()
