"""`secret …`: put secrets into the keyring, take them out, and care for the vault. Names only are printed."""

from __future__ import annotations

import asyncio
import difflib
import shlex
import sys
from typing import TYPE_CHECKING, Any

from console.cli import output
from console.cli.context import Services
from console.cli.unlock import ask_master, ask_twice, interactive
from console.errors import Exit, SecretsUnavailable, UsageError, VaultLocked, WrongMaster
from console.keyrings import Pinned, current, no_listing
from console.present.table import Tone
from console.present.units import clean
from console.secret_store import KeyringStore
from console.secrets import Secret, from_line, split_name

if TYPE_CHECKING:
    from console.vault.store import Vault

_LONGEST = 64 * 1024


async def store(services: Services, name: str, as_json: bool) -> int:
    split_name(name)
    pinned = _pinned(services)
    if pinned.vault is not None:
        await ready(pinned.vault)
    value = await _value(name)
    kept = KeyringStore(pinned)
    await kept.put(name, value)
    if await kept.get(name) != value:
        raise SecretsUnavailable(
            f"the keyring {kept.name} was given {name} and does not give it back",
            "choose another with `keyring.backend` of the config",
        )
    return _done(pinned, "stored", as_json, name)


async def remove(services: Services, name: str, as_json: bool) -> int:
    split_name(name)
    pinned = _pinned(services)
    if pinned.vault is not None:
        await _open(pinned.vault)
    if not await KeyringStore(pinned).delete(name):
        known = await _names(pinned.vault) if pinned.vault is not None else []
        near = difflib.get_close_matches(name, known, n=3)
        raise UsageError(
            f"the keyring {pinned.name} has no entry {name}; nothing was removed",
            f"did you mean {' or '.join(near)}?" if near else "`dbdeck secret list` shows what it has",
        )
    return _done(pinned, "removed", as_json, name)


async def list_names(services: Services, as_json: bool) -> int:
    pinned, vault = _with_vault(services)
    await _open(vault)
    state, names = await asyncio.to_thread(vault.state), await _names(vault)
    kept = [{"number": one.number, "at": one.at} for one in state.kept]
    if as_json:
        output.document(
            {
                "schema": "dbdeck/secrets/1",
                "backend": pinned.name,
                "file": str(vault.path),
                "generation": state.generation,
                "at": state.at,
                "kept": kept,
                "rows": [{"name": name} for name in names],
            }
        )
        return Exit.OK
    output.note(f"{pinned.name} (by {pinned.by}): {vault.path}, {_generation(state.generation)}")
    for name in names:
        output.line(clean(name))
    if not names:
        output.note("it holds nothing")
    for one in state.kept:
        told = f"of {one.at.isoformat(timespec='seconds')}" if one.at else "damaged"
        output.note(
            f"can be put back: generation {one.number}, {told} (`dbdeck secret restore {one.number}`)"
        )
    return Exit.OK


async def change_master(services: Services, fd: int | None, *, forget: bool, as_json: bool) -> int:
    from console.vault.masters import read_fd

    pinned, vault = _with_vault(services)
    new = read_fd(fd) if fd is not None else None
    await _open(vault)
    if new is None and not interactive():
        raise UsageError(
            "there is no terminal to ask for the new master at; nothing was changed",
            "give it with --new-master-key-fd N",
        )
    master = new or await ask_twice("new master")
    await asyncio.to_thread(lambda: vault.change_master(master, forget=forget))
    left = [one.number for one in (await asyncio.to_thread(vault.state)).kept]
    if left:
        numbers = ", ".join(str(number) for number in left)
        output.note(
            f"the old master still opens the generations {numbers}: `secret master --forget` removes them"
        )
    return _done(pinned, "changed", as_json)


async def restore(services: Services, generation: int, as_json: bool) -> int:
    pinned, vault = _with_vault(services)
    try:
        await asyncio.to_thread(vault.restore, generation)
    except VaultLocked as error:
        if isinstance(error, WrongMaster) or not interactive():
            raise
        await ask_master(vault, generation)
        await asyncio.to_thread(vault.restore, generation)
    output.note(f"what generation {generation} held is the present state; what was there before is kept")
    return _done(pinned, "restored", as_json)


def _pinned(services: Services) -> Pinned:
    services.config()
    pinned = current()
    if pinned is None:
        raise UsageError("no keyring is pinned; nothing was done")
    return pinned


def _with_vault(services: Services) -> tuple[Pinned, Vault]:
    pinned = _pinned(services)
    if pinned.vault is None:
        raise no_listing(pinned)
    return pinned, pinned.vault


async def ready(vault: Vault) -> None:
    """Open the vault, or make one: its master is asked for twice. Raises VaultLocked without a terminal."""
    if await asyncio.to_thread(vault.exists):
        await _open(vault)
        return
    try:
        await asyncio.to_thread(vault.create)
    except VaultLocked:
        if not interactive():
            raise
        output.note(f"there is no vault {vault.path} yet: it is made now, and its master cannot be recovered")
        master = await ask_twice("master of the new vault")
        await asyncio.to_thread(vault.create, master)


async def _open(vault: Vault) -> None:
    try:
        await asyncio.to_thread(vault.check)
    except VaultLocked as error:
        there = await asyncio.to_thread(vault.exists)
        if isinstance(error, WrongMaster) or not there or not interactive():
            raise
        await ask_master(vault)


async def _names(vault: Vault) -> list[str]:
    return ["/".join(name) for name in await asyncio.to_thread(vault.names)]


async def _value(name: str) -> Secret:
    if sys.stdin.isatty():
        return await ask_twice(f"value of {name}")
    data = await asyncio.to_thread(sys.stdin.buffer.read, _LONGEST + 1)
    value, size = from_line(data), len(data)
    del data  # no error below has it in its frame
    if value is None or value == Secret("") or size > _LONGEST:
        said = "no UTF-8 text" if value is None else "nothing" if size <= _LONGEST else "too much"
        raise UsageError(
            f"{said} came on stdin; nothing was stored",
            f"as in: dbdeck secret set {shlex.quote(name)} < FILE",
        )
    return value


def _generation(number: int | None) -> str:
    return "not made yet" if number is None else f"generation {number}"


def _done(pinned: Pinned, effect: str, as_json: bool, name: str | None = None) -> int:
    file = str(pinned.vault.path) if pinned.vault is not None else None
    if as_json:
        said: dict[str, Any] = {"name": name, "effect": effect, "backend": pinned.name, "file": file}
        output.document({"schema": "dbdeck/secret/1", **said})
    else:
        what = name or ("the master" if effect == "changed" else "the vault")
        output.line(f"{clean(what)}: {effect}", Tone.GOOD)
    return Exit.OK
