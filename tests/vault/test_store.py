"""The vault: what is stored is there, what is wrong is refused and said, and nothing is ever half written."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from console.errors import SecretsUnavailable, UsageError, VaultLocked, WrongMaster
from console.secrets import Secret
from console.vault import masters, sealed
from console.vault.masters import Masters
from console.vault.store import CANARY, Vault
from tests.vault.disks import CHEAP, MASTER, files, vault_at


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    made = vault_at(tmp_path)
    made.put("dbdeck", "one", Secret("1"))
    return made


def test_what_is_stored_is_read_back_by_another_object(vault: Vault, tmp_path: Path) -> None:
    assert vault.put("dbdeck/orders", "monitor", Secret("hünter2\n")) is False
    assert vault.put("dbdeck/orders", "monitor", Secret("hunter3")) is True
    other = vault_at(tmp_path)
    assert other.get("dbdeck/orders", "monitor") == Secret("hunter3")
    assert other.get("dbdeck/orders", "operator") is None
    assert other.names() == (("dbdeck", "one"), ("dbdeck/orders", "monitor"))


def test_what_is_deleted_is_gone_and_the_rest_stays(vault: Vault) -> None:
    vault.put("dbdeck", "two", Secret("2"))
    assert vault.delete("dbdeck", "one") is True
    assert vault.delete("dbdeck", "one") is False
    assert vault.names() == (("dbdeck", "two"),)


def test_before_anything_is_stored_there_is_no_file_and_no_entry(tmp_path: Path) -> None:
    vault = vault_at(tmp_path, None)
    assert vault.get("dbdeck", "one") is None
    assert vault.names() == ()
    assert not vault.path.parent.exists()


def test_a_vault_is_not_made_without_a_master(tmp_path: Path) -> None:
    vault = vault_at(tmp_path, None)
    with pytest.raises(VaultLocked, match="no vault") as locked:
        vault.put("dbdeck", "one", Secret("1"))
    assert "--master-key-fd" in locked.value.hint
    with pytest.raises(UsageError, match="empty"):
        vault.create(Secret(""))
    assert files(vault) == []


def test_folder_and_files_are_for_their_owner_alone(vault: Vault) -> None:
    vault.put("dbdeck", "two", Secret("2"))
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in vault.path.parent.iterdir()}
    assert modes == {"vault": 0o600, "vault.1": 0o600, "vault.lock": 0o600}
    assert stat.S_IMODE(vault.path.parent.stat().st_mode) == 0o700


def test_neither_names_nor_values_stand_in_any_file(vault: Vault) -> None:
    vault.put("canary-service", "canary-name", Secret("canary-value"))
    vault.put("dbdeck", "two", Secret("2"))
    for one in vault.path.parent.iterdir():
        assert b"canary" not in one.read_bytes()


def test_a_wrong_master_is_said_and_another_may_be_tried(vault: Vault, tmp_path: Path) -> None:
    other = vault_at(tmp_path, None)
    with pytest.raises(VaultLocked, match="locked"):
        other.get("dbdeck", "one")
    with pytest.raises(WrongMaster, match="not the master"):
        other.unlock(Secret("correct horse"))
    other.unlock(MASTER)
    assert other.get("dbdeck", "one") == Secret("1")
    assert other.again().get("dbdeck", "one") == Secret("1")


def test_a_wrong_master_that_was_given_is_tried_once(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def derive(master: Secret, kdf: sealed.Kdf) -> sealed.Key:
        tried.append(1)
        return sealed.derive(master, kdf)

    monkeypatch.setattr(masters, "derive", derive)
    other = Vault(vault.path, Masters(("the credential", lambda: Secret("wrong"))), cost=CHEAP)
    for _ in range(3):
        with pytest.raises(WrongMaster, match="the credential is not the master"):
            other.get("dbdeck", "one")
    assert tried == [1]


def test_the_key_is_made_once_for_a_process(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masters, "derive", lambda *_: pytest.fail("it was derived again"))
    for number in range(3):
        vault.put("dbdeck", f"n{number}", Secret("x"))
        assert vault.again().get("dbdeck", f"n{number}") == Secret("x")


def test_accents_typed_in_two_ways_are_one_master(tmp_path: Path) -> None:
    vault_at(tmp_path, Secret("caf\u00e9")).put("dbdeck", "one", Secret("1"))
    assert vault_at(tmp_path, Secret("cafe\u0301")).get("dbdeck", "one") == Secret("1")


# ---- the master ------------------------------------------------------------------------------


def test_a_new_master_opens_everything_and_the_old_one_nothing(vault: Vault, tmp_path: Path) -> None:
    vault.put("dbdeck", "two", Secret("2"))
    vault.change_master(Secret("new"), forget=False)
    assert vault.get("dbdeck", "one") == Secret("1")
    with pytest.raises(WrongMaster):
        vault_at(tmp_path).get("dbdeck", "one")
    assert vault_at(tmp_path, Secret("new")).get("dbdeck", "two") == Secret("2")
    assert files(vault) == ["vault", "vault.1", "vault.2"]


def test_a_new_master_may_forget_what_the_old_one_opens(vault: Vault) -> None:
    vault.put("dbdeck", "two", Secret("2"))
    vault.change_master(Secret("new"), forget=True)
    assert files(vault) == ["vault"]
    assert vault.get("dbdeck", "two") == Secret("2")


def test_a_master_that_another_process_changed_locks_the_vault_here(vault: Vault, tmp_path: Path) -> None:
    other = vault_at(tmp_path, None)
    other.unlock(MASTER)
    vault.change_master(Secret("new"), forget=False)
    with pytest.raises(VaultLocked):
        other.get("dbdeck", "one")


# ---- generations -----------------------------------------------------------------------------


def test_the_last_three_generations_are_kept(vault: Vault) -> None:
    for number in range(2, 8):
        vault.put("dbdeck", "one", Secret(str(number)))
    state = vault.state()
    assert state.generation == 7
    assert [one.number for one in state.kept] == [6, 5, 4]
    assert files(vault) == ["vault", "vault.4", "vault.5", "vault.6"]


@pytest.mark.parametrize("number", [4, 5, 6])
def test_each_of_them_can_be_put_back(vault: Vault, number: int) -> None:
    for value in range(2, 8):
        vault.put("dbdeck", "one", Secret(str(value)))
    vault.restore(number)
    assert vault.get("dbdeck", "one") == Secret(str(number))
    assert vault.state().generation == 8
    vault.restore(7)
    assert vault.get("dbdeck", "one") == Secret("7"), "what was there is a generation itself"


def test_a_generation_that_is_not_there_is_not_put_back(vault: Vault) -> None:
    with pytest.raises(UsageError, match="no whole generation 9"):
        vault.restore(9)
    assert vault.get("dbdeck", "one") == Secret("1")


def test_a_canary_costs_no_generation(vault: Vault) -> None:
    for number in range(2, 8):
        vault.put("dbdeck", "one", Secret(str(number)))
    for _ in range(5):
        vault.put(CANARY, "x", Secret("tweet"))
        vault.delete(CANARY, "x")
    vault.put("dbdeck", "one", Secret("8"))
    found = []
    for one in vault.state().kept:
        vault.restore(one.number)
        found.append(vault.get("dbdeck", "one"))
        break
    assert found == [Secret("7")]
    assert [one.number for one in vault.state().kept][1:] == [7, 6]


# ---- damage ----------------------------------------------------------------------------------


def _damage(vault: Vault, how: str) -> None:
    raw = vault.path.read_bytes()
    damaged = {
        "torn": raw[: len(raw) // 2],
        "empty": b"",
        "changed": raw[:-40] + bytes([raw[-40] ^ 1]) + raw[-39:],
        "longer": raw + b"\0",
        "other": b"something else\n",
    }
    vault.path.write_bytes(damaged[how])


@pytest.mark.parametrize("how", ["torn", "empty", "changed", "longer", "other"])
def test_a_damaged_vault_is_refused_naming_the_newest_good_generation(vault: Vault, how: str) -> None:
    vault.put("dbdeck", "two", Secret("2"))
    vault.put("dbdeck", "three", Secret("3"))
    _damage(vault, how)
    before = vault.path.read_bytes()
    for use in (vault.names, lambda: vault.put("dbdeck", "four", Secret("4"))):
        with pytest.raises(SecretsUnavailable, match="newest good generation is 2") as refused:
            use()
        assert "dbdeck secret restore 2" in refused.value.hint
    assert vault.path.read_bytes() == before, "nothing is written over it"
    vault.restore(2)
    assert vault.names() == (("dbdeck", "one"), ("dbdeck", "two"))
    assert vault.path.with_name("vault.damaged").read_bytes() == before


def test_a_damaged_generation_is_not_the_newest_good_one(vault: Vault) -> None:
    for number in range(2, 5):
        vault.put("dbdeck", "one", Secret(str(number)))
    _damage(vault, "torn")
    vault.path.with_name("vault.3").write_bytes(b"")
    with pytest.raises(SecretsUnavailable, match="newest good generation is 2"):
        vault.names()


def test_a_vault_that_was_removed_is_not_taken_for_a_new_one(vault: Vault) -> None:
    vault.put("dbdeck", "two", Secret("2"))
    vault.path.unlink()
    with pytest.raises(SecretsUnavailable, match=r"missing.*newest good generation is 1"):
        vault.put("dbdeck", "three", Secret("3"))
    vault.restore(1)
    assert vault.names() == (("dbdeck", "one"),)


def test_a_header_that_was_changed_with_its_checksum_is_noticed(vault: Vault) -> None:
    content = vault.path.read_bytes()[:-32].replace(b'"generation":1', b'"generation":7')
    vault.path.write_bytes(content + hashlib.sha256(content).digest())
    with pytest.raises(SecretsUnavailable, match="it was changed"):
        vault.names()


def test_a_value_that_was_put_under_another_name_is_noticed(vault: Vault) -> None:
    vault.put("dbdeck", "two", Secret("2"))
    whole = sealed.parse(vault.path.read_bytes())
    key = sealed.derive(MASTER, whole.header.kdf)
    entries = sealed.open_entries(whole, key)
    swapped = {("dbdeck", "one"): entries["dbdeck", "two"], ("dbdeck", "two"): entries["dbdeck", "one"]}
    vault.path.write_bytes(sealed.seal(whole.header, swapped, key))
    with pytest.raises(SecretsUnavailable, match="an entry was changed"):
        vault.get("dbdeck", "one")


# ---- whose files they are --------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_use_is_refused(vault: Vault, mode: int) -> None:
    vault.path.chmod(mode)
    with pytest.raises(SecretsUnavailable, match=f"mode {mode:04o}") as refused:
        vault.get("dbdeck", "one")
    assert refused.value.hint == f"chmod 0600 {vault.path}"


def test_a_folder_that_others_may_enter_is_refused(vault: Vault) -> None:
    vault.path.parent.chmod(0o750)
    for use in (vault.names, lambda: vault.put("dbdeck", "two", Secret("2"))):
        with pytest.raises(SecretsUnavailable, match="mode 0750") as refused:
            use()
        assert refused.value.hint == f"chmod 0700 {vault.path.parent}"


@pytest.mark.parametrize("what", ["vault", "vault.lock"])
def test_a_symlink_is_not_followed(vault: Vault, what: str, tmp_path: Path) -> None:
    place = vault.path.with_name(what)
    aside = tmp_path / "aside"
    place.rename(aside)
    place.symlink_to(aside)
    with pytest.raises(SecretsUnavailable, match="symbolic links"):
        vault.put("dbdeck", "two", Secret("2"))


def test_a_link_in_the_place_of_the_new_file_is_not_written_through(vault: Vault, tmp_path: Path) -> None:
    aside = tmp_path / "aside"
    aside.write_text("precious")
    vault.path.with_name("vault.new").symlink_to(aside)
    vault.put("dbdeck", "two", Secret("2"))
    assert aside.read_text() == "precious"
    assert not vault.path.is_symlink()


def test_a_fifo_in_its_place_is_refused_at_once(vault: Vault) -> None:
    vault.path.unlink()
    os.mkfifo(vault.path, 0o600)
    with pytest.raises(SecretsUnavailable, match="no regular file"):
        vault.names()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("what", ["vault", "."])
def test_what_belongs_to_another_user_is_refused(vault: Vault, what: str) -> None:
    os.chown(vault.path.with_name(what) if what != "." else vault.path.parent, 65534, 65534)
    with pytest.raises(SecretsUnavailable, match="another user"):
        vault.names()


def test_a_master_of_a_descriptor_is_read_once_and_not_kept(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, f"{MASTER.reveal()}\n".encode())
    os.close(writing)
    words, find = masters.from_fd(reading)
    assert str(reading) in words
    assert [find(), find()] == [MASTER, None]
    with pytest.raises(UsageError, match="not open"):
        masters.from_fd(reading)


def test_a_descriptor_that_stays_silent_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masters, "FD_SECONDS", 0.05)
    reading, writing = os.pipe()
    with pytest.raises(UsageError, match="nothing came"):
        masters.from_fd(reading)
    os.close(writing)
