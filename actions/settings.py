"""setting.set and setting.reset: one setting at one scope, and the command that puts it back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from actions import clusters
from actions import setting_proof as proof
from actions import setting_statements as statements
from actions import setting_storage as storage
from actions import setting_words as words
from actions.session_identity import FLAVORS
from actions.session_proof import until
from actions.setting_rules import risk
from actions.setting_statements import Place
from actions.setting_values import wanted
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Verdict
from console.dispatch.facts import Facts, On
from console.dispatch.operator import Operator
from console.engine.port import Engine, Need, Statement
from console.errors import UsageError
from console.model.settings import Setting
from console.model.target import ServerIdentity
from console.present.names import parse, shown


class ResetArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """PostgreSQL: `role`, `database` or both, or `table` (its storage parameters), or `scope=server`.
    MySQL and MariaDB have only the server; `persist` (MySQL) keeps it over a restart.
    """

    name: str
    role: str = ""
    database: str = ""
    table: str = ""
    scope: Literal["", "server"] = ""
    persist: bool = False


class SetArgs(ResetArgs, frozen=True, kw_only=True, forbid_unknown_fields=True):
    value: str


class _Change:
    """What setting and resetting have in common."""

    name: str
    risk = Risk.MEDIUM
    flavors = FLAVORS

    facts = Facts(
        on={
            "postgresql": On(
                locks="none on tables for a role, a database or the server. For a table "
                "ShareUpdateExclusiveLock, for some of its parameters AccessExclusiveLock, for a moment, "
                "and it is waited for 2 s at most",
                rights="for a role `CREATEROLE`, and from 16 `ADMIN OPTION` on it; for a database its "
                "owner; for a table its owner's role; for the server `ALTER SYSTEM` on the parameter (15+) "
                "and `EXECUTE` on `pg_reload_conf()`, before 15 a superuser",
            ),
            "mysql": On(
                locks="none on tables",
                rights="`SYSTEM_VARIABLES_ADMIN`; for what is read at the start also "
                "`PERSIST_RO_VARIABLES_ADMIN`",
            ),
            "mariadb": On(
                locks="none on tables", rights="`SUPER`, or the privilege that the variable's page names"
            ),
        },
        undo="the plan has the command that puts the former value back",
        risk="low for time-outs and the logging of locks",
    )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        """Raises ActionFailed; what came before the refusal is seen by `verify`."""
        if plan.subject["same"]:
            return Result(matched=False)
        for statement in _sent(plan):
            await operator.execute(statement)
        return Result(matched=True)

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        place, name = proof.place_of(plan), plan.subject["name"]

        async def settled() -> bool:
            return proof.settled(plan, await _read(engine, name, place), patience)

        await until(settled, patience if place.scope == "server" else 0.0)
        return proof.verdict(plan, await _read(engine, name, place), patience)

    def needs(self, plan: Plan) -> tuple[Need, ...]:
        """A table's storage parameters are its owner's."""
        if plan.subject["same"]:
            return ()
        place, number = proof.place_of(plan), plan.observed.get("table")
        if number is not None:
            schema, name = parse(place.table)
            return (Need(schema=schema, name=name, number=number, own=True),)
        return (words.need(place, plan.subject["name"], at_start="restart pending" in plan.observed),)

    def lock(self, plan: Plan) -> str:
        return f"setting:{plan.subject['name']}:{proof.place_of(plan).words}"


class SetSetting(_Change):
    """New sessions get the value; at the scopes of roles and databases existing ones keep theirs."""

    name = "setting.set"
    summary = "set a setting of a role, a database, a table or the server; the plan names what undoes it"
    Args = SetArgs

    async def plan(self, engine: Engine, args: SetArgs) -> Plan:
        server, place, setting = await _look(engine, args)
        made = _draft(self.name, engine, server, place, setting, wanted(setting, args.value))
        return await _beside_others(made, engine)


class ResetSetting(_Change):
    """What applies then is the next wider scope's value."""

    name = "setting.reset"
    summary = "take a setting's entry for a role, a database, a table or the server away"
    Args = ResetArgs

    async def plan(self, engine: Engine, args: ResetArgs) -> Plan:
        server, place, setting = await _look(engine, args)
        return await _beside_others(_draft(self.name, engine, server, place, setting, None), engine)


# ---- looking -----------------------------------------------------------------------------------


async def _look(engine: Engine, args: ResetArgs) -> tuple[ServerIdentity, Place, Setting]:
    """Raises UsageError for a name or a scope that this server has not."""
    server = await engine.identity()
    _check_place(server, args)
    place = _place(server, args)
    setting = await _read(engine, args.name, place)
    if place.scope not in setting.scopes:
        raise UsageError(
            f"{setting.name} cannot be set for a {place.scope} on {server.label}; nothing was executed",
            f"it can be for: {', '.join(setting.scopes) or 'nothing while it runs'}",
        )
    if setting.storage is not None:
        storage.check(setting.storage)
    return server, place, setting


def _check_place(server: ServerIdentity, args: ResetArgs) -> None:
    if server.flavor != "postgresql" and (args.role or args.database or args.table):
        raise UsageError(
            f"{server.label} has no settings of a role, a database or a table; nothing was executed",
            "leave role, database and table away: it is set for the whole server",
        )
    if server.flavor != "mysql" and args.persist:
        raise UsageError(
            f"{server.label} has no SET PERSIST; nothing was executed",
            "scope=server outlives a restart"
            if server.flavor == "postgresql"
            else "write it to my.cnf as well",
        )
    ways = [bool(args.role or args.database), bool(args.table), args.scope == "server"]
    if server.flavor == "postgresql" and sum(ways) != 1:
        raise UsageError(
            f"{args.name}: for whom? nothing was executed",
            "give role=…, database=…, both, or table=… (of the target's own database), or scope=server",
        )


def _place(server: ServerIdentity, args: ResetArgs) -> Place:
    """Raises UsageError for what is no name of a table."""
    table = shown(*parse(args.table)) if args.table else ""
    return Place(
        flavor=server.flavor, role=args.role, database=args.database, table=table, persist=args.persist
    )


async def _read(engine: Engine, name: str, place: Place) -> Setting:
    table = parse(place.table) if place.table else None
    found = await engine.setting(name, role=place.role, database=place.database, table=table)
    if found is None:
        raise UsageError(f"the server knows no setting {name!r}; nothing was executed", "check its name")
    return found


# ---- the plan ----------------------------------------------------------------------------------


async def _beside_others(made: Plan, engine: Engine) -> Plan:
    told = () if made.subject["same"] else await clusters.of_setting(engine)
    return msgspec.structs.replace(made, warnings=(*made.warnings, *told))


def _draft(
    action: str, engine: Engine, server: ServerIdentity, place: Place, setting: Setting, value: str | None
) -> Plan:
    place = _full(place, setting)
    sent = _statements(place, setting, value)
    same = proof.same(place, setting, value)
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
        warnings=setting.notes if same else words.warnings(place, setting, value),
        refusals=words.refusals(place, setting, value),
        undo=words.undo(engine.target.name, place, setting, same=same),
        observed=_observed(place, setting),
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


def _full(place: Place, setting: Setting) -> Place:
    """With the schema that a table's bare name was found in."""
    if setting.storage is None:
        return place
    return msgspec.structs.replace(place, table=shown(setting.storage.schema, setting.storage.name))


def _observed(place: Place, setting: Setting) -> dict[str, Any]:
    """What must be the same when it is applied; a table made anew has another oid."""
    found: dict[str, Any] = {"value": words.current(place, setting), "server value": setting.server_value}
    if setting.storage is not None:
        found["table"] = setting.storage.number
    if setting.at_start is not None:
        found["restart pending"] = setting.at_start.pending
    return found


def _args(place: Place, setting: Setting, value: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"name": setting.name, "role": place.role, "database": place.database}
    found |= {"table": place.table, "scope": "server" if place.scope == "server" else ""}
    found |= {"persist": place.persist}
    return found if value is None else {**found, "value": value}
