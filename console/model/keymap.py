"""The bindings by their ids, and what a config may not make of them; a guard compares them with the TUI's."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Final

DEFAULTS: Final[Mapping[str, str]] = {
    "account-check.close": "escape,q",
    "accounts.check": "c",
    "accounts.lock": "l",
    "accounts.retire": "x",
    "accounts.rotate": "n",
    "action.stop": "ctrl+x",
    "app.end-glass": "ctrl+g",
    "app.help": "question_mark,f1",
    "app.interrupt": "ctrl+c",
    "app.quit": "q",
    "app.repaint": "ctrl+l",
    "app.suspend": "ctrl+z",
    "app.targets": "o",
    "arguments.leave": "escape",
    "backups.drill": "d",
    "backups.overdue": "o",
    "backups.take": "t",
    "choose-runbook.leave": "escape,q",
    "choose.close": "escape,q",
    "confirm.close": "q",
    "confirm.down": "pagedown",
    "confirm.go": "ctrl+s",
    "confirm.leave": "escape",
    "confirm.up": "pageup",
    "details.down": "J",
    "details.up": "K",
    "drain.idle": "i",
    "drain.lock": "l",
    "drain.retire": "x",
    "drain.rotate": "n",
    "drain.terminate": "t",
    "drain.unlock": "u",
    "drills.drill": "d",
    "drills.overdue": "o",
    "drills.report": "v",
    "evidence.close": "escape,q",
    "evidence.next": "right_square_bracket",
    "evidence.previous": "left_square_bracket",
    "form.go": "ctrl+s",
    "form.leave": "escape",
    "glass.ask": "b",
    "glass.go": "ctrl+s",
    "glass.look": "escape,q,r",
    "glass.wait": "w",
    "grid.down": "down,j",
    "grid.first": "home,g",
    "grid.last": "end,G",
    "grid.left": "left",
    "grid.page-down": "pagedown,ctrl+f",
    "grid.page-up": "pageup,ctrl+b",
    "grid.right": "right",
    "grid.select": "enter",
    "grid.up": "up,k",
    "horizon.end": "x",
    "horizon.go": "f",
    "indexes.drop": "d",
    "indexes.measure": "m",
    "indexes.mend": "x",
    "indexes.reindex": "i",
    "locks.break": "b",
    "locks.cancel": "c,C",
    "locks.terminate": "t",
    "measure.close": "escape,q",
    "measure.go": "enter",
    "pane.accounts": "4",
    "pane.audit": "9",
    "pane.backups": "5",
    "pane.locks": "1",
    "pane.overview": "0",
    "pane.runbooks": "6",
    "pane.tables": "3",
    "pane.transactions": "2",
    "progress.cancel": "c,C",
    "progress.go": "f",
    "run-plan.leave": "escape,q",
    "run-plan.start": "s,ctrl+s",
    "run.choose-1": "1",
    "run.choose-2": "2",
    "run.choose-3": "3",
    "run.choose-4": "4",
    "run.choose-5": "5",
    "run.choose-6": "6",
    "run.choose-7": "7",
    "run.choose-8": "8",
    "run.choose-9": "9",
    "run.evidence": "v",
    "run.export": "e",
    "run.follow": "f",
    "run.go-on": "r",
    "run.hand-over": "h",
    "run.leave": "escape,q",
    "run.log": "t",
    "run.note": "n",
    "run.other": "tab",
    "run.read-on": "J",
    "run.read-up": "K",
    "run.stop": "ctrl+x",
    "runbooks.look": "l",
    "runbooks.start": "s",
    "runbooks.suggested": "R",
    "tables.analyze": "a",
    "tables.fold": "space",
    "tables.heal": "h",
    "tables.measure": "m",
    "tables.order": "s",
    "tables.reindex": "x",
    "tables.rewrite": "w",
    "tables.tune": "l",
    "tables.vacuum": "v",
    "text.close": "escape,enter,q",
    "transactions.cancel": "c,C",
    "transactions.idle": "i",
    "transactions.limit": "l",
    "transactions.resolve": "x",
    "transactions.terminate": "t",
    "trends.drill": "d",
    "trends.overdue": "o",
    "unlock.leave": "escape",
    "view.copy": "y",
    "view.export": "e",
    "view.filter": "slash",
    "view.next": "right_square_bracket",
    "view.pause": "p",
    "view.previous": "left_square_bracket",
    "view.refresh": "r",
    "view.sort": "s",
    "view.unfilter": "escape",
}
# Taken by the toolkit itself, and on no list of ours.
FIXED: Final = {"ctrl+p": "the command palette", "ctrl+q": "quitting"}
_EVERYWHERE: Final = ("app", "pane", "view", "grid", "details", "action")
_OF_THE_MAIN_SCREEN: Final = (
    "locks", "transactions", "horizon", "tables", "indexes", "progress", "accounts", "drain", "backups",
    "drills", "trends", "runbooks",
)  # fmt: skip


def keys_of(text: str) -> tuple[str, ...]:
    """The keys of a binding, by one name each."""
    return tuple(_SAME.get(key.strip(), key.strip()) for key in text.split(","))


def spoken(given: Mapping[str, str], name: str) -> str:
    """The first key of a binding as a sentence names it. Raises KeyError for an id that is none."""
    key = keys_of(given.get(name) or DEFAULTS[name])[0]
    start, _, end = key.rpartition("+")
    shown = _SPOKEN.get(end, end)
    return f"^{shown}" if start == "ctrl" else f"{start}+{shown}" if start else shown


_SPOKEN: Final = {
    "escape": "Esc", "enter": "Enter", "space": "Space", "tab": "Tab", "pageup": "PgUp", "pagedown": "PgDn",
    "up": "↑", "down": "↓", "left": "←", "right": "→", "question_mark": "?", "slash": "/",
    "right_square_bracket": "]", "left_square_bracket": "[",
}  # fmt: skip
_SAME: Final = {"?": "question_mark", "/": "slash", "]": "right_square_bracket", "[": "left_square_bracket"}


def faults(keymap: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """(id, what is wrong, hint) of a config's `keys`: ids that are none, and keys that two bindings would
    share which are there at the same time, and do not share one by default.
    """
    for name, text in keymap.items():
        if name not in DEFAULTS:
            near = difflib.get_close_matches(name, DEFAULTS, n=1)
            yield name, f"there is no binding {name!r}", f"did you mean {near[0]}?" if near else _ALL
        elif not all(keys_of(text)):
            yield name, "a key is missing", "several keys are separated by commas"
        elif taken := next((key for key in keys_of(text) if key in FIXED), None):
            yield name, f"{taken} is the key of {FIXED[taken]}", ""
    after = {**DEFAULTS, **{name: text for name, text in keymap.items() if name in DEFAULTS}}
    for one, other in combinations(after, 2):
        if not _together(one, other) or not {one, other} & keymap.keys():
            continue
        shared = set(keys_of(after[one])) & set(keys_of(after[other]))
        shared -= set(keys_of(DEFAULTS[one])) & set(keys_of(DEFAULTS[other]))
        if shared:
            named, against = (one, other) if one in keymap else (other, one)
            yield named, f"{min(shared)} is the key of {against}, too", f"give {against} another one as well"


_ALL: Final = "docs/keys.md lists them"


def _together(one: str, other: str) -> bool:
    """Whether both can be pressed in one place."""
    places = [name.partition(".")[0] for name in (one, other)]
    if places[0] == places[1]:
        return True
    main = [
        place in _EVERYWHERE or name == "runbooks.suggested"
        for place, name in zip(places, (one, other), strict=True)
    ]
    return any(main) and all(place in (*_EVERYWHERE, *_OF_THE_MAIN_SCREEN) for place in places)
