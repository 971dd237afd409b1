"""A command with a vault, as an operator who sets passwords and sees accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.integration.actions.conftest import superuser
from tests.integration.actions.rotors import FIRST, new_account
from tests.integration.test_rotate_command import Deck
from tests.servers.accounts import ROTATOR
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer

# What ends sessions of others, beside the right to set passwords.
_ENDS = {"mysql": "CONNECTION_ADMIN", "mariadb": "CONNECTION ADMIN"}


async def keeper(server: Server, folder: Path, patch: pytest.MonkeyPatch, **over: Any) -> Deck:
    """Its master is in the environment of every command of the test."""
    deck = Deck(folder, server, **over)
    patch.setenv("CREDENTIALS_DIRECTORY", deck.env["CREDENTIALS_DIRECTORY"])
    if isinstance(server, MysqlServer):
        await superuser(server, f"grant {_ENDS[server.flavor]} on *.* to {ROTATOR}@'%'")
    else:
        await superuser(server, f"grant pg_signal_backend, pg_monitor to {ROTATOR}")
    return deck


async def known_account(server: Server, deck: Deck) -> str:
    """One whose password stands in the vault."""
    account = await new_account(server)
    await deck.keep(f"dbdeck/t/{account}", FIRST.reveal())
    return account


@asynccontextmanager
async def logged_in(server: Server, account: str) -> AsyncIterator[int]:
    """A session of it that does nothing; its number."""
    word = FIRST.reveal()
    if isinstance(server, MysqlServer):
        other = await server.connect(account, password=word)
        try:
            yield int(other.thread_id())
        finally:
            other.close()
        return
    mine = await asyncpg.connect(
        host=server.host, port=server.port, user=account, password=word, database="postgres"
    )
    try:
        yield mine.get_server_pid()
    finally:
        mine.terminate()


async def sessions_of(deck: Deck, account: str) -> set[int]:
    found = (await deck.run("show", "sessions", "-t", "t", "--json")).rows
    return {row["session"]["id"] for row in found if row["user"] == account}
