"""account.create: a login of dbdeck itself, with the least rights; the keyring has its password before it is.

The password is drawn here and kept as pending, the server is told a verifier and then the rights, and what is
pending becomes current. Each of it can be told from the keyring and the server alone, and taken up again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from actions import created_state, draft, rotating
from actions import credential_aims as aims
from actions import credential_statements as statements
from actions.created_state import Newcomer, Seen, newcomer_of
from actions.credential_ready import refuse_volatile
from actions.fact_words import ON_ACCOUNT
from actions.rehearsing import KINDS
from actions.session_proof import PartlyRefused
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Verdict
from console.dispatch.facts import Facts, On
from console.dispatch.memory import Memory
from console.dispatch.operator import Operator
from console.engine.access import not_grantable
from console.engine.port import Engine, Need, Statement
from console.errors import ActionFailed, DbdeckError, Refused, UsageError
from console.model.access import POSTGRESQL, Purpose, Right, rights
from console.model.target import ServerIdentity, Target
from console.model.verifiers import make
from console.present.access import account_in_sql, grant
from console.secret_store import SecretStore
from console.secrets import PENDING, PREVIOUS, Entry


class CreateArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`purpose`: monitor, who looks, or operator, who acts; `account` is its name. `host` is from where it
    may log in (MySQL, MariaDB; default: anywhere). `creation` is the id of one that broke off.
    """

    account: str
    purpose: Purpose
    host: str = ""
    creation: str = ""


_LONGEST = 63  # NAMEDATALEN - 1; the server would cut it with a NOTICE
_RIGHTS = "`CREATE USER`, and each granted right `WITH GRANT OPTION`"


class CreateAccount:
    """An account that is there is left as it is, unless the keyring has its password: then it goes on."""

    name = "account.create"
    summary = (
        "make dbdeck's monitor or operator login, with the least rights and a password kept in the keyring"
    )
    risk = Risk.MEDIUM
    flavors: tuple[str, ...] = ("postgresql", "mysql", "mariadb")
    facts = Facts(
        on={
            "postgresql": On(
                locks="none on tables; rows of the catalogs of roles, for a moment",
                rights="`CREATEROLE`; each granted role `WITH ADMIN OPTION` (16+), or a superuser",
            ),
            "mysql": On(locks=ON_ACCOUNT, rights="`CREATE USER`, and each granted right `WITH GRANT OPTION`"),
            "mariadb": On(
                locks=ON_ACCOUNT, rights="`CREATE USER`, and each granted right `WITH GRANT OPTION`"
            ),
        },
        undo="drop the account, and `dbdeck secret remove` its entry: the plan has both",
    )
    Args = CreateArgs

    async def plan(self, engine: Engine, args: CreateArgs) -> Plan:
        return await self.plan_kept(engine, args, Memory())

    async def plan_kept(self, engine: Engine, args: CreateArgs, memory: Memory) -> Plan:
        on = await draft.ground(self, engine)
        wanted = _newcomer(engine.target, on.server, args)
        seen = await created_state.look(wanted, engine, memory.store)
        one = msgspec.structs.replace(wanted, there=seen.there, pending=seen.there and seen.pending)
        _refuse_foreign(one, seen)
        return Plan(
            action=self.name,
            target=engine.target.name,
            risk=self.risk,
            args={**msgspec.to_builtins(args), "creation": one.creation},
            subject={
                "title": f"make the {one.purpose} login {one.label}",
                "account": msgspec.to_builtins(one),
                "rights": msgspec.to_builtins(seen.lacking),
            },
            statements=tuple(_shown(on.server, one, seen.lacking)),
            forecast=_forecast(one, seen),
            warnings=_warnings(one),
            undo=f"{statements.drop(on.server, one.key).shown}, and `dbdeck secret remove {one.entry}`",
            observed={f"account {one.label}": "there" if one.there else "not there"},
            server=on.server,
            made_at=datetime.now(UTC),
            version=__version__,
        )

    def lock(self, plan: Plan) -> str:
        return f"credential:{newcomer_of(plan).user}"

    def needs(self, plan: Plan) -> tuple[Need, ...]:
        """What a GRANT takes beside it is told by the server alone."""
        if newcomer_of(plan).there:
            return ()
        return (Need(schema="*", name="*", privileges=("CREATE USER",), role="-"),)

    async def ready(self, plan: Plan, engine: Engine, store: SecretStore | None) -> dict[str, Any]:
        if store is None:
            raise Refused("there is no keyring to keep the new password in; nothing was executed")
        refuse_volatile(store)
        await store.canary()
        await _refuse_ungrantable(plan, engine)
        return {"store": store.name}

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        """Raises ActionFailed where nothing is left of it, PartlyRefused where something is. Stopped, it
        leaves the login with the rights it has by then, its password as pending: the same again goes on.
        """
        one, stop = newcomer_of(plan), operator.watch.stop
        if stop.is_set():
            return Result(matched=False)
        if not one.there:
            await _create(one, plan.server, operator)
        for right in _rights(plan):
            if stop.is_set():
                return Result(matched=True)
            sql = grant(right, statements.account(one.key, one.flavor))
            try:
                await operator.execute(Statement(sql=sql, shown=sql))
            except ActionFailed as error:
                raise await _taken_back(one, plan.server, operator, error) from None
        if not one.there or one.pending:
            await _promote(one, operator)
        operator.evidence["kept"] = {one.label: one.entry}
        return Result(matched=bool(plan.statements))

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        return await self.verify_kept(plan, engine, None, patience=patience)

    async def verify_kept(
        self,
        plan: Plan,
        engine: Engine,
        store: SecretStore | None,
        *,
        patience: float,  # noqa: ARG002 - it is in the catalog when the statement is
    ) -> Verdict:
        if store is None:
            return Verdict(state="undecidable", summary="there is no keyring to look into")
        one = newcomer_of(plan)
        return created_state.verdict(one, await created_state.look(one, engine, store))

    async def rest(self, plan: Plan, engine: Engine) -> dict[str, object]:  # noqa: ARG002 - a new plan looks
        return dict(plan.args)


# ---- planning ------------------------------------------------------------------------------------


def _newcomer(target: Target, server: ServerIdentity, args: CreateArgs) -> Newcomer:
    """Raises UsageError for a name that no server takes."""
    postgres = server.flavor == POSTGRESQL
    if not args.account or not args.account.isprintable():
        raise UsageError(f"{args.account!r} is no name of an account; nothing was executed")
    if postgres and args.host:
        raise UsageError(
            "host= is of MySQL and MariaDB; nothing was executed", "in PostgreSQL pg_hba.conf says from where"
        )
    if postgres and len(args.account.encode()) > _LONGEST:
        raise UsageError(f"a name of PostgreSQL has {_LONGEST} bytes at most; nothing was executed")
    rule = target.rotation.password
    return Newcomer(
        user=args.account,
        host=None if postgres else args.host.lower() or "%",  # as the servers keep it
        purpose=args.purpose,
        entry=aims.entry_name(target, args.account),
        creation=args.creation or aims.new_id(),
        kind=KINDS[server.flavor],
        length=rule.length,
        alphabet=rule.alphabet,
        flavor=server.flavor,
        rights=rights(args.purpose, server.flavor, server.version_num),
    )


_ANOTHER = "choose another name with account= (of `dbdeck init`: --monitor, --operator)"


def _refuse_foreign(one: Newcomer, seen: Seen) -> None:
    """Raises UsageError for an account whose password is not ours."""
    if not one.there and seen.others:
        raise UsageError(
            f"{', '.join(seen.others)} is there, and the keyring keeps one password of a user: that of "
            f"{one.label} would take its place; nothing was executed",
            _ANOTHER,
        )
    if not one.there or seen.whose == "ours":
        return
    why = "is none that the keyring has" if seen.whose == "foreign" else f"is not known: {seen.why}"
    lacks = "; ".join(f"{grant(right, account_in_sql(one.flavor, *one.key))};" for right in seen.lacking)
    raise UsageError(
        f"there is an account {one.label} already, and its password {why}; nothing was executed",
        f"{_ANOTHER}, or use it as it is{f', after: {lacks}' if lacks else ''}",
    )


async def _refuse_ungrantable(plan: Plan, engine: Engine) -> None:
    """PostgreSQL 16 took from CREATEROLE the right to grant what it was not granted. Raises Refused."""
    operator = engine.target.operator
    if plan.server.flavor != POSTGRESQL or operator is None:
        return
    roles = [name for right in _rights(plan) for name in right.names]
    lacks = await not_grantable(engine, roles, operator.user)
    admin = account_in_sql(POSTGRESQL, operator.user, None)
    if "" in lacks and not newcomer_of(plan).there:
        raise Refused(
            f"{operator.user} may make no roles; nothing was executed",
            f"ALTER ROLE {admin} CREATEROLE;  or log in as a superuser",
        )
    if lacks := tuple(name for name in lacks if name):
        raise Refused(
            f"{operator.user} may not make anybody a member of {', '.join(lacks)}; nothing was executed",
            f"GRANT {', '.join(lacks)} TO {admin} WITH ADMIN OPTION;  or log in as a superuser",
        )


def _rights(plan: Plan) -> list[Right]:
    return msgspec.convert(plan.subject["rights"], list[Right])


def _shown(server: ServerIdentity, one: Newcomer, lacking: tuple[Right, ...]) -> list[str]:
    made = [] if one.there else [statements.create(server, one.key, one.kind, "").shown]
    return [*made, *(grant(right, statements.account(one.key, one.flavor)) for right in lacking)]


def _forecast(one: Newcomer, seen: Seen) -> tuple[str, ...]:
    said = [f"{right_words(right)}: {right.why}" for right in seen.lacking]
    if one.there:
        done = "all of it is there already" if not (seen.lacking or seen.pending) else "it is gone on with"
        return (f"an account {one.label} with the password of {one.entry} is there: {done}", *said)
    return (
        f"a password of {one.length} characters is drawn and kept as {one.entry}, before the server is told",
        "the server is told a verifier: the password is in no statement, no log and no ledger",
        *said,
    )


def right_words(right: Right) -> str:
    names = ", ".join(right.names)
    return f"{names} on {right.on}" if right.on else f"member of {names}"


def _warnings(one: Newcomer) -> tuple[str, ...]:
    if one.host == "%" and not one.there:
        return ("it may log in from anywhere; host= narrows that",)
    return ()


# ---- effects -------------------------------------------------------------------------------------


async def _create(one: Newcomer, server: ServerIdentity, operator: Operator) -> None:
    pending = await _staged(one, operator)
    verifier = make(one.kind, pending.password)
    try:
        await operator.execute(statements.create(server, one.key, one.kind, verifier))
    except ActionFailed as error:
        await operator.forget(one.entry + PENDING, "the server refused the account")
        raise rotating.without(error, (verifier,)) from None


async def _staged(one: Newcomer, operator: Operator) -> Entry:
    """A new password always: what an earlier run left pending may have been seen by another account."""
    made = Entry(
        password=rotating.drawn(one.length, one.alphabet),
        rotation=one.creation,
        user=one.user,
        made_at=datetime.now(UTC),
    )
    await operator.keep(one.entry + PENDING, made.sealed(), f"the password of {one.label}, which is not yet")
    return made


async def _taken_back(
    one: Newcomer, server: ServerIdentity, operator: Operator, error: ActionFailed
) -> DbdeckError:
    """A login without its rights is of no use: it goes again, where this run made it."""
    if one.there:
        return error
    drop = statements.drop(server, one.key)
    try:
        await operator.execute(drop)
    except DbdeckError as left:
        return PartlyRefused(
            f"{error.message}; and {one.label}, which was made, could not be dropped: {left.message}",
            f"{drop.shown};",
        )
    await operator.forget(one.entry + PENDING, f"{one.label} was dropped again")
    return ActionFailed(f"{error.message}; {one.label} was dropped again", error.hint)


async def _promote(one: Newcomer, operator: Operator) -> None:
    """In this order each prefix leaves a password that logs in under a name that is looked at."""
    current, pending, _ = await rotating.entries(operator.secrets, one.entry)
    if pending is None:
        return
    if current is not None and current != pending:
        await operator.keep(one.entry + PREVIOUS, current.sealed(), "what was kept under this name until now")
    if current != pending:
        await operator.keep(one.entry, pending.sealed(), f"the password of {one.label}")
    await operator.forget(one.entry + PENDING, "it is the current one now")
