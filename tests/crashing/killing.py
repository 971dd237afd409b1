"""One scenario on one server: die at a turn, look at the server, let the ledger be settled, and compare."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import yaml

import actions
from console.audit.ledger import Ledger, open_ledger
from console.audit.record import Entry, Kind, OpenIntent
from console.audit.verify import fields
from console.config import parse
from console.dispatch import intents
from console.dispatch.action import Approval, Offline
from console.dispatch.dispatcher import Dispatcher, running
from console.dispatch.reconcile import Settled, Word, reconcile
from console.dispatch.registry import Registry
from console.engine.open import open_engine
from console.errors import Exit, Refused
from console.model.policy import Policy
from console.model.target import Target
from console.secret_store import SecretStore
from console.secrets import Secret
from tests.crashing.job import BROKE, Ended, Job
from tests.crashing.keeping import publish, store_at
from tests.crashing.situation import Ground, Scenario, Situation, Truth
from tests.integration.actions.conftest import superuser, until
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer

ROOT = Path(__file__).resolve().parents[2]
QUIET_SECONDS = 60.0
_OF_OURS = {
    "postgresql": "select count(*) from pg_stat_activity"
    " where application_name like 'dbdeck%' and application_name <> 'dbdeck audit'",
    "mysql": "select count(*) from performance_schema.session_connect_attrs"
    " where attr_name = 'program_name' and attr_value like 'dbdeck%' and attr_value <> 'dbdeck audit'",
}


class Sink(NamedTuple):
    """A ledger's URL, and the variable with its password. Without a URL it is SQLite, a new one each time."""

    url: str = ""
    word: str = ""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One death. `recorded`: nothing | intent | step | outcome, the last row there was. `first` is what was
    said at once, `said` when the server had gone on: applied, partial, not_applied or undecidable.
    """

    turn: int
    recorded: str
    first: str
    said: str
    truth: Truth
    faults: tuple[str, ...] = ()

    @property
    def untouched(self) -> bool:
        """The situation is as it was."""
        return self.truth == "not_applied" and not self.faults

    @property
    def wrong(self) -> bool:
        return any(one not in ("undecidable", self.truth) for one in (self.first, self.said))


class Undertaker:
    """The process that forks those that die."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def run(self, job: Job) -> Ended:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(job) + b"\n")
        line = await self._process.stdout.readline()
        return msgspec.json.decode(line, type=Ended)


@asynccontextmanager
async def undertaker() -> AsyncIterator[Undertaker]:
    """Those that die have the passwords of all accounts of the scenarios in their environment."""
    publish()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.crashing.victim"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        yield Undertaker(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


class Scaffold:
    """A scenario's ground on one server, with a ledger of its own."""

    def __init__(
        self, scenario: Scenario, server: Server, ground: Ground, folder: Path, sink: Sink, by: Undertaker
    ) -> None:
        self.scenario = scenario
        self.server = ground.server or server
        self._ground = ground
        self._folder = folder
        self._sink = sink
        self._by = by
        self._deaths = 0
        self._seen = 0
        self._here.mkdir(mode=0o700)
        targets = {"targets": {"t": self.server.target_dict(**ground.over)}}
        self._config = yaml.safe_dump({**targets, **ground.beside})

    @property
    def _target(self) -> Target:
        return parse(self._config).target("t")

    @property
    def _store(self) -> SecretStore | None:
        return store_at(Path(self._ground.vault)) if self._ground.vault else None

    @asynccontextmanager
    async def _ledger(self) -> AsyncIterator[Ledger]:
        word = Secret(os.environ[self._sink.word]) if self._sink.word else None
        async with open_ledger(self._url, self._here / "journal", password=word) as opened:
            yield opened

    async def _run(self, situation: Situation, stop: int) -> Ended:
        job = Job(
            config=self._config,
            action=self.scenario.action,
            args=dict(situation.args),
            ledger=self._url,
            journal=str(self._here / "journal"),
            vault=self._ground.vault,
            word=self._sink.word,
            stop=stop,
        )
        return await self._by.run(job)

    async def whole(self) -> Ended:
        """A run that nobody disturbs."""
        async with self._ground.fresh() as situation:
            await situation.release()
            ended = await self._run(situation, 0)
            assert ended.exit == 0, (self.scenario.title, ended)
            wanted = "not_applied" if self.scenario.looks else "applied"
            assert await situation.truth() == wanted, (self.scenario.title, ended)
        return ended

    async def deaths(self, turns: Sequence[int]) -> AsyncIterator[Point]:
        """Nothing for turns that came after the run's end. A situation in which nothing was done serves the
        next death, too: so it is shown that it can be done after all.
        """
        left = list(turns)
        while left:
            async with self._ground.fresh() as situation:
                point: Point | None = None
                while left and (point is None or point.untouched):
                    point = await self._die(situation, left.pop(0))
                    if point is None:
                        break
                    if not point.untouched or not left or situation.held:
                        faults = await self._repeat(situation, point.truth)
                        point = msgspec.structs.replace(point, faults=(*point.faults, *faults))
                    yield point
                    if situation.held:
                        break

    async def _die(self, situation: Situation, turn: int) -> Point | None:
        """None where the run was at its end before."""
        await self._begin_anew()
        ended = await self._run(situation, turn)
        if not ended.killed:
            held_up = situation.held and ended.exit == Exit.FAILED  # the server gave up waiting first
            assert ended.exit == 0 or held_up, (self.scenario.title, turn, ended)
            return None
        return await self._inquest(situation, turn)

    async def _begin_anew(self) -> None:
        """A ledger of its own for each death, where that costs nothing: what is verified stays small. Of one
        that is shared, what earlier runs left is not looked at again.
        """
        if not self._sink.url:
            self._deaths += 1
            self._here.mkdir(mode=0o700)
            return
        async with self._ledger() as ledger:
            self._seen = max((one.id for one in await ledger.entries()), default=0)

    @property
    def _url(self) -> str:
        return self._sink.url or f"sqlite:///{self._here}/audit.db"

    @property
    def _here(self) -> Path:
        return self._folder / str(self._deaths)

    async def _inquest(self, situation: Situation, turn: int) -> Point:
        faults: list[str] = []
        async with self._ledger() as ledger:
            await self._until_dead(ledger)
            rows = [one for one in await ledger.entries(newest_first=False) if one.id > self._seen]
            opened = await ledger.open_intents()
            faults += await self._frozen(ledger, opened)
            settled = await self._reconcile(ledger) if opened else []
            first = said = _said(rows, opened, settled)
            await situation.release()
            await self._quiet()
            truth = self._and_seen(await situation.truth(), rows)
            if first == "undecidable":
                said = _said(rows, opened, await self._reconcile(ledger))
            faults += _recorded(rows, truth, opened)
            if left := await ledger.open_intents():
                faults += [] if said == "undecidable" else ["settled, and open still"]
                await self._by_word(ledger, left, truth)
            verified = await ledger.verify()
            faults += [f"verify: {one}" for one in verified.faults]
        return Point(
            turn=turn, recorded=_last(rows), first=first, said=said, truth=truth, faults=tuple(faults)
        )

    def _and_seen(self, truth: Truth, rows: Sequence[Entry]) -> Truth:
        """What only looks was done when its outcome is there, and left nothing."""
        seen = self.scenario.looks and truth == "not_applied" and _outcome(rows) == "applied"
        return "applied" if seen else truth

    async def _until_dead(self, ledger: Ledger) -> None:
        """A ledger on a server learns of a death when that server does."""

        async def dead() -> bool:
            return not any(running(one) for one in await ledger.open_intents())

        await until(dead)

    async def _frozen(self, ledger: Ledger, opened: Sequence[OpenIntent]) -> list[str]:
        """An open intent bars another action of its family, but for one that acts on no server."""
        registry = Registry(actions.ALL)
        if not opened or isinstance(registry.get(self.scenario.action), Offline):
            return []
        dispatcher = Dispatcher(registry, ledger, Policy())
        plan = msgspec.structs.replace(intents.plan_of(opened[0].body), refusals=())
        try:
            async with open_engine(self._target) as engine:
                await dispatcher.apply(plan, engine, Approval(reason="a second one", confirm="t"))
        except Refused as error:
            return [] if "frozen" in error.message else [f"refused, not frozen: {error.message}"]
        finally:
            await dispatcher.close()
        return ["an open intent froze nothing"]

    async def _reconcile(self, ledger: Ledger) -> list[Settled]:
        return await reconcile(ledger, Registry(actions.ALL), [self._target], store=self._store)

    async def _quiet(self) -> None:
        """Until the server has nobody of ours any more: what was sent has had its effect by then, or none."""
        flavor = "mysql" if isinstance(self.server, MysqlServer) else "postgresql"

        async def alone() -> bool:
            return bool((await superuser(self.server, _OF_OURS[flavor]))[0][0] == 0)

        await until(alone, QUIET_SECONDS)

    async def _by_word(self, ledger: Ledger, left: Sequence[OpenIntent], truth: Truth) -> None:
        """A person looks, and says."""
        for one in left:
            word = Word(
                action_id=str(one.action_id),
                state="not_applied" if truth == "not_applied" else "applied",
                reason="looked",
                who="somebody",
            )
            await reconcile(ledger, Registry(actions.ALL), [self._target], word, self._store)

    async def _repeat(self, situation: Situation, truth: Truth) -> list[str]:
        """Where it was not done it can be done now; where it was, nothing hangs on it any more."""
        await situation.release()
        ended = await self._run(situation, 0)
        if "frozen" in ended.said or ended.exit == BROKE or (truth == "not_applied" and ended.exit):
            return [f"again: {ended.said}"]
        if ended.exit in (Exit.STALE, Exit.USAGE):
            return []  # there is nothing left to do it to
        now = await situation.truth()
        if self.scenario.looks:
            return [] if now == "not_applied" else [f"again: {ended.said}, and something is left"]
        return [] if now == "applied" or truth == "partial" else [f"again: {ended.said}, and it is {now}"]


def _last(rows: Sequence[Entry]) -> str:
    kinds = [str(one.kind) for one in rows if one.kind in (Kind.INTENT, Kind.STEP, Kind.OUTCOME, Kind.NOTE)]
    return kinds[-1] if kinds else "nothing"


_OF_OUTCOME = {"applied": "applied", "no_op": "applied", "partial": "partial", "failed": "not_applied"}


def _said(rows: Sequence[Entry], opened: Sequence[OpenIntent], settled: Sequence[Settled]) -> str:
    """By the reconciliation, by the outcome where that was written; without an intent nothing was done."""
    if settled:
        return settled[0].state
    return _outcome(rows) or ("undecidable" if opened else "not_applied")


def _outcome(rows: Sequence[Entry]) -> str:
    """Empty where there is none."""
    found = [str(fields(one.body)["status"]) for one in rows if one.kind == Kind.OUTCOME]
    return _OF_OUTCOME.get(found[-1], "undecidable") if found else ""


def _recorded(rows: Sequence[Entry], truth: Truth, opened: Sequence[OpenIntent]) -> list[str]:
    kinds = [one.kind for one in rows]
    faults = []
    if truth != "not_applied" and not {Kind.INTENT, Kind.STEP} <= set(kinds):
        faults.append(f"an effect with no more in the ledger than {kinds}")
    if Kind.INTENT in kinds and Kind.OUTCOME not in kinds and len(opened) != 1:
        faults.append(f"{len(opened)} open intents of one")
    return faults


@asynccontextmanager
async def scaffold(
    scenario: Scenario, server: Server, folder: Path, by: Undertaker, sink: Sink | None = None
) -> AsyncIterator[Scaffold]:
    """`folder` must not be on tmpfs, where journals are refused."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with scenario.ground(server, folder) as ground:
        yield Scaffold(scenario, server, ground, folder, sink or Sink(), by)


def spread(turns: int, number: int, seed: int, first: int = 1) -> list[int]:
    """The first, the last, and others evenly between, shifted by the seed."""
    if number >= turns - first + 1:
        return list(range(first, turns + 1))
    step = (turns - first) / max(1, number - 1)
    shift = seed % max(1, int(step))
    inner = (first + int(step * (place - 0.5)) + shift for place in range(1, number - 1))
    return sorted({first, turns, *(min(turns, max(first, one)) for one in inner)})


def mostly_after(whole: Ended, number: int, every: int, seed: int) -> list[int]:
    """Turns after the intent was begun, `number` of them at most, and before it each so many-th one."""
    before = range(1 + seed % every, whole.intent, every)
    return sorted({*before, *spread(whole.turns, number, seed, max(1, whole.intent))})
