"""What there is of an account that is made: on the server, and in the keyring."""

from __future__ import annotations

import secrets
from typing import Literal

import msgspec

from actions import rotating
from console.dispatch.action import Plan, Verdict
from console.engine.access import held
from console.engine.port import Engine
from console.errors import DbdeckError
from console.model.access import Purpose, Right, missing
from console.model.accounts import label
from console.model.probe import Answer
from console.model.verifiers import VerifierKind, matches
from console.secret_store import SecretStore
from console.secrets import Entry, Secret

Whose = Literal["ours", "foreign", "unknown"]


class Newcomer(msgspec.Struct, frozen=True, kw_only=True):
    """Who is to be made. `entry` is its name in the keyring, `creation` the id of what makes it. `there`: it
    was there when this was planned, and `pending`: with the password that is kept as pending.
    """

    user: str
    host: str | None
    purpose: Purpose
    entry: str
    creation: str
    kind: VerifierKind
    length: int
    alphabet: str
    flavor: str
    rights: tuple[Right, ...]
    there: bool = False
    pending: bool = False

    @property
    def key(self) -> tuple[str, str | None]:
        return self.user, self.host

    @property
    def label(self) -> str:
        return label(*self.key)


def newcomer_of(plan: Plan) -> Newcomer:
    return msgspec.convert(plan.subject["account"], Newcomer)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """`whose`: the password is ours, by the keyring, or another's, or nobody can tell, and `why`. `pending`:
    it is kept as pending still; of an account that is not there, anything is. `others` are accounts of the
    same user that log in from elsewhere, where the keyring has a password of that user.
    """

    there: bool
    lacking: tuple[Right, ...]
    whose: Whose = "foreign"
    pending: bool = False
    why: str = ""
    others: tuple[str, ...] = ()


async def look(one: Newcomer, engine: Engine, store: SecretStore | None) -> Seen:
    """Raises what the reads and the store raise."""
    current, pending, _ = (None, None, None) if store is None else await rotating.entries(store, one.entry)
    keys = [account.key for account in (await engine.accounts()).accounts]
    if one.key not in keys:
        others = tuple(label(*key) for key in keys if key[0] == one.user) if current is not None else ()
        return Seen(there=False, lacking=one.rights, pending=pending is not None, others=others)
    lacking = missing(one.rights, await held(engine, *one.key))
    unknown = ""
    for entry in (pending, current):
        if entry is None:
            continue
        answer, why = await _takes(one, engine, entry)
        if answer is Answer.ACCEPTED:
            # What is pending beside a current one that is taken is somebody else's, such as a rotation's.
            return Seen(there=True, lacking=lacking, whose="ours", pending=entry is pending)
        unknown = unknown or (why if answer is Answer.UNKNOWN else "")
    return Seen(
        there=True,
        lacking=lacking,
        whose="unknown" if unknown else "foreign",
        why=unknown,
    )


async def _takes(one: Newcomer, engine: Engine, entry: Entry) -> tuple[Answer, str]:
    """By the verifier that the server stores: a login may be let in for another reason, or not from here."""
    try:
        stored = [kept.verifier for kept in await engine.verifiers() if kept.key == one.key]
    except DbdeckError:
        return await _by_login(one, engine, entry)
    known = [kept for kept in stored if kept is not None and kept.kind.checkable]
    if any(matches(kept, entry.password) for kept in known):
        return Answer.ACCEPTED, ""
    return Answer.REJECTED, ""


async def _by_login(one: Newcomer, engine: Engine, entry: Entry) -> tuple[Answer, str]:
    """Where verifiers may not be read. A server that takes any password says nothing of this one."""
    seen = await engine.probe(one.user, entry.password)
    if seen.answer is not Answer.ACCEPTED:
        return seen.answer, seen.why
    if (await engine.probe(one.user, Secret(secrets.token_urlsafe(24)))).answer is Answer.REJECTED:
        return Answer.ACCEPTED, ""
    return Answer.UNKNOWN, "the server lets anybody in from here, and its verifiers may not be read"


def verdict(one: Newcomer, seen: Seen) -> Verdict:
    if not seen.there:
        left = f"; a password that nobody has is kept as {one.entry}#pending" if seen.pending else ""
        return Verdict(state="not_applied", summary=f"there is no account {one.label}{left}")
    if seen.whose == "unknown":
        return Verdict(state="undecidable", summary=f"{one.label} is there; its password: {seen.why}")
    if seen.whose == "foreign":
        return Verdict(
            state="not_applied", summary=f"{one.label} is there, with a password that the keyring has not"
        )
    lacks = [
        f"it lacks {', '.join(right.names)}{f' on {right.on}' if right.on else ''}" for right in seen.lacking
    ]
    lacks += ["its password is kept as pending still"] if seen.pending else []
    if lacks:
        return Verdict(state="partial", summary=f"{one.label} is there: {'; '.join(lacks)}")
    return Verdict(
        state="applied", summary=f"{one.label} is there with its rights, its password is {one.entry}"
    )
