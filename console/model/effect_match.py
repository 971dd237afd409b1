"""Differences and lines of a log, beside what the ledger says was done: who declared what. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from console.model.accounts import label
from console.model.effect_changes import blind_spots, changes, unquoted
from console.model.effect_claims import Claim, claims, ends_sessions, fits, split, tokens, verb_of
from console.model.effects import (
    CANCELLED,
    ENDED,
    NOT_REPLICATED,
    Change,
    Comparison,
    Deed,
    Finding,
    How,
    Logged,
    Look,
    Seen,
    Standing,
    plain,
)

# A session ends when it notices that it shall; what waits for a lock or sleeps does at once.
EARLY, LATE = timedelta(seconds=10), timedelta(seconds=90)
STOPPING = timedelta(seconds=120)  # sessions end so long after a server was told to stop
SAME_START = timedelta(seconds=1)  # MySQL tells its start in whole seconds of its uptime
OWN = "dbdeck"
_NOTHING_LEFT = ("failed", "not_applied")
_NUMBER = re.compile(r"-?\d+")
_SWITCH = {"on": "on", "1": "on", "true": "on", "off": "off", "0": "off", "false": "off"}


class Span(NamedTuple):
    """Between two looks; `skew` is what the ledger's clock is ahead of the server's."""

    since: datetime
    until: datetime
    skew: timedelta = timedelta()


def compare(
    target: str, before: Look | None, seen: Seen, deeds: Sequence[Deed], skew: timedelta = timedelta()
) -> Comparison:
    """Everything that is new since `before`, each once: declared, undeclared, or not to be told."""
    now = seen.look
    if before is None:
        first = "this is the first look at this server: what was done before it is not known"
        return Comparison(
            target=target, since=None, until=now.taken_at, notes=(first, *seen.notes), unseen=now.unseen
        )
    span = Span(before.taken_at, now.taken_at, skew)
    restarted = abs(now.started_at - before.started_at) > SAME_START
    differ = changes(before, now)
    found = [_of_change(one, seen, deeds, span, restarted=restarted) for one in differ]
    lines = _effective(seen.lines, now.started_at if restarted else None)
    of_lines = [(one, _of_line(one, deeds, span)) for one in lines]
    unknown = [line for line, one in of_lines if one.standing is Standing.UNDECLARED and line.statement]
    found, told = _with_statements(found, {(one.kind, one.name): claims(one) for one in differ}, unknown)
    found += [one for line, one in of_lines if line not in told]
    if restarted:
        found.append(_start(target, now, span))
    notes = (*blind_spots(before, now), *seen.notes)
    return Comparison(
        target=target, since=span.since, until=span.until, findings=tuple(sorted(found, key=_order)),
        notes=notes, unseen=now.unseen,
    )  # fmt: skip


_RANKS = {Standing.UNDECLARED: 0, Standing.UNCLEAR: 1, Standing.DECLARED: 2}


def _order(one: Finding) -> tuple[int, datetime, str, str]:
    return _RANKS[one.standing], one.at or one.until, one.kind, one.name


def _start(target: str, now: Look, span: Span) -> Finding:
    return Finding(
        standing=Standing.UNCLEAR, kind="server", name=target, how=How.STARTED, since=span.since,
        until=span.until, at=now.started_at,
        why="no action of dbdeck starts a server; who or what did, the server does not tell",
    )  # fmt: skip


# ---- differences ----------------------------------------------------------------------------------------


def _of_change(change: Change, seen: Seen, deeds: Sequence[Deed], span: Span, *, restarted: bool) -> Finding:
    who, at = seen.by.get((change.kind, change.name), ("", None))
    bare = Finding(
        standing=Standing.UNDECLARED, kind=change.kind, name=change.name, how=change.how, since=span.since,
        until=span.until, at=at if at is not None and span.since < at else None, before=plain(change.before),
        after=plain(change.after), who=who if at is None or span.since < at else "",
        with_it=change.with_it,
    )  # fmt: skip
    wanted = claims(change)
    replicated = seen.look.replica and change.kind not in NOT_REPLICATED
    near = [one for one in deeds if not one.past and (one.here or replicated)]
    able = [one for one in near if any(fits(text, wanted) for text in one.statements)]
    done = [one for one in able if one.status not in _NOTHING_LEFT]
    if done:
        return _declared(bare, done, change, seen.look)
    if restarted and change.kind == "server setting" and change.name in seen.from_start:
        why = "its value is the one that the server's start gave it"
        return msgspec.structs.replace(bare, standing=Standing.UNCLEAR, why=why)
    if able:
        why = f"only {able[-1].action} names it, which ended as {able[-1].status}"
        return msgspec.structs.replace(_by(bare, able), standing=Standing.UNCLEAR, why=why)
    if change.kind == "prepared transaction":
        did = "prepared" if change.how is How.MADE else "ended"
        why = f"its application or coordinator may have {did} it: the server does not tell"
        return msgspec.structs.replace(bare, standing=Standing.UNCLEAR, why=why)
    return bare


def _declared(bare: Finding, done: Sequence[Deed], change: Change, look: Look) -> Finding:
    """By the last that names it: what is there now is what that one left, or else it is not."""
    last = max(done, key=lambda one: one.at)
    other = _contradicted(change, last, look)
    if other:
        return msgspec.structs.replace(bare, why=other)
    return _by(bare, done)


def _by(bare: Finding, deeds: Sequence[Deed]) -> Finding:
    last = max(deeds, key=lambda one: one.at)
    return msgspec.structs.replace(
        bare, standing=Standing.DECLARED, action_id=last.id, action=last.action, open=last.open,
        others=len(deeds) - 1, who=last.operator or bare.who,
        why="" if last.here else "on another server, which replicates to this one",
    )  # fmt: skip


def _contradicted(change: Change, deed: Deed, look: Look) -> str:
    """Why what is there now is not what the action left; empty where it is, or nobody can tell."""
    if change.kind == "password" and change.after and deed.key == look.key:
        left = deed.fingerprints.get(_labelled(change.name))
        if left and left not in change.after[1:].split(","):
            return f"{deed.action} ({deed.id}) set another password than the one that is there"
    if change.kind in ("server setting", "persisted setting") and deed.value is not None:
        now = plain(change.after)
        if _other_value(deed.value, now):
            return f"{deed.action} ({deed.id}) set it to {deed.value}, and it is {now}"
    return ""


def _labelled(name: str) -> str:
    user, sign, host = name.rpartition("@")
    return label(user, host) if sign and user else unquoted(name)


def _other_value(said: str, now: str) -> bool:
    """Only what is written in one way is compared: whole numbers without a unit, and switches."""
    said, now = said.strip().casefold(), now.strip().casefold()
    if said in _SWITCH and now in ("on", "off"):
        return _SWITCH[said] != now
    return bool(_NUMBER.fullmatch(said) and _NUMBER.fullmatch(now)) and int(said) != int(now)


# ---- lines of the log -----------------------------------------------------------------------------------


def _effective(lines: Sequence[Logged], started_at: datetime | None) -> list[Logged]:
    """Those that tell of somebody's doing: not of a server that stops, nor of our own reads."""
    stops = [one.at for one in lines if one.shutdown and one.at is not None]
    if started_at is not None:
        stops.append(started_at - STOPPING)

    def stopping(at: datetime | None) -> bool:
        return at is not None and any(timedelta() <= at - stop <= STOPPING for stop in stops)

    return [
        one
        for one in lines
        if not one.shutdown
        and not (one.what == ENDED and stopping(one.at))
        and not (one.what == CANCELLED and (one.reason or one.application.startswith(OWN)))
    ]


def _of_line(line: Logged, deeds: Sequence[Deed], span: Span) -> Finding:
    bare = _bare(line, span)
    able = [one for one in deeds if one.here and _in_time(line, one, span) and _did(one, line)]
    if able:
        nearest = sorted(able, key=lambda one: _distance(line, one, span))
        near = _by(bare, nearest[:1])
        why = "" if line.session is not None else "by the time alone: the log does not tell the session"
        return msgspec.structs.replace(near, others=len(able) - 1, why=why)
    if line.what == CANCELLED:
        why = "its own client may have asked for it: the log does not tell who did"
        return msgspec.structs.replace(bare, standing=Standing.UNCLEAR, why=why)
    return bare


def _bare(line: Logged, span: Span) -> Finding:
    if line.what in (ENDED, CANCELLED):
        who = [f"user {line.user}" if line.user else "", f"application {line.application}"]
        told = ", ".join(one for one in who if one and not one.endswith(" "))
        name = f"{line.session if line.session is not None else 'unknown'}{f' ({told})' if told else ''}"
        how, kind = (How.ENDED, "session") if line.what == ENDED else (How.CANCELLED, "statement of session")
        by = line.by
    else:
        name, kind, how = f"{line.command} {line.object}".strip(), "statement", How.RAN
        by = _person(line)
    return Finding(
        standing=Standing.UNDECLARED, kind=kind, name=name, how=how, since=span.since, until=span.until,
        at=line.at, who=by,
    )  # fmt: skip


def _person(line: Logged) -> str:
    session = f"session {line.session}" if line.session is not None else ""
    application = f"application {line.application}" if line.application else ""
    told = (line.user, application, f"from {line.client}" if line.client else "", session)
    return ", ".join(one for one in told if one)


def _in_time(line: Logged, deed: Deed, span: Span) -> bool:
    if line.at is None:
        return True
    begun, ended = deed.at - span.skew, (deed.ended_at or span.until + span.skew) - span.skew
    return begun - EARLY <= line.at <= ended + LATE


def _distance(line: Logged, deed: Deed, span: Span) -> timedelta:
    return abs(line.at - (deed.at - span.skew)) if line.at is not None else timedelta()


def _did(deed: Deed, line: Logged) -> bool:
    if line.what in (ENDED, CANCELLED):
        ended = [ends_sessions(text) for text in deed.statements]
        return any(
            whom is not None and (not whom or line.session is None or line.session in whom) for whom in ended
        )
    return any(_same(part, line) for text in deed.statements for part in split(text))


_LITERAL = re.compile(r"'(?:[^'\\]|''|\\.)*'|<[^>]*>")


def _same(said: str, line: Logged) -> bool:
    """The statement itself but for literals, which may be left out on either side; or one of its kind that
    names the same object.
    """
    if line.statement and _blank(said) == _blank(line.statement):
        return True
    words = line.command.casefold().split()
    if not words or verb_of(said).split()[: len(words)] != words:
        return False
    last = line.object.rpartition(".")[2].strip('"').casefold()
    if last:
        return last in tokens(said)
    return bool(line.statement) and tokens(_LITERAL.sub(" ", line.statement)) <= tokens(said)


def _blank(text: str) -> str:
    return " ".join(_LITERAL.sub("?", text.partition(" -- ")[0]).casefold().split()).rstrip("; ")


def _with_statements(
    found: Sequence[Finding], wanted: Mapping[tuple[str, str], Sequence[Claim]], lines: Sequence[Logged]
) -> tuple[list[Finding], set[Logged]]:
    """What the log tells of a difference that nobody declared: who did it, and when. Such a line is told."""
    told: set[Logged] = set()
    made = []
    for one in found:
        mine = [line for line in lines if fits(line.statement, wanted[one.kind, one.name])]
        if one.standing is Standing.UNDECLARED and mine:
            told |= set(mine)
            made.append(msgspec.structs.replace(one, who=_person(mine[-1]), at=mine[-1].at))
        else:
            made.append(one)
    return made, told
