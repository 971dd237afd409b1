"""Whether a setting is as it was wanted, and what may be said where nobody can tell."""

from __future__ import annotations

import msgspec

from actions import setting_restart as restart
from actions import setting_words as words
from actions.setting_statements import Place
from actions.setting_values import equal
from console.dispatch.action import Plan, Verdict
from console.model.settings import Setting


def place_of(plan: Plan) -> Place:
    return msgspec.convert(plan.subject["place"], Place)


def same(place: Place, setting: Setting, value: str | None) -> bool:
    """Whether there is nothing to do. MySQL and MariaDB do not tell their compiled defaults."""
    if restart.waits(place, setting):
        return not restart.hidden(place, setting, value) and restart.holds(setting, value)
    return (place.flavor == "postgresql" or value is not None) and holds(place, setting, value)


def holds(place: Place, setting: Setting, value: str | None) -> bool:
    """Whether it is as wanted; `value` None is no entry, or the compiled default, which is not known."""
    if restart.waits(place, setting):
        return restart.holds(setting, value)
    if place.flavor == "postgresql":
        effective = place.scope != "server" or value is None or equal(setting, setting.server_value, value)
        return equal(setting, setting.value, value) and effective
    kept = not place.persist or value is None or equal(setting, setting.value, value)
    return value is None or (equal(setting, setting.server_value, value) and kept)


def settled(plan: Plan, now: Setting, patience: float) -> bool:
    """As wanted, and what follows from it is to be seen too."""
    place, value = place_of(plan), plan.subject["value"]
    if not holds(place, now, value):
        return False
    if restart.waits(place, now):
        return restart.told(now, value)
    return not _may_be_untouched(plan, now, patience)


def verdict(plan: Plan, now: Setting, patience: float) -> Verdict:
    place, value = place_of(plan), plan.subject["value"]
    if now.storage is not None and now.storage.number != plan.observed["table"]:
        return _undecidable(f"{place.words} was made anew since; nobody can tell what the old one had")
    waits = restart.waits(place, now)
    if holds(place, now, value) and (waits or not _may_be_untouched(plan, now, patience)):
        said = f"{plan.title} is {words.entry(value)}"
        return Verdict(state="applied", summary=restart.summary(now, plan.title, value) if waits else said)
    if waits and now.at_start is not None and not now.at_start.seen:
        return _undecidable(f"{plan.title}: {'; '.join(now.notes)}; the server does not tell by itself")
    current = words.entry(words.current(place, now))
    return Verdict(state="not_applied", summary=f"{plan.title} is {current}{_pending(place, now)}")


def _undecidable(summary: str) -> Verdict:
    return Verdict(state="undecidable", summary=summary)


def _may_be_untouched(plan: Plan, setting: Setting, patience: float) -> bool:
    """A compiled default is not known: asked later (by reconcile), only a changed value proves a reset."""
    if place_of(plan).flavor == "postgresql" or plan.subject["value"] is not None or patience > 0:
        return False
    return bool(setting.server_value == plan.observed["server value"])


def _pending(place: Place, setting: Setting) -> str:
    if place.flavor == "postgresql" and place.scope == "server" and not setting.restart:
        return "; an entry that was written counts only after a reload"
    return ""
