"""leaked-credential: a known password is replaced, and who used it is ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from console.model.probe import Answer
from tests.integration.actions.conftest import superuser
from tests.integration.actions.rotors import FIRST
from tests.integration.runbooks.vaults import keeper, known_account, logged_in, sessions_of
from tests.integration.test_probe import probe
from tests.running import START, deaths, end, killed_again_and_again
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer

YES = ("--yes", "--confirm", "sure=end them", "--confirm", "sure_again=end them")


async def test_who_used_the_leaked_password_is_ended_and_it_lets_nobody_in(
    any_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck = await keeper(any_server, tmp_path, monkeypatch)
    account = await known_account(any_server, deck)
    words = ("leaked-credential", "-t", "t", "-p", f"account={account}")
    async with logged_in(any_server, account) as number:
        planned = await deck.run("runbook", "plan", *words)
        assert planned.code == 0, planned
        assert "alter" in planned.out
        assert await deck.kinds() == []
        asked = await deck.run(
            "runbook", "run", "leaked-credential", "-p", f"account={account}", *START, "--yes"
        )
        assert (asked.code, end(asked)["waiting"]["key"]) == (8, "sure"), asked
        assert number in await sessions_of(deck, account)
        done = await deck.run("runbook", "resume", end(asked)["run"], "--json", *YES)
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    assert "drain[0].end_old" in end(done)["effects"]
    assert await sessions_of(deck, account) == set()
    assert (await probe(any_server, account, FIRST)).answer is Answer.REJECTED
    assert await deck.kept(f"dbdeck/t/{account}#previous") is None
    assert FIRST.reveal() not in done.out + planned.out


async def test_nobody_is_logged_in_and_only_the_password_is_replaced(
    postgres18: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck = await keeper(postgres18, tmp_path, monkeypatch)
    account = await known_account(postgres18, deck)
    done = await deck.run("runbook", "run", "leaked-credential", "-p", f"account={account}", *START, "--yes")
    assert (done.code, end(done)["effects"]) == (0, ["rotate", "forget"]), done


async def test_no_such_account_is_an_escalation_without_an_effect(
    postgres18: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck = await keeper(postgres18, tmp_path, monkeypatch)
    planned = await deck.run("runbook", "plan", "leaked-credential", "-t", "t", "-p", "account=nobody")
    assert (planned.code, await deck.kinds()) == (0, []), planned
    done = await deck.run("runbook", "run", "leaked-credential", "-p", "account=nobody", *START, "--yes")
    assert (done.code, end(done)["result"], end(done)["effects"]) == (1, "escalate", []), done


async def test_who_could_do_more_than_their_work_is_an_escalation(
    postgres18: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck = await keeper(postgres18, tmp_path, monkeypatch)
    account = await known_account(postgres18, deck)
    await superuser(postgres18, f"grant pg_execute_server_program to {account}")
    done = await deck.run("runbook", "run", "leaked-credential", "-p", f"account={account}", *START, "--yes")
    assert (done.code, end(done)["result"]) == (8, "escalate"), done
    assert "pg_execute_server_program" in end(done)["text"]


@pytest.mark.parametrize("mysql_name", ["mysql"], indirect=True)
@deaths(18)
async def test_it_is_replaced_once_whoever_dies(
    mysql: MysqlServer, after: Sequence[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deck = await keeper(mysql, tmp_path, monkeypatch)
    account = await known_account(mysql, deck)
    retry = [word for step in ("rotate", "end_old", "retire") for word in ("--decide", f"{step}=retry")]
    async with logged_in(mysql, account):
        done, _ = await killed_again_and_again(
            deck, "leaked-credential", f"account={account}", answers=[*YES[1:], *retry], after=after
        )
    assert (done.code, end(done)["result"]) == (0, "ok"), done
    assert await sessions_of(deck, account) == set()
    assert (await probe(mysql, account, FIRST)).answer is Answer.REJECTED
