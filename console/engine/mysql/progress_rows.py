"""Stages, percentages and rollbacks -> the model. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from console.engine.mysql.look import Seen
from console.engine.mysql.rows import Transaction
from console.model.progress import Progress
from console.model.sessions import Session, State, by_id

Record = Mapping[str, Any]
_PERCENT = 100_000  # MariaDB's PROGRESS has three decimals
_NAME = r"(?:`(?:[^`]|``)+`|[\w$]+)"
_TABLE = rf"(?P<schema>{_NAME}\s*\.\s*)?(?P<table>{_NAME})"
_OPTIONS = r"(?:(?:no_write_to_binlog|local|online|offline|ignore|unique|fulltext|spatial)\s+)*"
# (what it does, to what, how its statement begins up to the table's name)
_COMMANDS = tuple(
    (f"{verb} {noun}", re.compile(rf"\s*(?:/\*.*?\*/\s*)*{begin}{_TABLE}", re.IGNORECASE | re.DOTALL))
    for verb, noun, begin in (
        ("ALTER", "TABLE", rf"alter\s+{_OPTIONS}table\s+(?:if\s+exists\s+)?"),
        ("OPTIMIZE", "TABLE", rf"optimize\s+{_OPTIONS}tables?\s+"),
        ("ANALYZE", "TABLE", rf"analyze\s+{_OPTIONS}tables?\s+"),
        ("CHECK", "TABLE", r"check\s+tables?\s+"),
        ("REPAIR", "TABLE", rf"repair\s+{_OPTIONS}tables?\s+"),
        ("CREATE", "INDEX", rf"create\s+(?:or\s+replace\s+)?{_OPTIONS}index\s+(?:if\s+not\s+exists\s+)?"
                            rf"{_NAME}\s+.*?\bon\s+"),
        ("DROP", "INDEX", rf"drop\s+{_OPTIONS}index\s+(?:if\s+exists\s+)?{_NAME}\s+on\s+"),
        ("CREATE", "TABLE", r"create\s+(?:or\s+replace\s+)?table\s+(?:if\s+not\s+exists\s+)?"),
        ("DROP", "TABLE", r"drop\s+tables?\s+(?:if\s+exists\s+)?"),
        ("TRUNCATE", "TABLE", r"truncate\s+(?:table\s+)?"),
        ("RENAME", "TABLE", r"rename\s+tables?\s+(?:if\s+exists\s+)?"),
        ("LOAD", "DATA", r"load\s+(?:data|xml)\b.*?\binto\s+table\s+"),
    )
)  # fmt: skip
_UNITS = {"stage/sql/copy to tmp table": "rows"}
_STAGE = re.compile(r"stage/\w+/(?P<what>.*?)(?:\s*\((?P<phase>.*)\))?$")
CONSUMER_ON = (
    "UPDATE performance_schema.setup_consumers SET ENABLED = 'YES' WHERE NAME = 'events_stages_current';"
)
INSTRUMENTS_ON = (
    "UPDATE performance_schema.setup_instruments SET ENABLED = 'YES', TIMED = 'YES' "
    "WHERE NAME LIKE 'stage/innodb/alter table%';"
)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one thread says of itself. `session` is 0 for a thread of the server, which is `what`."""

    session: int
    phase: str
    done: int
    total: int
    unit: str
    what: str = ""
    details: dict[str, str] = {}


def of_stage(row: Record) -> Report:
    """Work of InnoDB's ALTER TABLE is counted in pages through all its phases, that of a copy in rows."""
    named = _STAGE.match(row["event"])
    what, phase = (named["what"], named["phase"]) if named else (row["event"], None)
    return Report(
        session=int(row["session_id"] or 0),
        phase=phase or what,
        done=int(row["done"] or 0),
        total=int(row["total"]),
        unit=_UNITS.get(row["event"], "pages"),
        what=what,
    )


def of_clone(row: Record) -> Report:
    return Report(
        session=int(row["session_id"] or 0),
        phase=str(row["stage"]).lower(),
        done=int(row["done"] or 0),
        total=int(row["total"] or 0),
        unit="bytes",
        what="clone",
        details={"from": str(row["source"])},
    )


def of_threads(rows: Sequence[Record]) -> list[Report]:
    """InnoDB's percentage of tables changed in place belongs to nobody when there are two of them."""
    in_place = sum(bool(row["in_place"]) for row in rows)
    return [_of_thread(row) for row in rows if not row["in_place"] or in_place == 1]


def _of_thread(row: Record) -> Report:
    stage, stages = int(row["stage"]), int(row["stages"])
    percent = row["percent_in_place"] if row["in_place"] else row["percent"]
    of = f" (stage {stage} of {stages})" if stages > 1 else ""
    return Report(
        session=int(row["session_id"]),
        phase=f"{row['state'] or ''}{of}".strip(),
        done=round(float(percent or 0) * 1000),
        total=_PERCENT,
        unit="thousandths of a percent",
    )


def ambiguous(rows: Sequence[Record]) -> tuple[str, ...]:
    if sum(bool(row["in_place"]) for row in rows) < 2:
        return ()
    return (
        "several tables are changed in place: MariaDB has one percentage for all of them, so none is shown",
    )


def switched_off(state: Record) -> Iterator[str]:
    if not state["consumer"]:
        yield f"MySQL does not record how far statements are: {CONSUMER_ON}"
    if state["missing"]:
        yield f"stages of InnoDB's online DDL are not recorded: {INSTRUMENTS_ON}"


def command_of(query: str | None, database: str | None) -> tuple[str, str] | None:
    """(command, `schema.table`) of a statement that may take long; None for any other."""
    for command, pattern in _COMMANDS:
        found = pattern.match(query or "")
        if found:
            schema = _bare(found["schema"].rstrip().removesuffix(".")) if found["schema"] else database
            return command, ".".join(part for part in (schema, _bare(found["table"])) if part)
    return None


def _bare(name: str) -> str:
    name = name.strip()
    return name[1:-1].replace("``", "`") if name.startswith("`") else name


def to_undo(transactions: Iterable[Transaction], before: Mapping[int, int]) -> dict[int, int]:
    """The most rows each transaction was seen to have changed while it is rolled back, by its node."""
    return {
        one.node: max(before.get(one.node, 0), one.rows_modified) for one in transactions if one.rolling_back
    }


def work(seen: Seen, reports: Sequence[Report], undo: Mapping[int, int]) -> tuple[Progress, ...]:
    """Statements that take long or say how far they are, threads of the server, rollbacks."""
    by_session = {one.session: one for one in reports if one.session}
    sessions = by_id(seen.sessions)
    rolling = [one for one in seen.transactions if one.rolling_back]
    busy = {one.session for one in rolling}
    found = [_rollback(one, sessions.get(one.session), undo[one.node]) for one in rolling]
    for session in seen.sessions:
        named = command_of(session.query, session.database) if session.state is State.ACTIVE else None
        if (named or session.id in by_session) and session.id not in busy:
            found.append(_statement(session, named, by_session.get(session.id)))
    found += [_of_server(one) for one in reports if not one.session]
    return tuple(found)


def _statement(session: Session, named: tuple[str, str] | None, report: Report | None) -> Progress:
    command, subject = named or ((report.what if report else "").upper() or _first_word(session), "")
    return Progress(
        session=session.id,
        started_at=session.started_at,
        command=command,
        object=subject,
        database=session.database or "",
        phase=report.phase if report else session.wait or "",
        done=report.done if report else None,
        total=report.total if report else None,
        unit=report.unit if report else "",
        seconds=session.query_seconds,
        query=session.query,
        user=session.user,
        details=report.details if report else {},
    )


def _first_word(session: Session) -> str:
    return (session.query or "?").split(maxsplit=1)[0].upper()


def _of_server(report: Report) -> Progress:
    return Progress(
        session=0,
        command=report.what.upper(),
        phase=report.phase,
        done=report.done,
        total=report.total,
        unit=report.unit,
        automatic=True,
        details=report.details,
    )


def _rollback(one: Transaction, session: Session | None, total: int) -> Progress:
    """InnoDB counts the changes of a transaction down as it takes them back."""
    return Progress(
        session=one.session,
        started_at=session.started_at if session else None,
        command="ROLLBACK",
        object=f"transaction {one.id}",
        database=(session.database or "") if session else "",
        phase="taking changes back",
        done=total - one.rows_modified,
        total=total,
        unit="rows",
        automatic=session is None,
        seconds=session.query_seconds if session else None,
        query=session.query if session else None,
        user=session.user if session else None,
    )


def waiting(found: Sequence[Progress], blockers: Mapping[int, tuple[int, ...]]) -> tuple[Progress, ...]:
    """With the sessions they wait for. A blocker that nobody can see has no number, and is told in words."""
    return tuple(
        msgspec.structs.replace(
            one,
            waits_for=tuple(number for number in blockers.get(one.session, ()) if number > 0),
            details=one.details | _unknown(blockers.get(one.session, ())),
        )
        for one in found
    )


def _unknown(blockers: tuple[int, ...]) -> dict[str, str]:
    return {"waits for": "a blocker that cannot be seen"} if any(one <= 0 for one in blockers) else {}
