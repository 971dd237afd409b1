"""What cannot be seen of deadlocks on a server, and exactly what would change that. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from console.errors import PrivilegeMissing
from console.model.target import ServerIdentity, Target

_HEADINGS = (
    3  # log_error_verbosity that lets notes through; MySQL manual, "Priority-Based Error Log Filtering"
)


class Known(msgspec.Struct, kw_only=True):
    """What one look found out about its sources; `settings` is a row of deadlock_settings."""

    settings: Mapping[str, Any]
    identity: ServerIdentity
    target: Target
    missing: list[PrivilegeMissing] = []
    log_problem: OSError | None = None
    not_counting: bool = False
    elsewhere: int | None = None

    @property
    def printed(self) -> bool:
        return self.settings["print_all"] in ("1", "ON")

    @property
    def headings(self) -> bool:
        """Whether the log has the times and the victims."""
        verbosity = self.settings["verbosity"]
        return self.printed and (verbosity is None or int(verbosity) >= _HEADINGS)


def notes(known: Known, *, missed: int, untold: int) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            [*_missing(known), *_detection(known), *_sources(known, missed, untold), *_others(known)]
        )
    )


def _note(text: str, *, hint: str) -> str:
    """`hint` is for people to run: it is never sent."""
    return f"{text}; {hint}" if hint else text


def _missing(known: Known) -> Iterator[str]:
    for one in known.missing:
        yield _note(one.message, hint=one.hint)


def _detection(known: Known) -> Iterator[str]:
    if known.settings["detect"] in ("0", "OFF"):
        yield _note(
            "innodb_deadlock_detect is OFF: InnoDB looks for no deadlocks, such waits end by "
            "innodb_lock_wait_timeout",
            hint="SET GLOBAL innodb_deadlock_detect = ON;",
        )
    if known.not_counting:
        yield _note(
            "the counter lock_deadlocks is switched off: how many happened is not known",
            hint="SET GLOBAL innodb_monitor_enable = 'lock_deadlocks';",
        )
    report = str(known.settings["report"] or "full").lower()
    if report != "full":
        left = "nothing is told" if report == "off" else "held locks are not told"
        yield _note(
            f"innodb_deadlock_report is {report}: {left}", hint="SET GLOBAL innodb_deadlock_report = full;"
        )


def _sources(known: Known, missed: int, untold: int) -> Iterator[str]:
    lost = f" ({missed} happened since the counter began that nothing told of)" if missed else ""
    if not known.printed:
        yield _note(
            f"InnoDB keeps only the last deadlock, and those between two looks are lost{lost}",
            hint="SET GLOBAL innodb_print_all_deadlocks = ON; and `log:` of this target have them all",
        )
        return
    if known.target.log is None:
        more = f", of {untold} only the time is known" if untold else ""
        yield _note(
            f"the server writes all deadlocks to its error log, which is not read here{lost}{more}",
            hint=f"set `log:` of this target to that file ({_log_name(known.settings)})",
        )
    elif known.log_problem is not None:
        yield _note(
            f"the error log {known.target.log} was not read: {known.log_problem.strerror}{lost}",
            hint=f"let dbdeck's user read it, or correct `log:` ({_log_name(known.settings)})",
        )
    if not known.headings:
        yield _note(
            "log_error_verbosity is below 3: the log has neither the time nor the victim of a deadlock",
            hint="SET GLOBAL log_error_verbosity = 3;",
        )


def _log_name(settings: Mapping[str, Any]) -> str:
    name = str(settings["log_error"] or "")
    if name in ("", "stderr"):
        return "log_error is empty: it is where the server's standard error goes"
    return (
        f"log_error = {name}, relative to {settings['data_directory']}"
        if name[0] != "/"
        else f"log_error = {name}"
    )


def _others(known: Known) -> Iterator[str]:
    if known.elsewhere:
        yield (
            f"error 1213 was raised {known.elsewhere} times more often than InnoDB counts deadlocks: "
            "of metadata locks or by group replication; no source describes those"
        )
