"""The port for secrets, over the vault and over the fake: one body for both, and what a bad keyring does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.errors import ConfigError, OutcomeUnknown, SecretsUnavailable, VaultLocked
from console.keyrings import Keyring, pin
from console.secret_store import KeyringStore, SecretStore, within
from console.secrets import Secret
from tests import keyrings_for_tests as backends
from tests.fakes import MemoryStore
from tests.test_keyrings import HERE, pinned_vault

NAME = "dbdeck/orders-prod/operator"


@pytest.fixture(params=["the vault", "another keyring", "the fake"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SecretStore:
    if request.param == "the fake":
        return MemoryStore()
    backends.Good.entries.clear()
    good = Keyring(backend=f"{HERE}.Good")
    return KeyringStore(pinned_vault(tmp_path) if request.param == "the vault" else pin(good))


async def test_what_is_put_is_got_and_what_is_deleted_is_gone(store: SecretStore) -> None:
    assert await store.get(NAME) is None
    await store.put(NAME, Secret("one"))
    await store.put(f"{NAME}.pending", Secret('{"rotation": 7}'))
    assert await store.get(NAME) == Secret("one")
    await store.put(NAME, Secret("two"))
    assert await store.get(NAME) == Secret("two")
    assert await store.delete(NAME) is True
    assert await store.get(NAME) is None
    assert await store.get(f"{NAME}.pending") == Secret('{"rotation": 7}')


async def test_of_several_names_those_that_are_there_are_got_by_one_look(store: SecretStore) -> None:
    assert await store.some([NAME]) == {}
    await store.put(NAME, Secret("one"))
    await store.put(f"{NAME}#previous", Secret("two"))
    found = await store.some([NAME, f"{NAME}#pending", f"{NAME}#previous"])
    assert found == {NAME: Secret("one"), f"{NAME}#previous": Secret("two")}
    assert await store.some([]) == {}


async def test_who_comes_second_gets_what_the_first_one_stored(store: SecretStore) -> None:
    assert await store.claim(NAME, Secret("one")) == Secret("one")
    assert await store.claim(NAME, Secret("two")) == Secret("one")
    assert await store.get(NAME) == Secret("one")


async def test_of_several_at_once_all_get_the_same_from_the_vault(tmp_path: Path) -> None:
    store = KeyringStore(pinned_vault(tmp_path))
    found = await asyncio.gather(*(store.claim(NAME, Secret(str(n))) for n in range(8)))
    assert set(found) == {await store.get(NAME)}


async def test_a_second_delete_is_no_error(store: SecretStore) -> None:
    await store.put(NAME, Secret("one"))
    assert [await store.delete(NAME), await store.delete(NAME)] == [True, False]


async def test_a_canary_leaves_nothing(store: SecretStore) -> None:
    await store.put(NAME, Secret("one"))
    await store.canary()
    assert await store.get(NAME) == Secret("one")
    if isinstance(store, KeyringStore) and store._pinned.vault is not None:
        assert [name for _, name in store._pinned.vault.names()] == ["operator"]


async def test_a_name_without_a_service_is_refused(store: SecretStore) -> None:
    for use in (store.get("operator"), store.put("operator", Secret("x")), store.delete("operator")):
        with pytest.raises(ConfigError, match="SERVICE/NAME"):
            await use


async def test_several_at_once_are_all_kept(store: SecretStore) -> None:
    await asyncio.gather(*(store.put(f"dbdeck/n{n}", Secret(str(n))) for n in range(8)))
    assert [await store.get(f"dbdeck/n{n}") for n in range(8)] == [Secret(str(n)) for n in range(8)]


async def test_it_has_a_name_for_the_ledger(store: SecretStore) -> None:
    assert store.name


async def test_the_vault_is_read_from_the_disk_each_time(tmp_path: Path) -> None:
    pinned = pinned_vault(tmp_path)
    store = KeyringStore(pinned)
    await store.put(NAME, Secret("one"))
    assert pinned.vault is not None
    raw = pinned.vault.path.read_bytes()
    await store.put(NAME, Secret("two"))
    pinned.vault.path.write_bytes(raw)
    assert await store.get(NAME) == Secret("one"), "what the file holds, not what was written last"
    assert str(pinned.vault.path) in store.name


async def test_a_locked_vault_fails_the_canary(tmp_path: Path) -> None:
    with pytest.raises(VaultLocked):
        await KeyringStore(pin(Keyring(vault=str(tmp_path / "vault")), environ={})).canary()


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        ("Forgets", "gave back nothing"),
        ("Keeps", "cannot be written: PasswordDeleteError"),
        ("Leaks", "PasswordSetError"),
    ],
)
async def test_a_keyring_that_does_not_keep_fails_the_canary(backend: str, says: str) -> None:
    with pytest.raises(SecretsUnavailable, match=says):
        await KeyringStore(pin(Keyring(backend=f"{HERE}.{backend}"))).canary()


@pytest.fixture
def silent() -> Iterator[KeyringStore]:
    """A keyring that never answers."""
    backends.Hangs.answer.clear()
    yield KeyringStore(pin(Keyring(backend=f"{HERE}.Hangs")), seconds=0.1)
    backends.Hangs.answer.set()


async def test_no_answer_in_time_is_told_as_not_known(silent: KeyringStore) -> None:
    with pytest.raises(SecretsUnavailable, match="nothing is known about dbdeck/orders-prod/operator"):
        await silent.get(NAME)
    with pytest.raises(OutcomeUnknown, match="may have been stored or not"):
        await silent.put(NAME, Secret("one"))
    with pytest.raises(OutcomeUnknown, match="may have been removed or not"):
        await silent.delete(NAME)
    with pytest.raises(SecretsUnavailable, match="no answer within"):
        await silent.canary()


async def test_the_event_loop_goes_on_while_a_keyring_hangs(silent: KeyringStore) -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.005)
            beats += 1

    task = asyncio.create_task(beat())
    with pytest.raises(SecretsUnavailable):
        await silent.get(NAME)
    task.cancel()
    assert beats > 5


def test_a_keyring_that_hangs_does_not_keep_the_process_from_ending(silent: KeyringStore) -> None:
    async def ask() -> None:
        with pytest.raises(SecretsUnavailable):
            await silent.get(NAME)

    start = time.monotonic()
    asyncio.run(ask())
    assert time.monotonic() - start < 5


async def test_an_error_comes_from_where_it_is_awaited() -> None:
    def fail() -> None:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        await within(1, fail)
