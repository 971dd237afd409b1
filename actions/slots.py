"""slot.drop: give up a replication slot, and with it the position of whoever reads from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from actions import slot_statements as statements
from actions.draft import ground
from actions.following import pause
from actions.words import counted, who
from console import __version__
from console.dispatch.action import Plan, Result, Risk, Verdict
from console.dispatch.facts import Facts, On
from console.dispatch.operator import Operator
from console.engine.port import Engine, Row
from console.errors import ActionFailed, Stale
from console.model.replication import Slot
from console.model.sessions import Session
from console.model.target import ServerIdentity
from console.present.units import age, size

TRIES = 8
# A walsender that was told to end does so within milliseconds.
EXIT_SECONDS = 0.1
# SQLSTATE object_in_use: the consumer came between the look at the slot and its drop.
_IN_USE = "(55006)"


class SlotArgs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`terminate_consumer`: end whoever reads from the slot, as often as it comes back (8 times)."""

    name: str
    terminate_consumer: bool = False


class DropSlot:
    """A standby or change-data consumer loses its position for good."""

    name = "slot.drop"
    summary = "drop a replication slot: the WAL it retains is freed, its consumer has to be rebuilt"
    risk = Risk.HIGH
    flavors: tuple[str, ...] = ("postgresql",)
    facts = Facts(
        on={
            "postgresql": On(
                locks="none on tables; the slot itself, which nobody may read from meanwhile",
                rights="`REPLICATION`; with `terminate_consumer` also `pg_signal_backend` and "
                "`pg_read_all_stats`",
            )
        },
        undo="nothing: a new slot of that name begins now, and what lies between is lost to it",
    )
    Args = SlotArgs

    async def plan(self, engine: Engine, args: SlotArgs) -> Plan:
        # A standby has slots of its own, which may be dropped there.
        server = (await ground(self, engine, reads=True)).server
        slots = await engine.slots()
        slot = _find(slots, args.name)
        return Plan(
            action=self.name,
            target=engine.target.name,
            risk=self.risk,
            args=msgspec.to_builtins(args),
            subject={
                "title": f"replication slot {slot.name}",
                "name": slot.name,
                "slot": msgspec.to_builtins(slot),
            },
            statements=tuple(one.shown for one in _statements(slot)),
            forecast=_forecast(slot, [one for one in slots if one.name != slot.name]),
            warnings=_warnings(slot),
            refusals=_refusals(server, slot, args),
            undo="nothing undoes it: a new slot of that name begins now, and what lies between is lost to it",
            observed=_observed(slot),
            server=server,
            made_at=datetime.now(UTC),
            version=__version__,
        )

    async def apply(self, plan: Plan, operator: Operator) -> Result:
        """Raises ActionFailed where the consumer comes back each time, and Stale where one came to a slot
        that had none; the slot is there then.
        """
        slot = _slot_of(plan)
        if slot.active_pid is None:
            return await _drop_idle(operator, slot)
        reader = slot.reader or Session(id=slot.active_pid, started_at=None)
        end = statements.end_reader(slot, reader)
        ended = _sent(await operator.execute(end))
        for attempt in range(TRIES):
            await pause(operator.watch.stop, EXIT_SECONDS)
            if await _dropped(operator, slot):
                return Result(matched=True, evidence={"tries": attempt + 1})
            if operator.watch.stop.is_set():
                raise ActionFailed(f"stopped before the slot {slot.name} could be dropped; it is there")
            operator.watch.tell(f"its consumer is there, try {attempt + 1} of {TRIES}")
            ended += _sent(await operator.execute(end))
        raise ActionFailed(
            f"the consumer of {slot.name} ({who(reader)}) was disconnected {counted(ended, 'time')} and "
            "keeps reconnecting; the slot was not dropped",
            "stop the consumer first, then drop its slot",
        )

    async def verify(self, plan: Plan, engine: Engine, *, patience: float) -> Verdict:
        """A slot that is gone was there when this was planned; nothing but a drop makes it vanish."""
        del patience
        name = plan.subject["name"]
        left = next((one for one in await engine.slots() if one.name == name), None)
        if left is None:
            return Verdict(state="applied", summary=f"there is no slot {name} any more")
        state = "active" if left.active_pid else "inactive"
        return Verdict(state="not_applied", summary=f"the slot {name} is there, {state}")

    def lock(self, plan: Plan) -> str:
        return f"slot:{plan.subject['name']}"


async def _drop_idle(operator: Operator, slot: Slot) -> Result:
    """Only as it was seen: whoever has read from it since was not planned for. Raises Stale, ActionFailed."""
    try:
        rows = await operator.execute(statements.drop(slot, idle=True))
    except ActionFailed as error:
        if _IN_USE not in error.message:
            raise
        rows = [(True, False)]
    active, dropped = rows[0] if rows else (False, True)
    if not dropped:
        what = "a consumer reads from it now" if active else "its position moved"
        raise Stale(
            f"the slot {slot.name} is not as it was planned for: {what}; it was not dropped",
            "plan anew; while a consumer reads from it that wants terminate_consumer=true",
        )
    return Result(matched=bool(rows))


async def _dropped(operator: Operator, slot: Slot) -> bool:
    """Whether this drop did it. Raises ActionFailed for a refusal that another try would not change."""
    try:
        rows = await operator.execute(statements.drop(slot, idle=False))
    except ActionFailed as error:
        if _IN_USE in error.message:
            return False
        raise
    return bool(rows) and bool(rows[0][1])


def _sent(rows: Sequence[Row]) -> int:
    return sum(bool(row[0]) for row in rows)


def _find(slots: Sequence[Slot], name: str) -> Slot:
    """Raises Stale with the names there are."""
    found = next((one for one in slots if one.name == name), None)
    if found is not None:
        return found
    names = ", ".join(one.name for one in slots[:5]) or "none"
    raise Stale(
        f"there is no replication slot {name!r} (there: {names}); nothing was executed",
        "look again: `dbdeck show horizon`",
    )


def _slot_of(plan: Plan) -> Slot:
    return msgspec.convert(plan.subject["slot"], Slot)


def _statements(slot: Slot) -> list[Any]:
    drop = statements.drop(slot, idle=slot.active_pid is None)
    return [drop] if slot.reader is None else [statements.end_reader(slot, slot.reader), drop]


def _observed(slot: Slot) -> dict[str, Any]:
    """An active slot's positions move all the time, and its consumer may reconnect as another process."""
    reader = slot.reader
    return {
        "slot": f"{slot.kind} {slot.plugin or ''} {slot.database or ''}".strip(),
        "consumer": f"{reader.user}@{reader.client}, {reader.application}" if reader else None,
        "restart_lsn": None if slot.active_pid else slot.restart_lsn,
    }


def _refusals(server: ServerIdentity, slot: Slot, args: SlotArgs) -> tuple[str, ...]:
    found = []
    if slot.synced and server.primary is False:
        return ("it is synchronised from the primary: drop it there, or it comes back",)
    if slot.temporary:
        found.append("it is temporary and ends with its session: session.terminate ends that")
    if slot.active_pid and not args.terminate_consumer:
        found.append(
            f"it is active: {_consumer(slot)} reads from it now; stop that, or give terminate_consumer=true"
        )
    if slot.active_pid and args.terminate_consumer and slot.reader is None:
        found.append(f"its reader (pid {slot.active_pid}) cannot be seen by this login, and is not ended")
    return tuple(found)


def _consumer(slot: Slot) -> str:
    return who(slot.reader) if slot.reader else f"pid {slot.active_pid}"


def _forecast(slot: Slot, others: Sequence[Slot]) -> tuple[str, ...]:
    what = f"{slot.kind} slot"
    if slot.plugin:
        what += f" of {slot.plugin} in database {slot.database}"
    lines = [what, _read_by(slot)]
    if slot.retained_bytes is not None:
        lines.append(_freed(slot.retained_bytes, others))
    lost = slot.wal_status == "lost" or slot.invalidation
    pins = [f"{name} {number:,} transactions old" for name, number in _pins(slot) if number is not None]
    pins = [] if lost else pins  # ReplicationSlotsComputeRequiredXmin passes over what is invalidated
    if pins:
        lines.append(f"it keeps vacuum back: {', '.join(pins)}")
    return tuple(lines)


def _freed(kept: int, others: Sequence[Slot]) -> str:
    """WAL that another slot keeps, too, stays."""
    behind = [one for one in others if one.retained_bytes is not None]
    most = max(behind, key=lambda one: one.retained_bytes or 0, default=None)
    also = min(kept, most.retained_bytes or 0) if most is not None else 0
    if not kept:
        return "it keeps no WAL"
    if most is None or not also:
        return f"frees up to {size(kept)} of WAL at the next checkpoint"
    if also == kept:
        return f"frees no WAL: the slot {most.name} keeps the same {size(kept)}"
    freed = f"frees up to {size(kept - also)} of WAL at the next checkpoint"
    return f"{freed}; the slot {most.name} keeps {size(also)}"


def _pins(slot: Slot) -> tuple[tuple[str, int | None], ...]:
    return (("xmin", slot.xmin_age), ("catalog_xmin", slot.catalog_xmin_age))


def _read_by(slot: Slot) -> str:
    if slot.active_pid:
        return f"{_consumer(slot)} reads from it now, and is disconnected"
    if slot.idle_seconds is None:
        return "nobody reads from it now; since when is not known (PostgreSQL 17 tells)"
    return f"nobody has read from it for {age(slot.idle_seconds)}"


def _warnings(slot: Slot) -> tuple[str, ...]:
    lines = ["a standby or change-data consumer loses its position for good and must be rebuilt"]
    if slot.failover:
        lines.append("it is a failover slot: standbys drop their copy of it too")
    if slot.wal_status == "lost" or slot.invalidation:
        lines.append("it is lost already: its consumer has to be rebuilt in any case")
    return tuple(lines)
