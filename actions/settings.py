"""setting.set and setting.reset: one setting at one scope, and the command that puts it back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from actions import setting_statements as statements
from actions import setting_words as words
from actions.session_identity import FLAVORS
from actions.session_proof import until
from actions.setting_rules import risk
from actions.setting_statements import Place
from actions.setting_values import equal, wanted
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Verdict
from console.dispatch.operator import Operator
from console.engine.port import Engine, Statement
from console.errors import UsageError
from console.model.settings import Setting
from console.model.target import ServerIdentity


class ResetArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """PostgreSQL: `role`, `database` or both, or `scope=server`. MySQL and MariaDB have only the server;
    `persist` (MySQL) keeps it over a restart.
    """

    name: str
    role: str = ""
    database: str = ""
    scope: Literal["", "server"] = ""
    persist: bool = False


class SetArgs(ResetArgs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    value: str


class _Change:
    """What setting and resetting have in common."""

    name: str
    risk = Risk.MEDIUM
    flavors = FLAVORS

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        """Raises ActionFailed; what came before the refusal is seen by `verify`."""
        if plan.subject["same"]:
            return Result(matched=False)
        for statement in _sent(plan):
            await operator.execute(statement)
        return Result(matched=True)

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        place, value = _place(plan), plan.subject["value"]

        async def so() -> bool:
            now = await _read(engine, plan.subject["name"], place)
            return _holds(place, now, value) and not _may_be_untouched(plan, now, patience)

        if await until(so, patience if place.scope == "server" else 0.0):
            return Verdict(state="applied", summary=f"{plan.title} is {words.entry(value)}")
        now = await _read(engine, plan.subject["name"], place)
        return Verdict(
            state="not_applied",
            summary=f"{plan.title} is {words.entry(words.current(place, now))}{_pending(place)}",
        )

    def lock(self, plan: Plan) -> str:
        return f"setting:{plan.subject['name']}:{_place(plan).words}"


class SetSetting(_Change):
    """New sessions get the value; at the scopes of roles and databases existing ones keep theirs."""

    name = "setting.set"
    summary = "set a setting for a role, a database or the server; the plan names the command that undoes it"
    Args = SetArgs

    async def plan(self, engine: Engine, args: SetArgs) -> Plan:
        server, place, setting = await _look(engine, args)
        return _draft(self.name, engine, server, place, setting, wanted(setting, args.value))


class ResetSetting(_Change):
    """What applies then is the next wider scope's value."""

    name = "setting.reset"
    summary = "take a setting's entry for a role, a database or the server away"
    Args = ResetArgs

    async def plan(self, engine: Engine, args: ResetArgs) -> Plan:
        server, place, setting = await _look(engine, args)
        return _draft(self.name, engine, server, place, setting, None)


# ---- looking -----------------------------------------------------------------------------------


async def _look(engine: Engine, args: ResetArgs) -> tuple[ServerIdentity, Place, Setting]:
    """Raises UsageError for a name or a scope that this server has not."""
    server = await engine.identity()
    place = Place(flavor=server.flavor, role=args.role, database=args.database, persist=args.persist)
    _check_place(server, place, args)
    setting = await _read(engine, args.name, place)
    if place.scope not in setting.scopes:
        raise UsageError(
            f"{setting.name} cannot be set for a {place.scope} on {server.label}; nothing was executed",
            f"it can be for: {', '.join(setting.scopes) or 'nothing while it runs'}",
        )
    return server, place, setting


def _check_place(server: ServerIdentity, place: Place, args: ResetArgs) -> None:
    if server.flavor != "postgresql" and (args.role or args.database):
        raise UsageError(
            f"{server.label} has no settings of a role or a database; nothing was executed",
            "leave role and database away: it is set for the whole server",
        )
    if server.flavor != "mysql" and args.persist:
        raise UsageError(
            f"{server.label} has no SET PERSIST; nothing was executed",
            "scope=server outlives a restart"
            if server.flavor == "postgresql"
            else "write it to my.cnf as well",
        )
    if server.flavor == "postgresql" and (place.scope == "server") != (args.scope == "server"):
        raise UsageError(
            f"{args.name}: for whom? nothing was executed", "give role=…, database=…, both, or scope=server"
        )


async def _read(engine: Engine, name: str, place: Place) -> Setting:
    found = await engine.setting(name, role=place.role, database=place.database)
    if found is None:
        raise UsageError(f"the server knows no setting {name!r}; nothing was executed", "check its name")
    return found


def _holds(place: Place, setting: Setting, value: str | None) -> bool:
    """Whether it is as wanted; `value` None is no entry, or the compiled default, which is not known."""
    if place.flavor == "postgresql":
        effective = place.scope != "server" or value is None or equal(setting, setting.server_value, value)
        return equal(setting, setting.value, value) and effective
    kept = not place.persist or value is None or equal(setting, setting.value, value)
    return value is None or (equal(setting, setting.server_value, value) and kept)


def _may_be_untouched(plan: Plan, setting: Setting, patience: float) -> bool:
    """A compiled default is not known: asked later (by reconcile), only a changed value proves a reset."""
    place = _place(plan)
    if place.flavor == "postgresql" or plan.subject["value"] is not None or patience > 0:
        return False
    return bool(setting.server_value == plan.observed["server value"])


# ---- the plan ----------------------------------------------------------------------------------


def _draft(
    action: str, engine: Engine, server: ServerIdentity, place: Place, setting: Setting, value: str | None
) -> Plan:
    sent = _statements(place, setting, value)
    known = server.flavor == "postgresql" or value is not None
    same = known and _holds(place, setting, value)
    return Plan(
        action=action,
        target=engine.target.name,
        risk=risk(setting.name),
        args=_args(place, setting, value),
        subject={
            "title": f"{setting.name} of {place.words}",
            "name": setting.name,
            "place": msgspec.to_builtins(place),
            "value": value,
            "same": same,
            "statements": msgspec.to_builtins(sent),
        },
        statements=() if same else tuple(one.shown for one in sent),
        forecast=words.forecast(place, setting, value, same=same),
        warnings=words.warnings(place, setting),
        refusals=words.refusals(place, setting),
        undo=words.undo(engine.target.name, place, setting, same=same),
        observed={"value": words.current(place, setting), "server value": setting.server_value},
        server=server,
        made_at=datetime.now(UTC),
        version=__version__,
    )


def _statements(place: Place, setting: Setting, value: str | None) -> tuple[Statement, ...]:
    if value is None:
        return statements.clear(place, setting)
    return statements.assign(place, setting, value)


def _sent(plan: Plan) -> Sequence[Statement]:
    return msgspec.convert(plan.subject["statements"], list[Statement])


def _place(plan: Plan) -> Place:
    return msgspec.convert(plan.subject["place"], Place)


def _args(place: Place, setting: Setting, value: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"name": setting.name, "role": place.role, "database": place.database}
    found |= {"scope": "server" if place.scope == "server" else "", "persist": place.persist}
    return found if value is None else {**found, "value": value}


def _pending(place: Place) -> str:
    if place.flavor == "postgresql" and place.scope == "server":
        return "; an entry that was written counts only after a reload"
    return ""
