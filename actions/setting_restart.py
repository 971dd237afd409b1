"""Settings that the server reads only when it starts: what can be proved of them, and what is said.

PostgreSQL: ALTER SYSTEM writes the entry, a reload makes the server say that it waits for a restart. Where
the login may not read the files, that is all there is: some ends could not be told from others, and are
refused before anything is sent. A sticky one: RESET of a setting that runs by its compiled default leaves
pending_restart true until the restart (ProcessConfigFileInternal in guc.c).
MySQL: SET PERSIST_ONLY writes the entry, performance_schema.persisted_variables shows it.
"""

from __future__ import annotations

from actions.setting_statements import Place
from actions.setting_values import equal
from console.model.settings import AtStart, Setting

_COUNTS = "it takes effect at the next restart"


def waits(place: Place, setting: Setting) -> bool:
    """Whether a change there counts only after a restart."""
    return setting.restart and place.scope == "server" and (place.flavor == "postgresql" or place.persist)


def _known(setting: Setting) -> AtStart:
    return setting.at_start or AtStart(pending=False, seen=False)


def holds(setting: Setting, value: str | None) -> bool:
    """Whether what is written is as wanted; `value` None is no entry. Only of what `hidden` lets through."""
    known = _known(setting)
    if known.seen:
        return equal(setting, setting.value, value)
    if value is not None:
        return known.pending != _runs(setting, value)
    # Without the entry that runs now, something else waits; or another file says the same.
    return known.pending if known.source == "entry" else not known.pending


def told(setting: Setting, value: str | None) -> bool:
    """Whether the server has noticed (PostgreSQL, with a reload) what is written now."""
    known = _known(setting)
    return value is None or known.pending != _runs(setting, value)


def hidden(place: Place, setting: Setting, value: str | None) -> bool:
    """Whether nobody could tell the change from what was there before."""
    known = _known(setting)
    if known.seen:
        return False
    if place.flavor != "postgresql":
        return True
    if value is not None:
        return known.pending and not _runs(setting, value)
    return not known.source or (known.pending and known.source != "file")


def _runs(setting: Setting, value: str) -> bool:
    return equal(setting, setting.server_value, value)


def refusals(place: Place, setting: Setting, value: str | None) -> list[str]:
    """Why it is not written, for the next start of this server."""
    if place.flavor == "mariadb":
        line = f"{setting.name} = {value}" if value is not None else setting.name
        verb = "write" if value is not None else "take out"
        return [
            f"{setting.name} is read when the server starts, and MariaDB has no SET PERSIST: "
            f"{verb} `{line}` under [mariadb] in its my.cnf, and restart it"
        ]
    if not waits(place, setting):
        return [f"{setting.name} is read when the server starts: persist=true writes it for the next start"]
    if hidden(place, setting, value):
        return [f"nobody could tell whether the change was made: {'; '.join(setting.notes)}"]
    return []


def forecast(place: Place, setting: Setting, value: str | None) -> tuple[str, ...]:
    known, unit = _known(setting), f" ({setting.unit})" if setting.unit else ""
    lines = [f"running now: {setting.server_value}{unit}; that stays until the server is restarted"]
    if known.pending:
        lines.append(f"restart pending: {_waiting(setting)}")
    lines.append(f"after the restart: {_after(place, value)}")
    return tuple(lines)


def _waiting(setting: Setting) -> str:
    known = _known(setting)
    return f"the next start would take {known.next}" if known.seen else "another value waits, which is hidden"


def _after(place: Place, value: str | None) -> str:
    if value is not None:
        return value
    files = "other configuration files say" if place.flavor == "postgresql" else "option files say"
    return f"what the {files}, or the compiled default"


def warnings(setting: Setting) -> tuple[str, ...]:
    found = ("it counts only after a restart of the server, which dbdeck does not do",)
    if setting.kind == "bool":
        return found
    return (*found, "a value with which the server cannot start is noticed only then: undo it before")


def note(setting: Setting) -> tuple[str, ...]:
    """For a plan that has nothing to do."""
    return (f"restart pending: {_waiting(setting)}",) if _known(setting).pending else ()


def before(setting: Setting) -> tuple[bool, str | None]:
    """(whether it is known what to go back to, that value or None for no entry).

    Where the files are hidden, a setting that ran by its entry or its default goes back to an entry with the
    running value: of that the server tells that nothing waits any more.
    """
    known = _known(setting)
    if known.seen:
        return True, setting.value
    if known.pending:
        return False, None
    return True, None if known.source == "file" else setting.server_value


def summary(setting: Setting, title: str, value: str | None) -> str:
    what = f"{title}: its entry is taken away" if value is None else f"{title}: {value!r} is written"
    if value is not None and not _known(setting).pending and _runs(setting, value):
        return f"{what}; the server runs with it already"
    return f"{what}; {_COUNTS}"
