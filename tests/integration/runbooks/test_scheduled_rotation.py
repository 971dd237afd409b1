"""scheduled-rotation: who is overdue is rotated, who is not fit is named, and what is drained is retired."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest

from console.model.probe import Answer
from tests.integration.actions.conftest import superuser
from tests.integration.actions.rotors import FIRST, new_account
from tests.integration.runbooks.vaults import keeper
from tests.integration.test_probe import probe
from tests.integration.test_rotate_command import Deck
from tests.running import START, end, killed_again_and_again
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer

# An hour is the shortest cadence of a config; in the commands of these tests it lasts a second.
QUICK = 'from console.model import rotation\nrotation._SECONDS["h"] = 1.0\n'
CADENCE = 1.0


class Round(Deck):
    """With two accounts that the cadence is about, and no others; both are overdue."""

    first: str
    second: str

    async def begin(self) -> None:
        for name in (self.first, self.second):
            await self.keep(f"dbdeck/t/{name}", FIRST.reveal())
            if not isinstance(self.server, MysqlServer):  # it keeps no date but that of our rotation
                done = await self.rotate(name)
                assert done.code == 0, done
        await asyncio.sleep(CADENCE + 1.1)


async def round_on(server: Server, folder: Path, patch: pytest.MonkeyPatch) -> Round:
    over: dict[str, Any] = {}
    if not isinstance(server, MysqlServer):  # a monitor that may read verifiers
        over = {"monitor": {"user": "postgres"}, "host": server.host, "tls": "off"}
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(QUICK)
    patch.setenv("PYTHONPATH", str(folder / "site"))
    deck = await keeper(server, folder, patch, **over)
    deck.__class__ = Round
    assert isinstance(deck, Round)
    prefix = f"r{uuid.uuid4().hex[:6]}_"
    deck.first, deck.second = [await new_account(server, prefix=prefix) for _ in range(2)]
    await _only(deck, prefix)
    return deck


async def _only(deck: Round, prefix: str) -> None:
    mysql = isinstance(deck.server, MysqlServer)
    table = "select user from mysql.user" if mysql else "select rolname from pg_roles"
    others = {
        str(name) for (name,) in await superuser(deck.server, table) if not str(name).startswith(prefix)
    }
    exclude = sorted(name for name in others if name)
    deck.write(deck.values | {"rotation": {"every": "1h", "exclude": exclude}})


async def logs_in(server: Server, account: str) -> bool:
    return (await probe(server, account, FIRST)).answer is Answer.ACCEPTED


async def test_who_is_overdue_is_rotated_and_the_old_ones_are_retired(
    any_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck = await round_on(any_server, tmp_path, monkeypatch)
    await deck.begin()
    before = await deck.kinds()
    planned = await deck.run("runbook", "plan", "scheduled-rotation", "-t", "t")
    assert (planned.code, await deck.kinds()) == (0, before), planned
    assert deck.first in planned.out
    done = await deck.run("runbook", "run", "scheduled-rotation", *START, "--yes")
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    assert end(done)["effects"] == ["rotate", "old[0].retire_it", "old[1].retire_it"]
    assert [await logs_in(any_server, name) for name in (deck.first, deck.second)] == [False, False]


async def test_who_is_not_fit_is_named_and_the_other_is_rotated(
    mysql: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck = await round_on(mysql, tmp_path, monkeypatch)
    await deck.keep(f"dbdeck/t/{deck.first}", FIRST.reveal())
    await deck.keep(f"dbdeck/t/{deck.second}", "n0t-the-right-one")
    await asyncio.sleep(CADENCE + 1.1)
    done = await deck.run("runbook", "run", "scheduled-rotation", *START, "--yes")
    assert (done.code, end(done)["result"]) == (8, "escalate"), done
    assert deck.second in end(done)["text"]
    assert not await logs_in(mysql, deck.first)


async def test_nothing_is_due_and_nothing_is_done(
    postgres18: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck = await round_on(postgres18, tmp_path, monkeypatch)
    planned = await deck.run("runbook", "plan", "scheduled-rotation", "-t", "t")
    assert (planned.code, await deck.kinds()) == (0, []), planned
    done = await deck.run("runbook", "run", "scheduled-rotation", *START, "--yes")
    assert (done.code, end(done)["result"], end(done)["effects"]) == (0, "ok", []), done


@pytest.mark.parametrize("mysql_name", ["mariadb"], indirect=True)
async def test_the_stored_passwords_log_in_whoever_dies(
    mysql: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck = await round_on(mysql, tmp_path, monkeypatch)
    await deck.begin()
    done, _ = await killed_again_and_again(deck, "scheduled-rotation")
    assert end(done)["result"] in ("ok", "escalate"), done
    for name in (deck.first, deck.second):
        kept = [await deck.kept(f"dbdeck/t/{name}{ending}") for ending in ("", "#pending")]
        answers = [(await probe(mysql, name, one.password)).answer for one in kept if one is not None]
        assert Answer.ACCEPTED in answers
