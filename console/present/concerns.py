"""What is wrong with a target, in sentences; the worst of them is its line's reason in the Overview."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import msgspec

from console.model.cluster import GALERA
from console.model.overview import Concern, Standing, Trouble
from console.model.reading import Problem
from console.present.slot_concerns import slot_concerns
from console.present.units import age, count, counted

LAG_NOTICE, LAG_WARN, LAG_BAD = 10.0, 30.0, 300.0  # seconds
WAIT_WARN, WAIT_BAD = 5.0, 60.0  # seconds
DISK_WARN, DISK_BAD = 0.85, 0.95  # shares that are used
LEFT_WARN, LEFT_BAD = 0.15, 0.05  # shares of the connections
DAY: Final = 86_400.0


def concerns(standing: Standing, storm: int, unread: float) -> tuple[Concern, ...]:
    """All that is wrong, the worst first; so many as `storm` who wait are one. `unread` are GB of WAL that a
    slot without a reader may keep.
    """
    found = [
        *_reach(standing),
        *_commits(standing, storm),
        *_waits(standing, storm),
        *_connections(standing),
        *_cluster(standing),
        *_lag(standing),
        *_role(standing),
        *_numbers(standing),
        *slot_concerns(standing.outlook.slots or (), unread),
        *_outlook(standing),
    ]
    return tuple(sorted(found, key=lambda one: -one.trouble))


def _reach(standing: Standing) -> Iterator[Concern]:
    problem = standing.problem
    if problem is not None and problem.kind in _NOT_ASKED:
        yield Concern(trouble=Trouble.UNKNOWN, text=f"{problem.message} {problem.hint}".strip())
    elif problem is not None:
        yield Concern(trouble=Trouble.BAD, text=_unreached(standing, problem))
    elif standing.silent:
        yield Concern(trouble=Trouble.BAD, text=f"no answer for {age(coarse(standing.silent))}")
    elif standing.pulse is None:
        yield Concern(trouble=Trouble.UNKNOWN, text="not reached yet")
    elif standing.pulse.unknown:
        yield Concern(trouble=Trouble.UNKNOWN, text=f"not all is known: {standing.pulse.unknown[0]}")


# Without the password, or a right, nobody knows how the server does.
_NOT_ASKED: Final = ("privilege", "vault_locked", "secrets", "wrong_master", "config")


def _unreached(standing: Standing, problem: Problem) -> str:
    """Why first, since a narrow line has room for no more, and without the name that stands before it. Who
    refuses a login has answered.
    """
    said = problem.message
    for named in (f"{standing.name} ({standing.address}) ", f"{standing.name} ({standing.address}): "):
        said = said.removeprefix(named)
    said = said.removeprefix(f"{standing.name}: ").removeprefix(f"{standing.address} ")
    lasting = age(coarse(standing.silent))
    return f"no answer for {lasting}: {said}" if problem.kind == "silent" else f"{said}, for {lasting}"


def coarse(seconds: float) -> float:
    """A time that goes on, in steps of ten seconds: it is drawn again that rarely."""
    return seconds if seconds < 10 else seconds // 10 * 10


def _waits(standing: Standing, storm: int) -> Iterator[Concern]:
    pulse = standing.pulse
    if pulse is None or not pulse.waiting:
        return
    queue, many = pulse.queue, pulse.waiting
    behind = f" behind session {queue.root}" if queue and queue.root.isdigit() else ""
    if queue and queue.root and not behind:
        behind = f" behind prepared transaction {queue.root}"
    if queue and behind and queue.behind < many:
        behind = f", {queue.behind} {behind.lstrip()}"
    seconds = queue.seconds if queue else None
    lasting = f" for {age(seconds)}" if seconds is not None else ""
    bad = many >= storm or (seconds or 0.0) >= WAIT_BAD
    warn = (seconds or 0.0) >= WAIT_WARN or many > 1
    trouble = Trouble.BAD if bad else Trouble.WARN if warn else Trouble.NOTICE
    yield Concern(trouble=trouble, text=f"{many} wait{'s' if many == 1 else ''}{behind}{lasting}")


def _commits(standing: Standing, storm: int) -> Iterator[Concern]:
    """Those that wait for a synchronous standby hold their locks, and do so for ever where too few stream.
    How many there are stands first: a narrow line has room for little more.
    """
    found = standing.pulse and standing.pulse.commits
    if not found:
        return
    many = counted(found.waiting, "commit")
    if found.there < found.wanted:
        named = f"{counted(found.wanted, 'synchronous standby')} stream{'s' if found.wanted == 1 else ''}"
        there = f"{found.there} of {named} ({found.standbys})"
        hang = f"{many} hang{'s' if found.waiting == 1 else ''}" if found.waiting else "commits will hang"
        yield Concern(trouble=Trouble.BAD if found.waiting else Trouble.WARN, text=f"{hang}: {there}")
    elif found.waiting and (found.seconds or 0.0) >= WAIT_WARN:
        bad = found.waiting >= storm or (found.seconds or 0.0) >= WAIT_BAD
        lasting = f"wait{'s' if found.waiting == 1 else ''} up to {age(found.seconds)}"
        text = f"{many} {lasting} for a synchronous standby"
        yield Concern(trouble=Trouble.BAD if bad else Trouble.WARN, text=text)


def _role(standing: Standing) -> Iterator[Concern]:
    """After a failover the config may be of before, or the old primary be back beside the new one. A narrow
    line has room for no more than what stands before the bracket.
    """
    if standing.source and standing.pulse is not None and standing.pulse.follows is False:
        text = f"no replica, against the config (replica_of: {standing.source}); see doctor"
        yield Concern(trouble=Trouble.WARN, text=text)


def _cluster(standing: Standing) -> Iterator[Concern]:
    found = standing.pulse and standing.pulse.cluster
    if not found:
        return
    if not found.joined:
        effect = "statements are refused" if found.kind == GALERA else "it is left behind"
        yield Concern(trouble=Trouble.BAD, text=f"no part of its {found.kind} now, {effect}: {found.state}")
    elif found.refusing:
        text = f"{found.kind} refuses statements here: wsrep_reject_queries = {found.refusing}"
        yield Concern(trouble=Trouble.BAD, text=text)
    elif found.apart:
        text = f"{found.kind}: wsrep_on is OFF, what is written here reaches no other node"
        yield Concern(trouble=Trouble.BAD, text=text)
    elif not found.majority:
        text = (
            f"{found.kind}: no majority is reachable, commits hang: {found.there} of {found.members} online"
        )
        yield Concern(trouble=Trouble.BAD, text=text)
    elif not found.settled:
        yield Concern(trouble=Trouble.WARN, text=f"{found.kind}: {found.state}")
    elif found.members is not None and found.there is not None and found.there < found.members:
        text = f"{found.kind}: {found.there} of {found.members} members are online"
        yield Concern(trouble=Trouble.WARN, text=text)


def _connections(standing: Standing) -> Iterator[Concern]:
    left, pulse = standing.left, standing.pulse
    if left is None or pulse is None or not pulse.most:
        return
    share = left / pulse.most
    if share < LEFT_WARN:
        trouble = Trouble.BAD if share < LEFT_BAD else Trouble.WARN
        yield Concern(trouble=trouble, text=f"{left} of {pulse.most} connections left")


def _lag(standing: Standing) -> Iterator[Concern]:
    pulse = standing.pulse
    if (
        pulse is not None and pulse.halted
    ):  # it falls behind by every second, and nothing will make it catch up
        yield Concern(trouble=Trouble.BAD, text=pulse.halted)
    if pulse is None or pulse.lag_seconds is None or pulse.lag_seconds < LAG_NOTICE:
        return
    seconds = pulse.lag_seconds
    trouble = Trouble.BAD if seconds >= LAG_BAD else Trouble.WARN if seconds >= LAG_WARN else Trouble.NOTICE
    own = pulse.replica.startswith("this")
    # A standby knows when the last commit that it replayed was made, not when the next one was.
    who = f"{pulse.replica} up to" if own else f"replica {pulse.replica}".strip()
    yield Concern(trouble=trouble, text=f"{who} {age(coarse(seconds))} behind")


def _numbers(
    standing: Standing,
) -> Iterator[Concern]:
    """Only once vacuum is behind: before, numbers come back faster than they go."""
    for one in standing.outlook.numbers:
        rate = standing.rates.xid if one.kind == "xid" else None
        known = msgspec.structs.replace(one, rate=rate)
        left, seconds = one.limits.stop - one.age, known.seconds_to(one.limits.stop)
        late = one.age > 1.5 * one.limits.freeze
        soon = late and seconds is not None and seconds < 14 * DAY
        name = "XIDs" if one.kind == "xid" else "MXIDs"
        if one.age >= one.limits.warn or (soon and seconds is not None and seconds < 3 * DAY):
            trouble = Trouble.BAD
        elif soon or (one.limits.failsafe is not None and one.age >= one.limits.failsafe):
            trouble = Trouble.WARN
        else:
            continue
        said = f"{_days(seconds)} left" if soon and seconds is not None else f"{count(left)} left"
        said = said if left > 0 else "none left, the server refuses what needs one"
        where = f" (database {one.database})" if one.database else ""
        yield Concern(trouble=trouble, text=f"{name}: {said}{where}")


def _days(seconds: float) -> str:
    days, hours = math.floor(seconds / DAY), math.floor(seconds / 3600)
    if days:
        return f"{days} day{'' if days == 1 else 's'}"
    return f"{hours} hour{'' if hours == 1 else 's'}" if hours else "less than an hour"


def _outlook(standing: Standing) -> Iterator[Concern]:
    outlook = standing.outlook
    used = outlook.disk_used
    if used is not None and used >= DISK_WARN:
        trouble = Trouble.BAD if used >= DISK_BAD else Trouble.WARN
        yield Concern(trouble=trouble, text=f"the disk of {outlook.disk or 'the data'} is {used:.0%} full")
    if outlook.overdue:
        more = f" and {len(outlook.overdue) - 1} more" if len(outlook.overdue) > 1 else ""
        yield Concern(trouble=Trouble.WARN, text=f"drill overdue: {outlook.overdue[0]}{more}")
