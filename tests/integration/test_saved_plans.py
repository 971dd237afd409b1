"""A plan out of a file: each action plans it again, and what anybody wrote into the file is not run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import yaml

import actions
from console.audit.ledger import open_ledger
from console.config import parse
from console.dispatch.action import Approval, Plan, Risk
from console.dispatch.dispatcher import Dispatcher
from console.dispatch.registry import Registry
from console.engine.open import open_engine
from console.engine.port import Engine
from console.errors import Refused
from console.model.policy import Policy
from tests.crashing.keeping import publish, store_at
from tests.crashing.scenarios import ALL
from tests.crashing.situation import Scenario
from tests.integration.test_crash_points import server_of
from tests.servers.fleet import Fleet, Server


class Desk(NamedTuple):
    here: Dispatcher
    engine: Engine
    saved: Plan


@asynccontextmanager
async def saved(scenario: Scenario, server: Server, folder: Path) -> AsyncIterator[Desk]:
    """The real situation of an action, and the plan of it as a file has it."""
    publish()
    folder.mkdir(mode=0o700)
    async with scenario.ground(server, folder) as ground, ground.fresh() as situation:
        targets = {"t": (ground.server or server).target_dict(**ground.over)}
        target = parse(yaml.safe_dump({"targets": targets, **ground.beside})).target("t")
        store = store_at(Path(ground.vault)) if ground.vault else None
        async with (
            open_ledger(f"sqlite:///{folder}/audit.db", folder / "journal") as ledger,
            open_engine(target) as engine,
        ):
            here = Dispatcher(Registry(actions.ALL), ledger, Policy(), store=store)
            made = await here.plan(scenario.action, engine, dict(situation.args))
            yield Desk(here, engine, msgspec.json.decode(msgspec.json.encode(made), type=Plan))
        await situation.release()


def edits(plan: Plan) -> dict[str, Plan]:
    """What somebody may write into the file; the hash is made anew, as whoever edits it can."""
    other = next(risk for risk in Risk if risk is not plan.risk)
    made = {
        "statement": msgspec.structs.replace(plan, statements=("drop table orders", *plan.statements[1:])),
        "one more": msgspec.structs.replace(plan, statements=(*plan.statements, "drop table orders")),
        "risk": msgspec.structs.replace(plan, risk=other),
        "confirm": msgspec.structs.replace(plan, confirm=not plan.confirm),
        "title": msgspec.structs.replace(plan, subject={**plan.subject, "title": "nothing at all"}),
    }
    if jobs := plan.subject.get("jobs"):
        worse = {**jobs[0]["statement"], "sql": "drop table orders"}
        made["what is sent"] = _with_jobs(plan, [{**jobs[0], "statement": worse}, *jobs[1:]])
        made["a job less"] = _with_jobs(plan, jobs[1:])
    return made


def _with_jobs(plan: Plan, jobs: object) -> Plan:
    return msgspec.structs.replace(plan, subject={**plan.subject, "jobs": jobs})


THINNED = ("session.terminate_idle",)  # whose subjects come and go: what is more in the file is left out
UNDONE = ("account.create",)  # whose situation takes back what was done in it


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("scenario", "flavor"),
    [pytest.param(one, flavor, id=f"{one.title}-{flavor}") for one in ALL for flavor in one.flavors],
)
async def test_what_was_saved_is_planned_again_and_what_was_edited_is_refused(
    scenario: Scenario, flavor: str, fleet: Fleet, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    async with saved(scenario, server_of(fleet, request, flavor), tmp_path / "here") as desk:
        await asyncio.sleep(1.1)  # the clock of a statement in whole seconds goes on
        again = await desk.here.vouched(desk.saved, desk.engine)
        assert again.hash == desk.saved.hash  # so that what was approved stays approved
        believed = []
        for name, edited in edits(desk.saved).items():
            with suppress(Refused):
                vouched = await desk.here.vouched(edited, desk.engine)
                believed.append(name)
                assert vouched.hash == again.hash  # what was written is in nothing that would be run
        assert believed == (["one more", "title"] if scenario.action in THINNED else [])
        if scenario.action in UNDONE:
            run = await desk.here.apply(again, desk.engine, Approval(reason="a test", confirm="t"))
            assert run.effect == "applied"
