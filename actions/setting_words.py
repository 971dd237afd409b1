"""What a change of a setting means, in the words of its plan, and the command that takes it back."""

from __future__ import annotations

import shlex

from actions import setting_restart as restart
from actions import setting_storage as storage
from actions.setting_rules import care, refused
from actions.setting_statements import Place
from console.engine.port import Need
from console.model.settings import Setting


def current(place: Place, setting: Setting) -> str | None:
    """The entry of exactly that scope; MySQL and MariaDB have always a global value."""
    written = place.flavor == "postgresql" or restart.waits(place, setting)
    return setting.value if written else setting.server_value


def refusals(place: Place, setting: Setting, value: str | None = None) -> tuple[str, ...]:
    why = refused(setting.name)
    found = [f"{setting.name} is not set by dbdeck: {why}"] if why else []
    if setting.restart:
        found += restart.refusals(place, setting, value)
    if place.flavor == "postgresql" and place.scope == "server":
        found += _unprovable(setting)
    return tuple(found)


def _unprovable(setting: Setting) -> list[str]:
    """Why a change of the configuration would reach no session, or none that could be looked at."""
    if setting.covered:
        return [f"{setting.covered} has {setting.name}, and covers what ALTER SYSTEM sets: change that first"]
    if not setting.server_known:
        return [f"{'; '.join(setting.notes)}: nobody could tell whether the change took effect"]
    return []


def forecast(place: Place, setting: Setting, value: str | None, *, same: bool) -> tuple[str, ...]:
    if same:
        waiting = restart.note(setting) if restart.waits(place, setting) else ()
        return (f"nothing to do: it is {entry(value)} there already", *waiting)
    if setting.storage is not None:
        return storage.forecast(setting, setting.storage, value)
    if restart.waits(place, setting):
        return restart.forecast(place, setting, value)
    unit = f" ({setting.unit})" if setting.unit else ""
    otherwise = setting.server_value if setting.server_known else "not known"
    lines = [f"now {entry(current(place, setting))} there, otherwise {otherwise}{unit}"]
    lines.append(f"new sessions get {_after(place, setting, value)}{_but(setting, value)}")
    if place.flavor == "postgresql" and place.scope != "server":
        lines.append("existing sessions keep theirs until they connect again")
    elif place.flavor == "postgresql":
        lines.append("existing sessions get it too, unless a role, a database or they themselves set it")
    else:
        lines.append(
            "where it is a session's variable, existing sessions keep theirs until they connect again"
        )
    return tuple(lines)


def _but(setting: Setting, value: str | None) -> str:
    """Where they get something else: a narrower entry wins; without this one a wider one may too."""
    found = [one for one in setting.others if one.wins or value is None]
    if not found:
        return ""
    more = f"; and {setting.more} more" if setting.more else ""
    listed = "; ".join(f"{one.where} has {one.value}" for one in found)
    return f", except where another entry wins: {listed}{more}"


def _after(place: Place, setting: Setting, value: str | None) -> str:
    if value is not None:
        return value or "''"
    if place.flavor != "postgresql":
        return "the server's compiled default"
    return "what the configuration says" if place.scope == "server" else setting.server_value or "not known"


def warnings(place: Place, setting: Setting, value: str | None) -> tuple[str, ...]:
    found = [f"{setting.name}: {why}"] if (why := care(setting.name, place.flavor)) else []
    if setting.storage is not None:
        found += storage.warnings(setting, setting.storage, value)
    if restart.waits(place, setting):
        found += restart.warnings(setting)
    if place.flavor != "postgresql" and not place.persist:
        found.append("a restart forgets it: it is written to no file")
    if place.flavor == "postgresql" and place.scope == "server":
        found.append(
            "pg_reload_conf() makes all edits of the configuration files since the last reload count"
        )
    return (*found, *setting.notes)


def undo(target: str, place: Place, setting: Setting, *, same: bool) -> str:
    """The command that restores the entry there was."""
    if same:
        return "nothing to undo"
    known, before = True, current(place, setting)
    if restart.waits(place, setting):
        known, before = restart.before(setting)
    if not known:
        return "nothing undoes it: what waits for a restart now cannot be seen"
    parts = ["setting.reset" if before is None else "setting.set", "-t", target, f"name={setting.name}"]
    parts += [] if before is None else [f"value={before}"]
    parts += [f"role={place.role}"] if place.role else []
    parts += [f"database={place.database}"] if place.database else []
    parts += [f"table={place.table}"] if place.table else []
    parts += ["scope=server"] if place.flavor == "postgresql" and place.scope == "server" else []
    parts += ["persist=true"] if place.persist else []
    return f"dbdeck apply {shlex.join(parts)}"


def entry(value: str | None) -> str:
    return "not set" if value is None else repr(value)


def need(place: Place, name: str, *, at_start: bool) -> Need:
    """The right that changing it takes. Which of MariaDB's fits a variable is the server's to say."""
    if place.flavor == "postgresql":
        return Need(schema="", name="", setting=name, role=place.role, database=place.database)
    if place.flavor == "mariadb":
        return Need(schema="*", name="*", privileges=("SUPER",), enough=_ADMINS)
    more = ("PERSIST_RO_VARIABLES_ADMIN",) if at_start else ()
    return Need(schema="*", name="*", privileges=("SYSTEM_VARIABLES_ADMIN", *more), enough=("SUPER",))


# MariaDB manual, "GRANT", the privileges that let set variables of the whole server.
_ADMINS = (
    "SUPER", "BINLOG ADMIN", "BINLOG MONITOR", "BINLOG REPLAY", "CONNECTION ADMIN", "FEDERATED ADMIN",
    "READ_ONLY ADMIN", "READ ONLY ADMIN", "REPLICATION MASTER ADMIN", "REPLICATION SLAVE ADMIN",
    "REPLICA MONITOR", "SLAVE MONITOR", "SET USER",
)  # fmt: skip
