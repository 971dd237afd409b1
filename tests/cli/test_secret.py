"""`dbdeck secret` in processes of its own: by pipes, by credentials, and at a terminal."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from console.vault.masters import CREDENTIAL
from tests.cli.terminal import at_terminal
from tests.command import Command, Done

VALUE, MASTER = "c4n4ry-v4lu3", "c4n4ry-m4st3r"
NAME = "dbdeck/orders/monitor"
GONE = {
    "engine": "postgres",
    "host": "/none/such",
    "tls": "off",
    "monitor": {"user": "m", "password": f"keyring:{NAME}"},
}


class Deck(Command):
    """With a vault in the test's folder, and a credential where one is asked for."""

    def __init__(self, folder: Path, targets: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        super().__init__(folder, targets or {"orders": GONE})
        self.vault = folder / "state" / "vault"
        self.pin("vault")

    def pin(self, backend: str) -> None:
        values = yaml.safe_load(self.config.read_text())
        self.write({**values, "keyring": {"backend": backend, "vault": str(self.vault)}})

    async def with_master(self, *words: str, text: str | None = None, master: str = MASTER) -> Done:
        (self.folder / CREDENTIAL).write_text(f"{master}\n")
        return await self.run(*words, text=text, env={"CREDENTIALS_DIRECTORY": str(self.folder)})


@pytest.fixture
def deck(tmp_path: Path) -> Deck:
    return Deck(tmp_path)


async def test_what_is_set_is_listed_by_name_and_can_be_removed(deck: Deck) -> None:
    done = await deck.with_master("secret", "set", NAME, "--json", text=f"{VALUE}\n")
    assert done.document == {
        "schema": "dbdeck/secret/1",
        "name": NAME,
        "effect": "stored",
        "backend": "vault",
        "file": str(deck.vault),
    }
    listed = await deck.with_master("secret", "list", "--json")
    assert listed.rows == [{"name": NAME}]
    assert listed.document["generation"] == 2, "the empty vault was the first"
    assert [one["number"] for one in listed.document["kept"]] == [1]
    removed = await deck.with_master("secret", "remove", NAME)
    assert (removed.code, removed.out) == (0, f"{NAME}: removed\n")
    for done in (listed, removed, await deck.with_master("secret", "list")):
        assert VALUE not in done.out + done.err


async def test_an_unknown_name_is_an_error_that_tells_near_ones(deck: Deck) -> None:
    await deck.with_master("secret", "set", NAME, text=VALUE)
    done = await deck.with_master("secret", "remove", "dbdeck/order/monitor")
    assert done.code == 2
    assert f"did you mean {NAME}?" in done.err
    assert "nothing was removed" in done.err


async def test_a_master_comes_by_a_file_descriptor(deck: Deck) -> None:
    for words in (["secret", "set", NAME], ["secret", "list"]):
        reading, writing = os.pipe()
        os.write(writing, MASTER.encode())
        os.close(writing)
        done = await deck.run("--master-key-fd", str(reading), *words, text=VALUE, pass_fds=[reading])
        os.close(reading)
        assert done.code == 0, done.err
    assert done.out == f"{NAME}\n"


@pytest.mark.parametrize(("number", "says"), [("77", "is not open"), ("2", "no master is read from it")])
async def test_a_descriptor_that_holds_no_master_is_a_usage_error(deck: Deck, number: str, says: str) -> None:
    done = await deck.run("secret", "list", "--master-key-fd", number)
    assert (done.code, done.out) == (2, "")
    assert says in done.err


async def test_an_empty_master_is_refused(deck: Deck) -> None:
    done = await deck.with_master("secret", "set", NAME, text=VALUE, master="")
    assert done.code == 2
    assert "empty master" in done.err
    assert not deck.vault.exists()


async def test_without_a_master_and_a_terminal_the_ways_are_named(deck: Deck) -> None:
    await deck.with_master("secret", "set", NAME, text=VALUE)
    for words in (["secret", "list"], ["show", "locks"], ["secret", "set", NAME], ["secret", "master"]):
        done = await deck.run(*words, text=VALUE)
        assert done.code == 2, words
        assert "is locked and no master was given" in done.err
        assert "--master-key-fd" in done.err
        assert CREDENTIAL in done.err


async def test_without_a_vault_none_is_made_unattended_without_a_master(deck: Deck) -> None:
    done = await deck.run("secret", "set", NAME, text=VALUE)
    assert done.code == 2
    assert "no vault" in done.err
    assert not deck.vault.exists()


async def test_a_wrong_master_is_said(deck: Deck) -> None:
    await deck.with_master("secret", "set", NAME, text=VALUE)
    done = await deck.with_master("show", "locks", master=f"{MASTER}x")
    assert done.code == 2
    assert "is not the master of the vault" in done.err
    assert MASTER not in done.err


async def test_a_target_whose_secret_is_in_the_vault_is_tried_with_it(deck: Deck) -> None:
    missing = await deck.with_master("show", "locks")
    assert (missing.code, "dbdeck secret set" in missing.err) == (2, True)
    await deck.with_master("secret", "set", NAME, text=VALUE)
    done = await deck.with_master("show", "locks", "--json")
    assert done.code == 3, "the secret was found, and the server is not there"
    assert VALUE not in done.out + done.err


@pytest.mark.parametrize("text", ["", "\n", "\udcff"])
async def test_a_value_that_is_none_is_refused(deck: Deck, text: str) -> None:
    (deck.folder / CREDENTIAL).write_text(MASTER)
    process = await deck.start(
        "secret", "set", NAME, env={"CREDENTIALS_DIRECTORY": str(deck.folder)}, stdin=-1
    )
    _, err = await process.communicate(text.encode("utf-8", "surrogateescape"))
    assert process.returncode == 2
    assert "nothing was stored" in err.decode()


async def test_a_new_master_by_a_descriptor_and_the_old_one_is_forgotten(deck: Deck) -> None:
    await deck.with_master("secret", "set", NAME, text=VALUE)
    (deck.folder / "new").write_text("another")
    descriptor = os.open(deck.folder / "new", os.O_RDONLY)
    env = {"CREDENTIALS_DIRECTORY": str(deck.folder)}
    words = ["secret", "master", "--new-master-key-fd", str(descriptor), "--forget", "--json"]
    done = await deck.run(*words, env=env, pass_fds=[descriptor])
    os.close(descriptor)
    assert done.document["effect"] == "changed"
    assert (await deck.with_master("secret", "list")).code == 2
    listed = await deck.with_master("secret", "list", "--json", master="another")
    assert (listed.rows, listed.document["kept"]) == ([{"name": NAME}], [])


async def test_a_torn_vault_is_told_and_put_back(deck: Deck) -> None:
    await deck.with_master("secret", "set", NAME, text=VALUE)
    await deck.with_master("secret", "set", "dbdeck/two", text=VALUE)
    deck.vault.write_bytes(deck.vault.read_bytes()[:100])
    done = await deck.with_master("show", "locks")
    assert done.code == 3
    assert "newest good generation is 2" in done.err
    assert "dbdeck secret restore 2" in done.err
    restored = await deck.with_master("secret", "restore", "2", "--json")
    assert restored.document["effect"] == "restored"
    assert (await deck.with_master("secret", "list")).out == f"{NAME}\n"


async def test_another_keyring_takes_secrets_and_cannot_be_listed(deck: Deck) -> None:
    deck.pin("tests.keyrings_for_tests.Forgets")
    done = await deck.run("secret", "set", NAME, text=VALUE)
    assert (done.code, "does not give it back" in done.err) == (3, True)
    listed = await deck.run("secret", "list")
    assert (listed.code, "of the vault alone" in listed.err) == (2, True)


async def test_a_refused_keyring_of_the_environment_is_told_when_it_is_used(deck: Deck) -> None:
    """Many set it for other programs; a command that needs no keyring goes on."""
    values = yaml.safe_load(deck.config.read_text())
    deck.write({key: value for key, value in values.items() if key != "keyring"})
    env = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    assert (await deck.run("targets", env=env)).code == 0
    done = await deck.run("show", "locks", env=env)
    assert (done.code, "refused: it forgets what it is given" in done.err) == (2, True)


# ---- at a terminal ---------------------------------------------------------------------------


def test_the_first_secret_makes_the_vault_and_asks_everything_twice(deck: Deck) -> None:
    with at_terminal(deck, "secret", "set", NAME) as terminal:
        terminal.expect("cannot be recovered")
        for prompt, typed in [
            ("master of the new vault: ", MASTER),
            ("again: ", MASTER),
            (f"value of {NAME}: ", VALUE),
            ("again: ", "wrong\x15" + VALUE + "x\x7f"),
        ]:
            terminal.expect(prompt)
            assert not terminal.echoes
            terminal.type(f"{typed}\r")
        code, shown = terminal.end()
        assert (code, f"{NAME}: stored" in shown) == (0, True)
        assert VALUE not in shown
        assert terminal.echoes
    assert deck.vault.exists()


def test_two_masters_that_differ_make_no_vault(deck: Deck) -> None:
    with at_terminal(deck, "secret", "set", NAME) as terminal:
        terminal.expect("new vault: ")
        terminal.type(f"{MASTER}\r")
        terminal.expect("again: ")
        terminal.type(f"{MASTER}x\r")
        code, shown = terminal.end()
    assert (code, "not the same; nothing was stored" in shown) == (2, True)
    assert not deck.vault.exists()


def test_an_empty_master_makes_no_vault(deck: Deck) -> None:
    with at_terminal(deck, "secret", "set", NAME) as terminal:
        terminal.expect("new vault: ")
        terminal.type("\r")
        code, shown = terminal.end()
    assert (code, "nothing was typed" in shown) == (2, True)
    assert not deck.vault.exists()


async def test_a_wrong_master_is_asked_for_again_and_a_command_goes_on(deck: Deck) -> None:
    await deck.with_master("secret", "set", NAME, text=VALUE)
    with at_terminal(deck, "show", "locks", stdin=Path(os.devnull)) as terminal:
        terminal.expect("master of the vault")
        terminal.type("wrong\r")
        terminal.expect("that is not the master")
        terminal.expect("master of the vault")
        terminal.type(f"{MASTER}\r")
        code, shown = terminal.end()
    assert (code, "/none/such" in shown) == (3, True), shown


async def test_after_three_wrong_masters_it_ends(deck: Deck) -> None:
    await deck.with_master("secret", "set", NAME, text=VALUE)
    with at_terminal(deck, "secret", "list") as terminal:
        for _ in range(3):
            terminal.expect(f"{deck.vault}: ")
            terminal.type("wrong\r")
        assert terminal.end()[0] == 2


@pytest.mark.parametrize(
    ("how", "code"), [("ctrl+c", 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143), ("ctrl+d", 2)]
)
async def test_a_prompt_can_be_left_and_the_terminal_is_as_before(
    deck: Deck, how: str | signal.Signals, code: int
) -> None:
    await deck.with_master("secret", "set", NAME, text=VALUE)
    with at_terminal(deck, "secret", "list") as terminal:
        terminal.expect("master of the vault")
        if isinstance(how, signal.Signals):
            terminal.process.send_signal(how)
        else:
            terminal.type({"ctrl+c": "\x03", "ctrl+d": "\x04"}[how])
        assert terminal.end()[0] == code
        assert terminal.echoes


async def test_nobody_is_asked_where_nothing_of_the_vault_is_needed(deck: Deck) -> None:
    await deck.with_master("secret", "set", NAME, text=VALUE)
    with at_terminal(deck, "audit", "list") as terminal:
        code, shown = terminal.end()
    assert "master" not in shown
    assert code in (0, 5)


# ---- doctor ----------------------------------------------------------------------------------


def _checks(done: Done) -> dict[str, dict[str, Any]]:
    (row,) = (row for row in done.rows if row["name"] == "keyring")
    return {check["name"]: check for check in row["checks"]}


async def test_doctor_tells_the_keyring_without_asking(deck: Deck) -> None:
    assert _checks(await deck.run("doctor", "--json"))["vault"]["ok"] is None
    await deck.with_master("secret", "set", NAME, text=VALUE)
    locked = _checks(await deck.run("doctor", "--json"))
    assert locked["backend"]["detail"] == "vault, chosen by the config"
    assert locked["modes"]["detail"] == "folder 0700, file 0600"
    assert (locked["unlocked"]["ok"], locked["vault"]["ok"]) == (None, True)
    assert _checks(await deck.with_master("doctor", "--json"))["unlocked"]["ok"] is True
    wrong = _checks(await deck.with_master("doctor", "--json", master="wrong"))
    assert wrong["unlocked"]["ok"] is False
    deck.vault.chmod(0o644)
    assert "chmod 0600" in _checks(await deck.run("doctor", "--json"))["usable"]["hint"]


async def test_doctor_at_a_terminal_asks_for_no_master(deck: Deck) -> None:
    await deck.with_master("secret", "set", NAME, text=VALUE)
    with at_terminal(deck, "doctor") as terminal:
        _, shown = terminal.end()
    assert "locked; no master was given" in shown
    assert "master of the vault" not in shown


async def test_doctor_tells_of_a_keyring_that_cannot_be_loaded(deck: Deck) -> None:
    deck.pin("none.such.Keyring")
    done = await deck.run("doctor", "--json")
    assert "not installed" in _checks(done)["usable"]["detail"]
    deck.pin("tests.keyrings_for_tests.Good")
    assert _checks(await deck.run("doctor", "--json"))["usable"]["ok"] is None
