"""Passwords that somebody else changed, on real servers: seen by the fingerprint that our rotation left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from console.audit.record import Entry
from console.audit.rotations import rotation_rows
from console.dispatch.action import Approval
from console.dispatch.drift import Sentinel
from console.engine.account_check import check
from console.engine.open import open_engine
from console.engine.port import Engine
from console.errors import AuditUnavailable, Exit, VaultLocked
from console.model.account_findings import findings
from console.model.accounts import Account, judged
from console.model.drift import NO_FINGERPRINT, OTHER_KEY, Drift, Drifts
from console.model.guessing import Stored
from console.model.indexes import Severity
from console.model.rotation import Rule
from console.model.verifiers import FINGERPRINT_KEY
from console.present import accounts as words
from console.present.table import Tone
from tests.fakes import MemoryStore
from tests.integration.actions.conftest import superuser
from tests.integration.actions.rotors import FIRST, Rotor, new_account, rotor_on
from tests.integration.actions.test_rotate_fingerprints import key_of, stored
from tests.integration.test_rotate_command import Deck
from tests.servers.accounts import MONITOR, ROTATOR, login
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.targets import target_of

COLUMNS = "(rolname, rolpassword, rolcanlogin) on pg_authid"
SEER = login(ROTATOR)
NO_RULE = Rule()


@asynccontextmanager
async def seeing(server: Server) -> AsyncIterator[None]:
    """The rotator may read verifiers."""
    mysql = isinstance(server, MysqlServer)
    if not mysql:
        await superuser(server, f"grant select {COLUMNS} to {ROTATOR}", f"grant pg_monitor to {ROTATOR}")
    try:
        yield
    finally:
        if not mysql:
            await superuser(server, f"revoke select {COLUMNS} from {ROTATOR}")
            await superuser(server, f"revoke pg_monitor from {ROTATOR}")


@pytest_asyncio.fixture
async def desk(any_server: Server, tmp_path: Path) -> AsyncIterator[Rotor]:
    async with seeing(any_server), rotor_on(any_server, tmp_path, monitor=SEER) as made:
        yield made


def sentinel(desk: Rotor, engine: Engine | None = None, store: MemoryStore | None = None) -> Sentinel:
    async def rows() -> Sequence[Entry]:
        return await rotation_rows(desk.ledger)

    return Sentinel(engine or desk.engine, rows, store or desk.store)


async def seen(desk: Rotor, by: Sentinel | None = None, rule: Rule = NO_RULE) -> Account:
    found = await desk.engine.accounts()
    drifts = await (by or sentinel(desk)).look(found)
    return next(one for one in judged(found, rule, drifts).accounts if one.name == desk.account)


async def rotate(desk: Rotor, **given: Any) -> None:
    run = await desk.run("credential.rotate", account=desk.account, **given)
    assert run.exit is Exit.OK, run.error


async def change(desk: Rotor, how: str = "") -> None:
    """What somebody else does with a client."""
    who = f"user {desk.account}@'%' identified by" if desk.mysql else f"role {desk.account} password"
    await superuser(desk.server, f"alter {who} 'n0t-0urs-at-all' {how}")


async def test_after_a_rotation_it_is_the_same(desk: Rotor) -> None:
    await rotate(desk)
    one = await seen(desk)
    assert one.drift.drift is Drift.SAME
    assert words.drift(one) == "same"
    assert words.tone(one) is not Tone.BAD


async def test_the_age_on_postgresql_is_that_of_our_rotation(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with seeing(postgres), rotor_on(postgres, tmp_path, monitor=SEER) as desk:
        assert (await seen(desk)).age is None
        await rotate(desk)
        one = await seen(desk, rule=Rule(every=0.001))
        assert one.changed_at is not None
        assert abs(datetime.now(UTC) - one.changed_at) < timedelta(seconds=60)
        assert one.age is not None
        assert str(one.due) == "overdue"


async def test_what_somebody_else_changed_is_told_with_its_times(desk: Rotor) -> None:
    await rotate(desk)
    by = sentinel(desk)
    before = await seen(desk, by)
    await change(desk)
    by.again()
    one = await seen(desk, by)
    assert one.drift.drift is Drift.CHANGED
    assert one.drift.since == before.drift.seen_at  # narrower than our rotation
    assert one.drift.seen_at is not None
    assert one.drift.since is not None
    assert one.drift.since <= one.drift.seen_at
    told = dict(words.details(one))["ours"]
    assert "by none of dbdeck's rotations" in told
    assert f"after {one.drift.since:%Y-%m-%d %H:%M:%S} UTC" in told
    assert words.tone(one) is Tone.BAD


async def test_a_later_rotation_of_ours_is_the_same_again(desk: Rotor) -> None:
    await rotate(desk, overlap=False)
    await change(desk)
    assert (await seen(desk)).drift.drift is Drift.CHANGED
    await desk.store.delete(desk.entry)
    await rotate(desk, overlap=False)
    assert (await seen(desk)).drift.drift is Drift.SAME


async def test_it_is_the_worst_finding_of_a_check(desk: Rotor) -> None:
    await rotate(desk)
    await change(desk)
    done = await check(desk.engine, Rule(), seconds=0.0, look=sentinel(desk).look)
    [found] = [one for one in done.findings if one.what == "changed outside"]
    assert found.severity is Severity.BAD
    assert found.account.startswith(desk.account)
    assert "credential.rotate" in found.remedy


async def test_the_ledger_of_another_installation_says_nothing(desk: Rotor) -> None:
    await rotate(desk)
    await change(desk)
    other = MemoryStore()
    await other.put(FINGERPRINT_KEY, type(FIRST)("00" * 32))
    one = await seen(desk, sentinel(desk, store=other))
    assert (one.drift.drift, one.drift.why) == (Drift.UNKNOWN, OTHER_KEY)
    gone = await seen(desk, sentinel(desk, store=MemoryStore()))
    assert gone.drift.drift is Drift.UNKNOWN
    assert FINGERPRINT_KEY in gone.drift.why


async def test_a_store_that_is_locked_makes_it_unknown(desk: Rotor) -> None:
    await rotate(desk)
    desk.store.fail["get"] = VaultLocked("the vault is locked")
    one = await seen(desk)
    assert one.drift.drift is Drift.UNKNOWN
    assert "locked" in one.drift.why


async def test_without_the_privilege_it_is_unknown_with_the_grant(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """Of MySQL and MariaDB the accounts themselves are not seen then."""
    async with rotor_on(postgres, tmp_path, monitor=login(MONITOR)) as desk:
        await rotate(desk)
        await change(desk)
        one = await seen(desk)
        assert one.drift.drift is Drift.UNKNOWN
        assert "GRANT SELECT (rolname, rolpassword, rolcanlogin)" in one.drift.why
        assert words.drift(one) == "?"
        assert not [one for one in findings((await judged_all(desk)), None) if one.what == "changed outside"]


async def judged_all(desk: Rotor) -> Any:
    found = await desk.engine.accounts()
    return judged(found, Rule(), await sentinel(desk).look(found))


async def test_a_ledger_that_cannot_be_read_makes_it_unknown_and_says_so(desk: Rotor) -> None:
    await rotate(desk)

    async def rows() -> Sequence[Entry]:
        raise AuditUnavailable("the ledger is away", "wait")

    found = await desk.engine.accounts()
    drifts = await Sentinel(desk.engine, rows, desk.store).look(found)
    assert drifts.of == {}
    assert "the ledger is away" in drifts.notes[0]
    assert "unknown" in drifts.notes[0]


async def test_who_was_never_rotated_costs_no_look_at_key_or_verifiers(
    desk: Rotor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never() -> tuple[Stored, ...]:
        raise AssertionError

    monkeypatch.setattr(desk.engine, "verifiers", never)
    assert await sentinel(desk).look(await desk.engine.accounts()) == Drifts()
    assert desk.store.calls == []


async def test_verifiers_are_read_when_it_is_wanted_and_not_at_each_poll(
    desk: Rotor, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rotate(desk)
    read, looks = desk.engine.verifiers, list[int]()

    async def counted() -> tuple[Stored, ...]:
        looks.append(1)
        return await read()

    monkeypatch.setattr(desk.engine, "verifiers", counted)
    by = sentinel(desk)
    for _ in range(3):
        assert (await seen(desk, by)).drift.drift is Drift.SAME
    assert len(looks) == 1
    by.again()
    await seen(desk, by)
    assert len(looks) == 2


async def test_a_password_that_is_gone_was_changed(postgres: PostgresServer, tmp_path: Path) -> None:
    async with seeing(postgres), rotor_on(postgres, tmp_path, monitor=SEER) as desk:
        await rotate(desk)
        await superuser(postgres, f"alter role {desk.account} password null")
        assert (await seen(desk)).drift.drift is Drift.CHANGED


async def test_who_may_not_log_in_is_not_compared(postgres: PostgresServer, tmp_path: Path) -> None:
    async with seeing(postgres), rotor_on(postgres, tmp_path, monitor=SEER) as desk:
        await rotate(desk)
        await superuser(postgres, f"alter role {desk.account} nologin")
        assert (await seen(desk)).drift.drift is Drift.UNKNOWN


async def test_the_same_server_under_another_name_knows_of_it(desk: Rotor) -> None:
    """As where verifiers are read by a second target with a monitor of its own."""
    await rotate(desk)
    await change(desk)
    target = msgspec.structs.replace(target_of(desk.server, monitor=SEER), name="checks")
    async with open_engine(target) as engine:
        assert (await seen(desk, sentinel(desk, engine))).drift.drift is Drift.CHANGED


async def test_ours_beside_the_old_one_is_the_same_and_after_retire_too(
    mysql: MysqlServer, tmp_path: Path
) -> None:
    async with rotor_on(mysql, tmp_path) as desk:
        await rotate(desk)
        one = await seen(desk)
        assert (one.overlap, one.drift.drift) == (True, Drift.SAME)
        assert (await desk.run("credential.retire", account=desk.account)).exit is Exit.OK
        one = await seen(desk)
        assert (one.overlap, one.drift.drift) == (False, Drift.SAME)


async def test_ours_as_the_older_one_of_somebody_elses_is_changed(mysql: MysqlServer, tmp_path: Path) -> None:
    if mysql.flavor == "mariadb":
        pytest.skip("MariaDB has no older one, but a list")
    async with rotor_on(mysql, tmp_path) as desk:
        await rotate(desk, overlap=False)
        await asyncio.sleep(1.1)  # its own date is in whole seconds
        await change(desk, "retain current password")
        one = await seen(desk)
        assert (one.overlap, one.drift.drift) == (True, Drift.CHANGED)
        assert "by the server's own date" in dict(words.details(one))["ours"]


async def test_a_password_that_was_sent_in_clear_is_unknown(
    postgres_tls: PostgresServer, tmp_path: Path
) -> None:
    async with seeing(postgres_tls), rotor_on(postgres_tls, tmp_path, monitor=SEER) as desk:
        await rotate(desk)
        plan = await desk.plan("credential.rotate", account=desk.account, plaintext=True)
        await desk.dispatcher.apply(plan, desk.engine, Approval(reason="a test", confirm="t"))
        one = await seen(desk)
        assert (one.drift.drift, one.drift.why) == (Drift.UNKNOWN, NO_FINGERPRINT)


# ---- the command ---------------------------------------------------------------------------------


async def test_the_command_says_it_and_shows_nothing_secret(any_server: Server, tmp_path: Path) -> None:
    async with seeing(any_server):
        await _commanded(any_server, tmp_path)


async def _commanded(server: Server, folder: Path) -> None:
    deck = Deck(folder, server, monitor=SEER)
    account = await new_account(server)
    mysql = isinstance(server, MysqlServer)
    await deck.keep(f"dbdeck/t/{account}", FIRST.reveal())
    done = await deck.rotate(account, *(["overlap=false"] if mysql else []))
    assert done.code == 0, done
    ours = await stored(server, account)
    row = await _row(deck, account)
    assert (row["drift"], row["drift_why"]) == ("same", None)
    who = f"user {account}@'%' identified by" if mysql else f"role {account} password"
    await superuser(server, f"alter {who} 'n0t-0urs-at-all'")
    theirs = await stored(server, account)
    row = await _row(deck, account)
    assert row["drift"] == "changed"
    assert row["drift_since"] <= row["drift_seen_at"]
    checked = await deck.call("show", "accounts", "-t", "t", "--check", "--budget", "0.1", "--json")
    said = [one for one in checked.rows if one["finding"] == "changed outside"]
    assert [one["severity"] for one in said] == ["bad"]
    text = await deck.call("show", "accounts", "-t", "t")
    assert "1 changed outside" in text.err
    deck.env = {}
    locked = await _row(deck, account)
    assert locked["drift"] == "unknown"
    rows = await deck.call("audit", "list", "--json", "--limit", "200")
    for shown in (done.out, done.err, checked.out, text.out, text.err, rows.out):
        assert ours not in shown
        assert theirs not in shown
    await superuser(server, f"drop user {account}@'%'" if mysql else f"drop role {account}")


async def _row(deck: Deck, account: str) -> dict[str, Any]:
    shown = await deck.call("show", "accounts", "-t", "t", "--json")
    assert shown.code == 0, shown
    return next(one for one in shown.rows if one["name"] == account)


async def test_no_key_is_in_what_is_seen(desk: Rotor) -> None:
    await rotate(desk)
    one = await seen(desk)
    assert key_of(desk.store).hex() not in f"{one} {words.document(await judged_all(desk))}"
