"""migration.apply: a rehearsed migration on the server itself, each statement recorded before it is sent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from actions import clusters, draft
from actions.ladder import Rung, rungs
from actions.limits import LONGEST_LOCK, Duration
from actions.migrating import read_script, read_text
from actions.migration_statements import POSTGRES, Part, objection, parts
from actions.migration_words import Before, before, elsewhere, extent, held, nowhere
from actions.session_proof import PartlyRefused
from actions.words import counted, duration
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Step, Verdict
from console.dispatch.facts import Facts, On
from console.dispatch.memory import Memory
from console.dispatch.operator import Operator
from console.engine.port import READ_SECONDS, Engine, Statement
from console.engine.row_sites import names_looked_for
from console.errors import ActionFailed, Cancelled, LockTimeout, OutcomeUnknown, UsageError
from console.model.rehearsals import Script
from console.present.units import span

APPLY = "migration.apply"
REHEARSE = "migration.rehearse"
CHECK_SECONDS = 30.0
WIDTH = 100
_TRUE = ("1", "t", "true", "y", "yes", "on")


class ApplyArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`up` and `down` are the scripts that were rehearsed; `revert` applies `down`. Only what passed its
    rehearsal within `within`, by the same contents, is applied, unless `unrehearsed`. Where a script of
    PostgreSQL fits one transaction it is one, unless `apart`. `check`: reads whose first value has to be true
    afterwards, repeated. `lock_timeout` is the longest single wait for a lock, `tries` how often. `begin_at`:
    the statement to begin with, where those before it are applied. `search_path` (PostgreSQL) is the
    monitor's unless given.
    """

    up: str
    down: str = ""
    revert: bool = False
    apart: bool = False
    unrehearsed: bool = False
    within: Duration = "7d"
    check: str | tuple[str, ...] = ()
    lock_timeout: Duration = "2s"
    tries: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    begin_at: Annotated[int, msgspec.Meta(ge=1)] = 1
    search_path: str = ""


class ApplyMigration:
    """It stops at the first failure. As one transaction all of it is applied, or nothing."""

    name = APPLY
    summary = "apply a rehearsed migration, each statement recorded and tried in short waits for locks"
    risk = Risk.HIGH
    flavors: tuple[str, ...] = ("postgresql", "mysql", "mariadb")
    lasting: Literal[True] = True
    facts = Facts(
        on={
            "postgresql": On(
                locks="those of its statements, each waited for at most `lock_timeout` at a time; as one "
                "transaction it holds them all until its end",
                rights="what its statements want; the monitor what `check=` reads",
            ),
            "mysql": On(
                locks="those of its statements, each waited for at most `lock_timeout` at a time",
                rights="what its statements want; the monitor what `check=` reads",
            ),
            "mariadb": On(
                locks="those of its statements, each waited for at most `lock_timeout` at a time",
                rights="what its statements want; the monitor what `check=` reads",
            ),
        },
        undo="`revert=true` applies `down`, as it was rehearsed; without `down` nothing that is known",
    )
    Args = ApplyArgs

    async def plan(self, engine: Engine, args: ApplyArgs) -> Plan:
        return await self.plan_kept(engine, args, Memory())

    async def plan_kept(self, engine: Engine, args: ApplyArgs, memory: Memory) -> Plan:
        on = await draft.ground(self, engine)
        script, found = await _script(args, on.server.flavor)
        if duration(args.lock_timeout) > LONGEST_LOCK:
            raise UsageError(
                f"lock_timeout is {LONGEST_LOCK:g}s at most; nothing was executed", "and more tries="
            )
        whole = on.server.flavor == POSTGRES and not args.apart and not any(one.alone for one in found)
        if args.begin_at > len(found) or (whole and args.begin_at > 1):
            why = "it is one transaction" if whole else f"it has {counted(len(found), 'statement')}"
            raise UsageError(f"begin_at={args.begin_at}: {why}; nothing was executed")
        rehearsed, why = _rehearsed(await memory.ends(REHEARSE, engine.target.name), script, args)
        there, here = str(rehearsed.get("database") or ""), engine.target.database
        why = why or elsewhere(there, here)
        past = await _before(memory, engine.target.name, script, args)
        path = args.search_path or await names_looked_for(engine)
        shown = [_statement(path, one, number).shown for number, one in enumerate(found, start=1)]
        left = shown[args.begin_at - 1 :]
        return Plan(
            action=self.name,
            target=engine.target.name,
            risk=self.risk,
            args=msgspec.to_builtins(args),
            subject={
                "title": f"{'take back' if args.revert else 'apply'} {Path(script.path).name}",
                "script": msgspec.to_builtins(script),
                "whole": whole,
                "number": len(found),
                "search_path": path,
                "rehearsal": rehearsed.get("id", ""),
            },
            statements=(*(["begin"] if whole else []), *left, *(["commit"] if whole else [])),
            forecast=(*_forecast(found, whole, args, rehearsed), *past.forecast),
            warnings=(
                *past.warnings,
                *_warnings(whole, args, on.server.flavor, why or nowhere(there, here)),
                *clusters.of_ddl(await clusters.galera_of(engine, on.server), "each definition it changes"),
            ),
            refusals=(f"{why}; rehearse it first, or unrehearsed=true",)
            if why and not args.unrehearsed
            else (),
            confirm=bool(why),
            undo=_undo(args, whole),
            observed={script.path: script.sha256, "one transaction": whole, "database": here},
            server=on.server,
            made_at=datetime.now(UTC),
            version=__version__,
        )

    def lock(self, plan: Plan) -> str:  # noqa: ARG002 - one migration of a target at a time
        return "migration"

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        """Raises what stopped it: ActionFailed where nothing stands, PartlyRefused where some of it does."""
        args = msgspec.convert(plan.args, ApplyArgs)
        script, found = await _script(args, plan.server.flavor)
        if script.sha256 != plan.subject["script"]["sha256"]:
            raise ActionFailed(f"{script.path} changed since it was planned; nothing was executed")
        path = str(plan.subject["search_path"])
        statements = [_statement(path, one, number) for number, one in enumerate(found, start=1)]
        run = Application(statements, args, operator)
        try:
            await (run.as_one() if plan.subject["whole"] else run.one_by_one())
        finally:
            operator.evidence.update(run.evidence)
        return Result(matched=True)

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:  # noqa: ARG002
        return await _verdict(plan, engine, None)

    async def verify_steps(
        self,
        plan: Plan,
        engine: Engine,
        steps: Sequence[Step],
        *,
        patience: float,  # noqa: ARG002 - what was sent has ended, or nobody knows
    ) -> Verdict:
        return await _verdict(plan, engine, steps)


# ---- planning ------------------------------------------------------------------------------------


async def _script(args: ApplyArgs, flavor: str) -> tuple[Script, list[Part]]:
    """Raises UsageError for a script that is not applied statement by statement."""
    path = args.down if args.revert else args.up
    if not path:
        raise UsageError("revert=true applies down=, which is not given; nothing was executed")
    script, text = await asyncio.to_thread(read_text, path)
    try:
        found = parts(text, flavor)
    except ValueError as error:
        raise UsageError(f"{script.path}: {error}; nothing was executed") from None
    why = objection(found, flavor)
    if why:
        raise UsageError(
            f"{script.path}: {why}; nothing was executed", "apply it with the server's own client"
        )
    return script, found


def _rehearsed(
    past: Sequence[Mapping[str, Any]] | None, script: Script, args: ApplyArgs
) -> tuple[Mapping[str, Any], str]:
    """The newest rehearsal of exactly this script, and why it does not count; "" where it does. `past` None:
    the ledger does not tell.
    """
    if past is None:
        return {}, "whether exactly this script was rehearsed is not known: the ledger does not tell"
    side = "down" if args.revert else "up"
    for one in past:
        kept = one.get("rehearsal")
        part = kept.get(side) if isinstance(kept, Mapping) else None
        if (
            not isinstance(kept, Mapping)
            or not isinstance(part, Mapping)
            or part.get("sha256") != script.sha256
        ):
            continue
        if kept.get("verdict") != "pass":
            return kept, f"its newest rehearsal did not pass: {kept.get('summary')}"
        age = datetime.now(UTC) - datetime.fromisoformat(str(one["ended_at"]))
        if age > timedelta(seconds=duration(args.within)):
            return (
                kept,
                f"its newest rehearsal is {span(age.total_seconds())} old, more than within={args.within}",
            )
        return kept, ""
    return {}, "the ledger knows no rehearsal of exactly this script on this target"


async def _before(memory: Memory, target: str, script: Script, args: ApplyArgs) -> Before:
    """What the ledger knows of the same contents applied here, and of those that lead back from them."""
    other = args.up if args.revert else args.down
    back, unread = "", ""
    try:
        back = (await asyncio.to_thread(read_script, other)).sha256 if other else ""
    except UsageError as error:
        unread = f"the other way: {error.message.removesuffix('; nothing was executed')}"
    found = await memory.earlier(APPLY, target, [one for one in (script.sha256, back) if one])
    runs, since = (None, None) if found is None else (found.get(script.sha256, ()), found.get(back, ()))
    told = before(runs, since, Path(other).name)
    return Before(told.forecast, (*told.warnings, *([unread] if unread else [])))


def _statement(search_path: str, part: Part, number: int) -> Statement:
    return Statement(
        sql=part.text,
        shown=f"{part.text} -- statement {number}",
        command=part.alone,
        limits=(("search_path", search_path), ("idle_in_transaction_session_timeout", "60s")),
    )


def _forecast(
    found: Sequence[Part], whole: bool, args: ApplyArgs, rehearsed: Mapping[str, Any]
) -> tuple[str, ...]:
    how = (
        "as one transaction: all of it, or nothing"
        if whole
        else "one by one: what is applied before a failure stays"
    )
    said = [f"{counted(len(found) - args.begin_at + 1, 'statement')} {how}"]
    part = rehearsed.get("down" if args.revert else "up")
    if isinstance(part, Mapping):
        said.append(
            f"the rehearsal took {span(float(part.get('seconds') or 0))} on {rehearsed.get('backup')}"
        )
        said += [
            f"{lock.get('relation')}: {lock.get('mode')}, which keeps others from {lock.get('keeps')}"
            for lock in list(part.get("blocks") or ())[:5]
        ]
        if part.get("rewritten"):
            said.append(f"written anew: {', '.join(map(str, list(part['rewritten'])[:5]))}")
    said.append(f"each lock is waited for {args.lock_timeout} at most, {args.tries} times")
    return tuple(said)


def _warnings(whole: bool, args: ApplyArgs, flavor: str, why: str) -> tuple[str, ...]:
    said = [why] if why else []
    if flavor != POSTGRES:
        said.append(
            "each change of a definition commits by itself on this engine: nothing is one transaction"
        )
        said.append(
            "its session has time_zone +00:00 and sql_mode STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION, "
            "whatever the server's own are: routines and NOW() get these unless the script sets others"
        )
    elif not whole:
        said.append("it is no one transaction: a statement of it may not be in one, or apart=true")
    if not args.check:
        said.append("there is no check=: that every statement ended well is all that is proved")
    return tuple(said)


def _undo(args: ApplyArgs, whole: bool) -> str:
    if args.revert:
        return "applying up again; rows that were written meanwhile are not brought back by either"
    if args.down:
        return f"revert=true applies {Path(args.down).name}"
    return "nothing that is known: there is no down=" + ("; a failure takes all of it back" if whole else "")


# ---- the effect ----------------------------------------------------------------------------------


class Application:
    """One script at work. `done` statements are applied for sure."""

    def __init__(self, statements: Sequence[Statement], args: ApplyArgs, operator: Operator) -> None:
        self._statements = statements
        self._args = args
        self._operator = operator
        self._recorded: set[int] = set()
        self._begin = args.begin_at
        self.done = args.begin_at - 1
        self._stopped_at = ""

    @property
    def evidence(self) -> dict[str, Any]:
        done = self.done - self._begin + 1
        found: dict[str, Any] = {"applied": done, "of": len(self._statements)}
        return found | ({"stopped_at": self._stopped_at} if self._stopped_at else {})

    def _rungs(self) -> list[Rung]:
        return list(rungs(duration(self._args.lock_timeout), self._args.tries, random.Random()))  # noqa: S311

    async def one_by_one(self) -> None:
        for number in range(self.done + 1, len(self._statements) + 1):
            if self._operator.watch.stop.is_set():
                self._stop(number, Cancelled("it was stopped between two statements"))
            try:
                await self._tried(number)
            except ActionFailed as error:
                self._stop(number, error)
            except OutcomeUnknown:
                self._stopped_at = f"nobody knows whether statement {number} was applied"
                raise
            self._operator.answered(number, "done")
            self.done = number
            self._operator.watch.tell(f"statement {number} of {len(self._statements)} is applied")

    def _stop(self, number: int, error: ActionFailed) -> None:
        """Raises what may be said of a script that was applied in part, or not at all."""
        self._stopped_at = f"statement {number}: {error.message}"
        if self._statements[number - 1].command and number in self._recorded:
            left = f"statement {number} is no transaction: {error.message}"
            self._stopped_at += _MAY_BE_LEFT
            raise PartlyRefused(f"{left}{_MAY_BE_LEFT}", f"look at it, then begin_at={number}") from None
        if self.done < self._begin:
            raise error
        raise PartlyRefused(
            f"{extent(self.done, len(self._statements), self._begin)}, from {number} on none: "
            f"{error.message}",
            f"mend it and go on with begin_at={number}, or take it back by hand",
        ) from None

    async def _tried(self, number: int) -> None:
        """A lock that is not to be had in time takes the statement back, and it is tried again.

        What stands in no transaction is not: a CREATE INDEX CONCURRENTLY leaves an invalid index, which
        IF NOT EXISTS would find the next time, and a CALL may have committed.
        """
        steps = self._rungs()
        if self._statements[number - 1].command:
            steps = [Rung(duration(self._args.lock_timeout), 0.0)]
        for place, step in enumerate(steps, start=1):
            try:
                await self._send(number, step)
            except LockTimeout as error:
                if place == len(steps) or self._operator.watch.stop.is_set():
                    raise
                self._again(error.message, step)
                await asyncio.sleep(step.pause)
            else:
                return

    def _again(self, why: str, step: Rung) -> None:
        self._operator.watch.tell(f"{why}; again in {span(step.pause)}")

    async def _send(self, number: int, step: Rung) -> None:
        statement = self._statements[number - 1]
        if number not in self._recorded:
            await self._operator.declare([statement], subject=number)
            self._recorded.add(number)
        await self._operator.send(msgspec.structs.replace(statement, lock_seconds=step.wait), timeout=None)

    # ---- as one transaction -------------------------------------------------------------------

    async def as_one(self) -> None:
        """Every failure takes all of it back; only a lock that was not to be had is tried again."""
        steps = self._rungs()
        for place, step in enumerate(steps, start=1):
            try:
                await self._transaction(step)
            except LockTimeout as error:
                await self._back(step)
                if place == len(steps) or self._operator.watch.stop.is_set():
                    self._stopped_at = f"{error.message}; nothing is applied"
                    raise
                self._again(error.message, step)
                await asyncio.sleep(step.pause)
            except ActionFailed as error:
                await self._back(step)
                self._stopped_at = f"{error.message}; nothing is applied"
                raise
            else:
                self.done = len(self._statements)
                return

    async def _transaction(self, step: Rung) -> None:
        if 0 not in self._recorded:
            await self._operator.declare([_BEGIN, _BACK], subject=0)
            self._recorded.add(0)
        limits = self._statements[0].limits
        await self._operator.send(_under(_BEGIN, limits, step), timeout=READ_SECONDS)
        for number in range(1, len(self._statements) + 1):
            if self._operator.watch.stop.is_set():
                raise Cancelled("it was stopped between two statements, and taken back")
            await self._send(number, step)
        # Anew for each try: another try is another transaction, and its number is the only proof.
        number = len(self._statements)
        await self._operator.declare([_NUMBER], subject=number)
        ((transaction,),) = await self._operator.send(_under(_NUMBER, limits, step), timeout=READ_SECONDS)
        self._operator.answered(number, f"transaction {transaction}")
        commit = number + 1
        await self._operator.declare([_COMMIT], subject=commit)
        await self._operator.send(_under(_COMMIT, limits, step), timeout=None)
        self._operator.answered(commit, "done")

    async def _back(self, step: Rung) -> None:
        """A connection that is gone has rolled back by itself."""
        try:
            await self._operator.send(_under(_BACK, self._statements[0].limits, step), timeout=READ_SECONDS)
        except (ActionFailed, OutcomeUnknown):
            return


def _under(statement: Statement, limits: tuple[tuple[str, str], ...], step: Rung) -> Statement:
    """The same limits all along, so that none has to be set inside of the transaction."""
    return msgspec.structs.replace(statement, limits=limits, lock_seconds=step.wait)


_MAY_BE_LEFT = "; a part of it may be left, like an invalid index"
_BEGIN = Statement(sql="begin", shown="begin")
_BACK = Statement(sql="rollback", shown="rollback")
_COMMIT = Statement(sql="commit", shown="commit")
_NUMBER = Statement(sql="select pg_current_xact_id()::text", shown="select pg_current_xact_id()")


# ---- the proof -----------------------------------------------------------------------------------


async def _verdict(plan: Plan, engine: Engine, steps: Sequence[Step] | None) -> Verdict:
    """By what was answered, by the transaction's own end, and by the checks that were given."""
    number = int(plan.subject["number"])
    begin_at = int(plan.args.get("begin_at", 1))
    applied = await _applied(plan, engine, steps)
    if applied is None:
        return await _by_checks(plan, engine, _sent(plan, steps))
    evidence = {"applied": applied - begin_at + 1, "of": number}
    summary = extent(applied, number, begin_at)
    if applied < number:
        if str(plan.evidence.get("stopped_at") or "").endswith(_MAY_BE_LEFT):
            return Verdict(state="partial", summary=summary + _MAY_BE_LEFT, evidence=evidence)
        state: Literal["partial", "not_applied"] = "partial" if applied >= begin_at else "not_applied"
        return Verdict(state=state, summary=summary, evidence=evidence, certain=True)
    untrue, unanswered = await _failed_checks(plan, engine)
    if untrue or unanswered:
        said = [f"not as wanted: {'; '.join(untrue)}"] if untrue else []
        said += [f"nobody knows whether as wanted: {'; '.join(unanswered)}"] if unanswered else []
        summary = f"{summary}, and {'; '.join(said)}"
        return Verdict(state="partial", summary=summary, evidence=evidence | {"checks": untrue + unanswered})
    summary += held(len(_checks(plan)))
    return Verdict(state="applied", summary=summary, evidence=evidence, certain=True)


async def _applied(plan: Plan, engine: Engine, steps: Sequence[Step] | None) -> int | None:
    """How many statements are applied for sure and no more; None where nobody can tell."""
    number = int(plan.subject["number"])
    stopped = str(plan.evidence.get("stopped_at") or "")
    before = int(plan.args.get("begin_at", 1)) - 1
    counted_here = plan.evidence.get("applied")
    if isinstance(counted_here, int) and "nobody knows" not in stopped:
        known = before + counted_here
        whole = bool(plan.subject["whole"])
        if not whole or known == number or "nothing is applied" in stopped:
            return known
    if steps is None:
        return None
    if plan.subject["whole"]:
        return await _committed(steps, number, engine)
    done = [one.subject for one in steps if one.answer == "done"]
    if any(one.answer is None for one in steps):
        return None
    return max(done, default=before)


async def _committed(steps: Sequence[Step], number: int, engine: Engine) -> int | None:
    """A transaction whose commit was not even recorded is none; else the server knows its end."""
    if not any(one.subject == number + 1 for one in steps):
        return 0
    last = next((one.answer for one in reversed(steps) if one.subject == number and one.answer), "")
    transaction = last.removeprefix("transaction ")
    if not transaction.isdigit():
        return None
    sql = f"select pg_xact_status('{int(transaction)}'::xid8) as status"
    try:
        found = await engine.select(sql, (), seconds=READ_SECONDS, limit=1)
    except ActionFailed:
        return None
    return {"committed": number, "aborted": 0}.get(str(found.rows[0]["status"]))


def _checks(plan: Plan) -> list[str]:
    given = plan.args.get("check") or ()
    return [given] if isinstance(given, str) else list(given)


async def _failed_checks(plan: Plan, engine: Engine) -> tuple[list[str], list[str]]:
    """Those that are not true, each with what it gave, and those that were not answered, with why."""
    bad, unanswered = [], []
    for sql in _checks(plan):
        try:
            found = await engine.ask(engine.target.database, sql, seconds=CHECK_SECONDS)
        except ActionFailed as error:
            unanswered.append(f"{sql[:WIDTH]}: {error.message}")
            continue
        if str(found).strip().lower() not in _TRUE:
            bad.append(f"{sql[:WIDTH]} gave {found}")
    return bad, unanswered


def _sent(plan: Plan, steps: Sequence[Step] | None) -> int:
    """The last statement that can have been sent."""
    number, known = int(plan.subject["number"]), plan.evidence.get("applied")
    if plan.subject["whole"]:
        return number
    if steps:
        return min(number, max(one.subject for one in steps))
    return min(number, known + 1) if isinstance(known, int) else number


async def _by_checks(plan: Plan, engine: Engine, sent: int) -> Verdict:
    """Where the answer to the last statement was lost: the checks may tell that all is there."""
    number = int(plan.subject["number"])
    if sent < number:
        return Verdict(
            state="undecidable",
            summary=f"whether statement {sent} of {number} was applied is not known, and those after it were "
            "not sent: look at what it makes, and settle it",
        )
    if _checks(plan) and await _failed_checks(plan, engine) == ([], []):
        return Verdict(state="applied", summary="every check holds, though the last answer was lost")
    return Verdict(
        state="undecidable",
        summary="whether the last statement was applied is not known: look at what it makes, and settle it",
    )
