"""Carries out a rotation, a move at a time: each is decided by what the store holds and the server takes."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from actions import credential_statements as statements
from actions.credential_aims import Aim
from console.dispatch.action import Watch
from console.engine.port import Engine, Row, Statement
from console.errors import ActionFailed, OutcomeUnknown, PasswordRefused
from console.model.probe import Answer, Probe
from console.model.rotation_state import Held, Move, next_move
from console.model.target import ServerIdentity
from console.model.verifiers import POSTGRESQL, Verifier, make, parse
from console.secret_store import SecretStore
from console.secrets import PENDING, PREVIOUS, Entry, Secret, entry_of

_SETTLE = "`dbdeck audit reconcile`, then `dbdeck apply --resume {id}`"
_IN_CLEAR = "plaintext=true sends it in clear over verified TLS, to a server that judges passwords itself"
TRIES = 2  # a new secret once, where the server's policy refused the first


def drawn(length: int, alphabet: str) -> Secret:
    """At random, with a small and a capital letter, a digit and another character where there are such."""
    while True:
        text = "".join(secrets.choice(alphabet) for _ in range(length))
        kinds = (str.islower, str.isupper, str.isdigit, lambda char: not char.isalnum())
        if all(any(map(kind, text)) for kind in kinds if any(map(kind, alphabet))):
            return Secret(text)


async def entry(store: SecretStore, name: str) -> Entry | None:
    kept = await store.get(name)
    return None if kept is None else entry_of(kept)


async def entries(store: SecretStore, name: str) -> tuple[Entry | None, Entry | None, Entry | None]:
    """(current, pending, previous)."""
    current, pending, previous = [await entry(store, name + end) for end in ("", PENDING, PREVIOUS)]
    return current, pending, previous


def held(found: Sequence[Entry | None]) -> Held:
    current, pending, previous = (None if one is None else one.rotation for one in found)
    return Held(current=current, pending=pending, previous=previous)


class Hands(Protocol):
    """What a rotation needs of an Operator."""

    @property
    def secrets(self) -> SecretStore: ...

    @property
    def engine(self) -> Engine: ...

    @property
    def watch(self) -> Watch: ...

    @property
    def evidence(self) -> dict[str, Any]: ...

    async def execute(self, statement: Statement) -> list[Row]: ...

    async def keep(self, name: str, secret: Secret, what: str) -> None: ...

    async def forget(self, name: str, what: str) -> None: ...


class Rotation:
    """One account. `known` is what was asked of the server just before: its answers are not asked again."""

    def __init__(self, aim: Aim, server: ServerIdentity, operator: Hands, *, known: bool) -> None:
        self._aim = aim
        self._server = server
        self._operator = operator
        self._first = Probe(answer=Answer.UNKNOWN)  # the login that proved the new one
        self._pending: Answer | None = None
        self._current: Answer | None = Answer.ACCEPTED if known else None
        self._applied = False
        self._acknowledged = False
        self._refused = 0
        self.moves: list[str] = []
        self.verifier: Verifier | None = None  # what the server was told, for those who need just that

    async def run(self) -> None:
        """Until it is done. Raises ActionFailed where the account is as it was, OutcomeUnknown where nobody
        knows; then both secrets are kept.
        """
        await self._adopt()
        while (move := await self._next()) is not Move.DONE:
            self.moves.append(str(move))
            await self._do(move)
            self._tell(move)

    def _tell(self, move: Move) -> None:
        """What this move came to, for who looks on."""
        said = {
            Move.STAGE: f"the new password is kept as {self._aim.entry}{PENDING}",
            Move.APPLY: self._sent() if self._applied else "",
            Move.TRY_PENDING: f"a login with the new password: {self._pending}",
            Move.PROMOTE: f"promoted: {self._aim.entry} is the new one",
        }.get(move)
        if said:
            self._operator.watch.tell(f"{self._aim.label}: {said}")

    def _sent(self) -> str:
        return "the server was told" if self._acknowledged else "the statement was sent, its answer was lost"

    async def report(self) -> None:
        """For the outcome: what is kept where, by names of entries, and what is to be done next."""
        _, _, previous = await entries(self._operator.secrets, self._aim.entry)
        old = "" if previous is None else f", the one before as {self._aim.entry}{PREVIOUS}"
        kept = self._operator.evidence.setdefault("kept", {})
        kept[self._aim.label] = f"the new one as {self._aim.entry}{old}"
        if previous is not None:
            self._operator.evidence["next"] = "credential.retire, once `dbdeck show drain` says drained"

    async def _next(self) -> Move:
        found = held(await entries(self._operator.secrets, self._aim.entry))
        return next_move(self._aim.rotation, found, pending=self._pending, current=self._current)

    async def _adopt(self) -> None:
        """A secret that an earlier rotation left pending is gone on with: the server may have it already."""
        current, pending, _ = await entries(self._operator.secrets, self._aim.entry)
        if pending is None or pending.rotation == self._aim.rotation:
            return
        if current is None or pending.rotation != current.rotation:
            ours = msgspec.structs.replace(pending, rotation=self._aim.rotation)
            await self._keep(PENDING, ours, f"what rotation {pending.rotation} left pending")

    async def _do(self, move: Move) -> None:
        if move is Move.APPLY and self._applied:
            await self._not_taken()
        does = {
            Move.STAGE: self._stage,
            Move.TRY_PENDING: self._try_pending,
            Move.TRY_CURRENT: self._try_current,
            Move.APPLY: self._apply,
            Move.PROMOTE: self._promote,
            Move.CLEAN: self._clean,
            Move.STOP_UNKNOWN: self._unclear,
            Move.STOP_FOREIGN: self._foreign,
        }
        await does[move]()

    # ---- moves ----------------------------------------------------------------------------------

    async def _stage(self) -> None:
        made = Entry(
            password=drawn(self._aim.length, self._aim.alphabet),
            rotation=self._aim.rotation,
            user=self._aim.user,
            made_at=datetime.now(UTC),
        )
        await self._keep(PENDING, made, f"the pending secret of rotation {self._aim.rotation}")
        self._pending = Answer.REJECTED  # drawn a moment ago: nobody else can have it

    async def _apply(self) -> None:
        """One statement. An answer that was lost is looked for by a login."""
        statement, hidden = await self._statement()
        try:
            await self._operator.execute(statement)
            self._acknowledged = True
        except PasswordRefused as error:
            self._keep_where_some_rows_may_have_it(error, hidden)
            await self._again(error)
            return
        except OutcomeUnknown:
            self.moves.append("answer lost")
        except ActionFailed as error:
            self._keep_where_some_rows_may_have_it(error, hidden)
            await self._operator.forget(self._aim.entry + PENDING, "the server refused the statement")
            raise without(error, hidden) from None
        self._applied, self._pending, self._current = True, None, None

    def _keep_where_some_rows_may_have_it(self, error: ActionFailed, hidden: Sequence[str]) -> None:
        """MariaDB goes through the rows of ALTER USER one by one, and leaves those that it changed before one
        failed; MySQL's is atomic (manual 15.7.1.1). Raises OutcomeUnknown: both passwords stay.
        """
        if self._server.flavor == "mariadb" and len(self._aim.keys) > 1:
            raise OutcomeUnknown(
                f"{without(error, hidden).message}; some rows of {self._aim.label} may have the new one: "
                "both are kept",
                _SETTLE,
            ) from None

    async def _statement(self) -> tuple[Statement, tuple[str, ...]]:
        """And what of it no message may repeat."""
        current, pending, _ = await entries(self._operator.secrets, self._aim.entry)
        if pending is None:
            raise ActionFailed(f"{self._aim.label}: its pending secret is gone; nothing was sent")
        if self._aim.plaintext:
            return self._in_clear(current, pending)
        verifier = make(self._aim.kind, pending.password, cost=self._aim.cost)
        old = make(self._aim.kind, current.password) if self._aim.new.keeps_old and current else ""
        made = statements.set_password(self._server, self._aim.keys, self._aim.new, verifier, old)
        self.verifier = parse(verifier, self._plugin, user=self._aim.user)
        return made, (verifier, old)

    def _in_clear(self, current: Entry | None, pending: Entry) -> tuple[Statement, tuple[str, ...]]:
        old = current.password if current and statements.replaces(self._server, self._aim.new) else None
        if old is None and statements.replaces(self._server, self._aim.new):
            raise ActionFailed(f"{self._aim.label}: its own old password is gone; nothing was sent")
        clear = statements.set_plaintext(self._server, self._aim.keys, self._aim.new, pending.password, old)
        return clear, (pending.password.reveal(), old.reveal() if old else "")

    @property
    def _plugin(self) -> str:
        return POSTGRESQL if self._server.flavor == POSTGRESQL else self._aim.kind

    async def _again(self, error: PasswordRefused) -> None:
        """A secret that the server refused is refused for ever: a new one, and then it is over."""
        self._refused += 1
        await self._operator.forget(self._aim.entry + PENDING, "the server refused it")
        if self._refused == TRIES:
            raise PasswordRefused(
                f"{error.message}; {self._aim.label} has the password it had",
                error.hint if self._aim.plaintext else _IN_CLEAR,
            )

    async def _promote(self) -> None:
        """In this order each prefix of it leaves a password that logs in under a name that is looked at."""
        current, pending, _ = await entries(self._operator.secrets, self._aim.entry)
        if current is not None:
            before = msgspec.structs.replace(current, user=current.user or self._aim.pair)
            await self._keep(PREVIOUS, before, "what was current until now")
        if pending is not None:
            seen = {"made_at": self._first.at or pending.made_at, "session": self._first.session}
            proved = msgspec.structs.replace(pending, **seen)
            await self._keep("", proved, f"the current secret, of rotation {pending.rotation}")
        await self._clean()

    async def _try_pending(self) -> None:
        self._first = await self._probe(PENDING)
        self._pending = self._first.answer
        if self._aim.unverified and self._pending is Answer.ACCEPTED and not self._acknowledged:
            self._pending = Answer.UNKNOWN  # a server that lets anybody in says nothing

    async def _try_current(self) -> None:
        self._current = (await self._probe("")).answer

    async def _clean(self) -> None:
        await self._operator.forget(self._aim.entry + PENDING, "it is the current one now")

    # ---- ends that nobody wants -------------------------------------------------------------------

    async def _unclear(self) -> None:
        raise OutcomeUnknown(
            f"{self._aim.label}: the server does not say which password it takes; both are kept", _SETTLE
        )

    async def _not_taken(self) -> None:
        """Told, and not there: the statement may be on its way, or another server answers the login."""
        raise OutcomeUnknown(
            f"{self._aim.label}: the server was told the new password and does not take it; both are kept",
            _SETTLE,
        )

    async def _foreign(self) -> None:
        told = "was told the new password and" if self._applied else "takes neither password: it"
        raise OutcomeUnknown(
            f"{self._aim.label}: the server {told} lets nobody in with one that is known; both are kept",
            "was it changed by somebody else, or did VALID UNTIL, pg_hba.conf or the host row change?",
        )

    # ---- means ----------------------------------------------------------------------------------

    async def _keep(self, end: str, value: Entry, what: str) -> None:
        await self._operator.keep(self._aim.entry + end, value.sealed(), what)

    async def _probe(self, end: str) -> Probe:
        found = await entry(self._operator.secrets, self._aim.entry + end)
        if found is None:
            return Probe(answer=Answer.UNKNOWN, why="the entry is gone")
        user = found.user or self._aim.user
        seen = await self._operator.engine.probe(user, found.password)
        self.moves.append(
            f"{end.strip('#') or 'current'}: {seen.answer}{f' ({seen.why})' if seen.why else ''}"
        )
        foreign = misled(self._aim, seen, user)
        if foreign:
            raise OutcomeUnknown(
                f"{self._aim.label}: {foreign}; both secrets are kept", "rotate that row, too"
            )
        return seen


def without(error: ActionFailed, hidden: Sequence[str]) -> ActionFailed:
    """A server may repeat the statement that it does not like."""
    message = error.message
    for text in hidden:
        message = message.replace(text, "<verifier>") if text else message
    for text in (part for one in hidden for part in one.split("$") if len(part) > 16):
        message = message.replace(text, "<verifier>")
    return type(error)(message, error.hint)


def misled(aim: Aim, seen: Probe, user: str) -> str:
    """Why a login as `user` that was let in proves nothing of this account; empty where it does."""
    if seen.answer is not Answer.ACCEPTED or seen.identity in ("", user, *aim.identities):
        return ""
    return f"from here the server takes {user} for {seen.identity}, which is another account"


async def probe_entry(engine: Engine, aim: Aim, found: Entry | None) -> Probe:
    if found is None:
        return Probe(answer=Answer.REJECTED, why="there is no such entry")
    return await engine.probe(found.user or aim.user, found.password)
