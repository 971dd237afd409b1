"""binlog.purge: remove old files of the binary log, and none that a replica may still need."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec

from actions.following import pause
from actions.limits import Duration
from actions.words import counted, duration, moment, who
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Verdict
from console.dispatch.facts import Facts, On
from console.dispatch.operator import Operator
from console.engine.port import Engine, Need, Statement
from console.engine.queries import quote_literal
from console.errors import Stale, UsageError
from console.model.binary_logs import BinaryLog, BinaryLogs
from console.model.target import ServerIdentity
from console.present.units import size, span

LISTED = 10
# Removing a file of a gigabyte takes a moment, and there may be a thousand of them.
PURGE_SECONDS = 900.0
# MariaDB skips, in silence, files whose commits InnoDB has not written through yet (binlog checkpoints).
TRIES = 6
AGAIN_SECONDS = 0.5
ANSWERED = "answered"  # evidence: what the server said, when it had purged


class PurgeArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`to`: the files older than this one go. Or `keep`: those last written longer ago than `2d` go; `before`
    is the moment that this came to: a plan has it, and does not go further when it is applied.

    `replicas`: how many there are, those that are away now too; 0 is none. No server knows that.
    `unseen_positions`: go on where dbdeck cannot see what the connected ones read, which the server keeps.
    """

    to: str = ""
    keep: Duration = ""
    before: str = ""
    replicas: Annotated[int, msgspec.Meta(ge=0, le=10_000)] | None = None
    unseen_positions: bool = False


class PurgeBinaryLogs:
    """What is purged cannot be fetched by a replica, nor rolled forward over after a restore."""

    name = "binlog.purge"
    summary = "purge old binary logs, none that a replica still needs; nothing brings them back"
    risk = Risk.HIGH
    flavors: tuple[str, ...] = ("mysql", "mariadb")
    lasting: Literal[True] = True
    facts = Facts(
        on={
            "mysql": On(
                locks="none on tables; the list of binary logs, for which rotation waits while files are "
                "removed",
                rights="`BINLOG_ADMIN` or `SUPER`; the monitor needs `REPLICATION CLIENT`",
            ),
            "mariadb": On(
                locks="none on tables; the list of binary logs, for which rotation waits while files are "
                "removed",
                rights="`BINLOG ADMIN`; the monitor needs `BINLOG MONITOR`",
            ),
        },
        undo="nothing: the files are removed",
    )
    Args = PurgeArgs

    async def plan(self, engine: Engine, args: PurgeArgs) -> Plan:
        """Raises UsageError for no choice or an unknown file, and where nothing is logged."""
        server = await engine.identity()
        if server.flavor not in self.flavors:
            raise UsageError(f"{self.name} is for MySQL and MariaDB; nothing was executed")
        if bool(args.to) == bool(args.keep):
            raise UsageError(
                "which binary logs? nothing was executed", "give either to=FILE, which stays, or keep=2d"
            )
        logs = await engine.binary_logs()
        if args.before and not args.keep:
            raise UsageError("before= goes with keep=; nothing was executed", "leave before= away")
        latest = logs.clock - timedelta(seconds=duration(args.keep)) if args.keep else None
        before = moment(args.before, latest) if latest else None
        goes = _older(logs, args.to) if args.to else ()
        statement = _purge(server, args.to, before)
        nothing = bool(args.to) and not goes
        return Plan(
            action=self.name,
            target=engine.target.name,
            risk=self.risk,
            args=msgspec.to_builtins(args) | ({"before": before.isoformat()} if before else {}),
            subject={
                "title": _title(args, goes),
                "files": [one.name for one in (goes if args.to else logs.files[:-1])],
                "chosen": bool(args.to),
                "statement": None if nothing else msgspec.to_builtins(statement),
            },
            statements=() if nothing else (statement.shown,),
            forecast=_forecast(logs, args, goes, before),
            warnings=() if nothing else _WARNINGS,
            refusals=() if nothing else _refusals(logs, args),
            undo="nothing undoes it: the files are removed",
            observed=_observed(logs, args, goes),
            server=server,
            made_at=datetime.now(UTC),
            version=__version__,
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        kept = plan.subject["statement"]
        if kept is None:
            return Result(matched=False)
        statement = msgspec.convert(kept, Statement)
        files = plan.subject["files"]
        left: list[str] = []
        for _ in range(TRIES if plan.subject["chosen"] else 1):
            said = await operator.execute(statement, timeout=PURGE_SECONDS)
            # (level, number, text): the server skips what is being read, and says so.
            operator.evidence[ANSWERED] = [" ".join(str(row[-1]).split()) for row in said]
            there = {one.name for one in (await operator.engine.binary_logs()).files}
            left = [name for name in files if name in there]
            if not left or said or await pause(operator.watch.stop, AGAIN_SECONDS):
                break
        return Result(matched=len(left) < len(files))

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        """By the files that are left. By `keep` the server chose: what it answered is the proof there."""
        del patience
        files = plan.subject["files"]
        there = {one.name for one in (await engine.binary_logs()).files}
        left = [name for name in files if name in there]
        gone = len(files) - len(left)
        answered = plan.evidence.get(ANSWERED)
        evidence: dict[str, Any] = {"gone": gone, "left": left[:LISTED]}
        why = _why(plan.server, answered) if left and answered is not None else ""
        if not left:
            return Verdict(state="applied", summary=_gone(files), evidence=evidence)
        if not plan.subject["chosen"] and (gone or answered is not None):
            said = f"{counted(gone, 'binary log')} gone"
            return Verdict(state="applied", summary=said, evidence=evidence)
        if gone:
            return Verdict(state="partial", summary=f"{gone} of {len(files)} gone{why}", evidence=evidence)
        return Verdict(state="not_applied", summary=f"no binary log is gone{why}", evidence=evidence)

    def needs(self, plan: Plan) -> tuple[Need, ...]:
        """MySQL manual 15.4.1.1, MariaDB "PURGE BINARY LOGS"."""
        right = "BINLOG_ADMIN" if plan.server.flavor == "mysql" else "BINLOG ADMIN"
        enough = ("SUPER",) if plan.server.flavor == "mysql" else ()
        return (Need(schema="*", name="*", privileges=(right,), enough=enough),)

    def lock(self, plan: Plan) -> str:
        del plan
        return "binlog"


def _purge(server: ServerIdentity, to: str, before: datetime | None) -> Statement:
    """With its warnings in the same packet: what was skipped is told there only."""
    if before is None:
        shown = f"purge binary logs to {quote_literal(to, server.flavor)}"
    else:  # dbdeck's sessions have UTC as their time zone
        shown = f"purge binary logs before '{before:%Y-%m-%d %H:%M:%S}'"
    return Statement(sql=f"{shown}; show warnings", shown=shown)


def _older(logs: BinaryLogs, to: str) -> tuple[BinaryLog, ...]:
    try:
        return logs.before(to)
    except KeyError:
        raise Stale(
            f"there is no binary log {to!r} (there: {logs.files[0].name} to {logs.files[-1].name}); "
            "nothing was executed",
            "`SHOW BINARY LOGS` lists them",
        ) from None


def _observed(logs: BinaryLogs, args: PurgeArgs, goes: Sequence[BinaryLog]) -> dict[str, Any]:
    """A closed file never changes: one of that name and another size is another one (RESET MASTER)."""
    files = {one.name: one.bytes for one in goes} if args.to else {}
    return {"readers": len(logs.readers), **files}


def _refusals(logs: BinaryLogs, args: PurgeArgs) -> tuple[str, ...]:
    found = []
    if args.replicas is None:
        found.append(
            "no server knows of a replica that is away, and it would have to be rebuilt: "
            f"say how many there are with replicas=N (connected now: {len(logs.readers)})"
        )
    elif args.replicas > len(logs.readers):
        found.append(
            f"{counted(args.replicas, 'replica')} {'is' if args.replicas == 1 else 'are'} said to read from "
            f"here, and {len(logs.readers)} connected: what the others still need is not known"
        )
    if logs.read is None and not args.unseen_positions:
        found.append(
            f"{counted(len(logs.readers), 'replica')} read from here, and {logs.why}; the server itself "
            "keeps what they are reading: unseen_positions=true relies on that"
        )
    needed = logs.read[0] if logs.read else ""
    if args.to and needed and needed in {one.name for one in logs.before(args.to)}:
        found.append(f"{needed} is being read by {_readers(logs)}: to={needed} is as far as it goes")
    return tuple(found)


def _forecast(
    logs: BinaryLogs, args: PurgeArgs, goes: Sequence[BinaryLog], before: datetime | None
) -> tuple[str, ...]:
    lines = [f"{counted(len(logs.files), 'binary log')} of {size(logs.bytes)}: {_range(logs.files)}"]
    if before is not None:
        lines.append(
            f"goes: what was last written before {before:%Y-%m-%d %H:%M:%S} UTC; which files that are, only "
            "the server knows"
        )
    elif goes:
        lines.append(f"goes: {_range(goes)}, {size(sum(one.bytes for one in goes))}")
    else:
        lines.append(f"{args.to} is the oldest there is: there is nothing to do")
    lines.append(f"read by {_readers(logs)}" if logs.readers else "no replica is connected")
    if logs.read:
        lines.append(f"being read: {', '.join(logs.read[:LISTED])}; neither these nor later ones go")
    kept = f"after {span(float(logs.expire_seconds))}" if logs.expire_seconds else "never"
    lines.append(f"the server purges by itself {kept} (binlog_expire_logs_seconds)")
    return tuple(lines)


_WARNINGS = (
    "a backup can be rolled forward only over binary logs that are there: keep all since the last good one, "
    "or have them copied elsewhere",
    "what a replica has fetched and not applied yet it fetches again after a crash: keep more than it is "
    "behind",
)


def _why(server: ServerIdentity, answered: Sequence[str]) -> str:
    said = "; ".join(answered)
    if not said and server.flavor == "mariadb":
        said = "the server keeps what its own crash recovery may need: try again in a moment"
    return f": {said}" if said else ""


def _readers(logs: BinaryLogs) -> str:
    more = f" and {len(logs.readers) - 3} more" if len(logs.readers) > 3 else ""
    return ", ".join(who(one) for one in logs.readers[:3]) + more


def _range(files: Sequence[BinaryLog]) -> str:
    return files[0].name if len(files) == 1 else f"{files[0].name} to {files[-1].name}"


def _gone(files: Sequence[str]) -> str:
    if not files:
        return "there was nothing to purge"
    return f"{counted(len(files), 'binary log')} gone: {files[0]} to {files[-1]}"


def _title(args: PurgeArgs, goes: Sequence[BinaryLog]) -> str:
    if args.to:
        return f"purge {counted(len(goes), 'binary log')} before {args.to}"
    return f"purge binary logs older than {span(duration(args.keep))}"
