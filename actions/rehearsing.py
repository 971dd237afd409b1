"""credential.rehearse: a rotation that dies before and after each of its effects, on an account made for it.

What is shown is the recovery of this server with this keyring: for each death, what was left, and how it
ended when it was gone on with.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from actions import credential_aims as aims
from actions import credential_statements as statements
from actions import draft, rotating
from actions.credential_aims import Aim, aims_of
from actions.fact_words import ACCOUNTS
from actions.words import counted
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Verdict, Watch
from console.dispatch.facts import Facts
from console.dispatch.operator import Operator
from console.engine.port import Engine, Need, Row, Statement
from console.errors import ActionFailed, Refused
from console.model.probe import Answer
from console.model.target import ServerIdentity
from console.model.verifiers import VerifierKind, make
from console.secret_store import SecretStore
from console.secrets import PENDING, PREVIOUS, Entry, Secret

FLAVORS: tuple[str, ...] = ("postgresql", "mysql", "mariadb")
PREFIX = "dbdeck_rehearsal_"
KINDS = {
    "postgresql": VerifierKind.SCRAM,
    "mysql": VerifierKind.CACHING_SHA2,
    "mariadb": VerifierKind.NATIVE,  # the other kinds are plugins that may not be loaded
}
T = TypeVar("T")


class RehearseArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`account` is made and dropped again; its name begins with dbdeck_rehearsal_."""

    account: str = ""


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """`effect` in words, and whether it had happened. `left` is what was found then, `end` how it ended."""

    effect: str
    after: bool
    left: str
    end: str

    @property
    def survived(self) -> bool:
        return self.end == _SETTLED


_SETTLED = "the stored password logs in, none is pending"


class Cut(Exception):
    """The rehearsed process is gone."""


class Fuse:
    """An Operator's hands that die at one effect, before or after it; at 0 they never do."""

    def __init__(self, operator: Operator, at: int = 0, *, after: bool = False) -> None:
        self._operator = operator
        self._at = at
        self._after = after
        self.done: list[str] = []

    @property
    def secrets(self) -> SecretStore:
        return self._operator.secrets

    @property
    def engine(self) -> Engine:
        return self._operator.engine

    @property
    def evidence(self) -> dict[str, Any]:
        return {}

    @property
    def watch(self) -> Watch:
        return Watch()  # its moves are told as one line a death

    async def execute(self, statement: Statement) -> list[Row]:
        return await self._over("the statement", lambda: self._operator.execute(statement))

    async def keep(self, name: str, secret: Secret, what: str) -> None:
        await self._over(f"storing {_entry(name)}", lambda: self._operator.keep(name, secret, what))

    async def forget(self, name: str, what: str) -> None:
        await self._over(f"removing {_entry(name)}", lambda: self._operator.forget(name, what))

    async def _over(self, effect: str, do: Callable[[], Awaitable[T]]) -> T:
        self.done.append(effect)
        burns = len(self.done) == self._at
        if burns and not self._after:
            raise Cut
        found = await do()
        if burns:
            raise Cut
        return found


def _entry(name: str) -> str:
    return name.partition("#")[2] or "current"


class RehearseCredential:
    """Nobody else's account is touched."""

    name = "credential.rehearse"
    summary = "rotate a throw-away account with a death at every step, and show how each is recovered from"
    risk = Risk.LOW
    flavors = FLAVORS
    facts = Facts(on=ACCOUNTS, undo="nothing to undo: the account and its entries are removed again")
    Args = RehearseArgs

    async def plan(self, engine: Engine, args: RehearseArgs) -> Plan:
        on = await draft.ground(self, engine)
        name = args.account or f"{PREFIX}{secrets.token_hex(4)}"
        if not name.startswith(PREFIX):
            raise Refused(f"{name} does not begin with {PREFIX}; nothing was executed", "leave account= away")
        aim = _aim(name, on.server, engine.target.name)
        return Plan(
            action=self.name,
            target=engine.target.name,
            risk=self.risk,
            args={"account": name},
            subject={"title": f"rehearse a rotation with {name}", "accounts": aims.frozen([aim])},
            statements=(
                _create(on.server, aim, "").shown,
                statements.shown(on.server, aim.keys, aim.new),
                _drop(on.server, aim).shown,
            ),
            forecast=(
                "each of these is sent for each death, before and after every effect of a rotation",
                f"{aim.entry} is stored and removed again; one login a death is one with a wrong password",
            ),
            undo="nothing is left of it",
            observed={},
            server=on.server,
            made_at=datetime.now(UTC),
            version=__version__,
        )

    def lock(self, plan: Plan) -> str:
        return f"credential:{aims_of(plan)[0].user}"

    def needs(self, plan: Plan) -> tuple[Need, ...]:  # noqa: ARG002 - of no role: it is not there yet
        return (Need(schema="*", name="*", privileges=("CREATE USER",), role="-"),)

    async def ready(
        self,
        plan: Plan,  # noqa: ARG002 - it is about the store alone
        engine: Engine,  # noqa: ARG002
        store: SecretStore | None,
    ) -> dict[str, Any]:
        if store is None:
            raise Refused("there is no keyring to rehearse with; nothing was executed")
        await store.canary()
        return {"store": store.name}

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        """Raises ActionFailed where a death was not recovered from; what it left is then named."""
        (aim,) = aims_of(plan)
        deaths: list[Death] = []
        try:
            effects = await _whole(aim, plan.server, operator)
            for place, effect in enumerate(effects, start=1):
                for after in (False, True):
                    one = await _death(aim, plan.server, operator, (place, after))
                    deaths.append(msgspec.structs.replace(one, effect=effect))
                    operator.watch.tell(f"{'after' if after else 'before'} {effect}: {one.left}; {one.end}")
                    if operator.watch.stop.is_set():
                        break
        finally:
            await _clear(aim, plan.server, operator)
            operator.evidence["matrix"] = [msgspec.to_builtins(one) for one in deaths]
        lost = [one for one in deaths if not one.survived]
        if lost:
            raise ActionFailed(
                f"{counted(len(lost), 'death')} of {len(deaths)} not recovered from, the first "
                f"{'after' if lost[0].after else 'before'} {lost[0].effect}: {lost[0].end}"
            )
        return Result(matched=bool(deaths))

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        return await self.verify_kept(plan, engine, None, patience=patience)

    async def verify_kept(
        self,
        plan: Plan,
        engine: Engine,
        store: SecretStore | None,
        *,
        patience: float,  # noqa: ARG002 - it is gone or not
    ) -> Verdict:
        """That nothing is left of it; that every death was recovered from is in its evidence."""
        (aim,) = aims_of(plan)
        there = any(one.name == aim.user for one in (await engine.accounts()).accounts)
        kept = store is not None and any(await rotating.entries(store, aim.entry))
        if there or kept:
            what = " and ".join(
                word for word, is_left in (("the account", there), ("its entries", kept)) if is_left
            )
            return Verdict(
                state="partial",
                summary=f"{what} of the rehearsal left: {aim.user}",
                evidence={"again": f"credential.rehearse account={aim.user} clears it"},
            )
        deaths = plan.evidence.get("matrix", [])
        if not deaths:
            return Verdict(state="not_applied", summary="nothing was rehearsed, and nothing is left of it")
        lost = sum(not one.survived for one in msgspec.convert(deaths, list[Death]))
        if lost:
            return Verdict(state="not_applied", summary=f"{lost} of {len(deaths)} deaths not recovered from")
        return Verdict(state="applied", summary=f"{counted(len(deaths), 'death')}, each recovered from")

    async def rest(self, plan: Plan, engine: Engine) -> dict[str, object]:  # noqa: ARG002 - all of it
        return dict(plan.args)


# ---- one death -----------------------------------------------------------------------------------


async def _whole(aim: Aim, server: ServerIdentity, operator: Operator) -> list[str]:
    """The effects of a rotation that nothing cuts off."""
    await _fresh(aim, server, operator)
    fuse = Fuse(operator)
    await rotating.Rotation(_anew(aim), server, fuse, known=False).run()
    return fuse.done


async def _death(aim: Aim, server: ServerIdentity, operator: Operator, point: tuple[int, bool]) -> Death:
    await _fresh(aim, server, operator)
    mine, (at, after) = _anew(aim), point
    try:
        fuse = Fuse(operator, at, after=after)
        await rotating.Rotation(mine, server, fuse, known=False).run()
    except Cut:
        left = await _left(mine, operator)
    else:
        left = "it ended before it could be cut off"
    # A process that begins anew knows nothing but the store and the server.
    await rotating.Rotation(mine, server, operator, known=False).run()
    return Death(effect="", after=after, left=left, end=await _end(mine, operator))


def _anew(aim: Aim) -> Aim:
    return msgspec.structs.replace(aim, rotation=aims.new_id())


async def _left(aim: Aim, operator: Operator) -> str:
    """What is found: which entries are kept, and which of them logs in."""
    found = await rotating.entries(operator.secrets, aim.entry)
    said = []
    for name, one in zip(("current", "pending"), found, strict=False):
        if one is not None:
            seen = await operator.engine.probe(aim.user, one.password)
            said.append(f"{name} {seen.answer}")
    return ", ".join(said)


async def _end(aim: Aim, operator: Operator) -> str:
    current, pending, previous = await rotating.entries(operator.secrets, aim.entry)
    if current is None or current.rotation != aim.rotation:
        return "the new password is not the stored one"
    if pending is not None:
        return "a password is still pending"
    if (await operator.engine.probe(aim.user, current.password)).answer is not Answer.ACCEPTED:
        return "the stored password does not log in"
    old = await operator.engine.probe(aim.user, previous.password) if previous else None
    if old is None or (old.answer is Answer.ACCEPTED) is not aim.overlap:
        return "the old password is not as it should be"
    return _SETTLED


# ---- the account ---------------------------------------------------------------------------------


def _aim(name: str, server: ServerIdentity, target: str) -> Aim:
    return Aim(
        user=name,
        keys=((name, None if server.flavor == "postgresql" else "%"),),
        entry=f"dbdeck/{target}/{name}",
        rotation="",
        kind=KINDS[server.flavor],
        retain=server.flavor == "mysql",
        keeps_old=server.flavor == "mariadb",
        flavor=server.flavor,
    )


async def _fresh(aim: Aim, server: ServerIdentity, operator: Operator) -> None:
    """The account as before any rotation, with a password that is kept."""
    await _clear(aim, server, operator)
    password = rotating.drawn(aim.length, aim.alphabet)
    await operator.execute(_create(server, aim, make(aim.kind, password)))
    await operator.keep(aim.entry, Entry(password=password).sealed(), "the rehearsal's first password")


async def _clear(aim: Aim, server: ServerIdentity, operator: Operator) -> None:
    await operator.execute(_drop(server, aim))
    for end in ("", PENDING, PREVIOUS):
        if await rotating.entry(operator.secrets, aim.entry + end) is not None:
            await operator.forget(aim.entry + end, "of the rehearsal")


def _create(server: ServerIdentity, aim: Aim, verifier: str) -> Statement:
    return statements.create(server, aim.keys[0], aim.kind, verifier)


def _drop(server: ServerIdentity, aim: Aim) -> Statement:
    return statements.drop(server, aim.keys[0])
