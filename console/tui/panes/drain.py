"""The Drain view: who is left from before a rotation, and what ends the old password."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from console.errors import VaultLocked
from console.model.drain_board import DrainBoard, Draining, idle_group, next_to_end
from console.present import drain
from console.present.table import Line
from console.tui.hints import hint
from console.tui.messages import UnlockWanted
from console.tui.panes.acting import ActingPane, Verb, no_terminate, session_arguments
from console.tui.widgets.bars import Key


class DrainPane(ActingPane[DrainBoard, Draining]):
    """What broke off first, then what is drained. It burns down at each refresh."""

    name_of_subject = "drain"
    title = "Drain"
    columns = drain.COLUMNS
    verbs = {
        "retire": Verb("x", "retire", "credential.retire"),
        "rotate": Verb("n", "go on", "credential.rotate", rank=2),
        "terminate": Verb("t", "end the oldest", "session.terminate", short="end one"),
        "idle": Verb("i", "end idle ones", "session.terminate_idle", ask=True, short="idle", rank=2),
        "lock": Verb("l", "lock", "credential.lock", rank=3),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "request('retire')", "Retire the old password", id="drain.retire"),
        Binding("n", "request('rotate')", "Go on with the rotation that broke off", id="drain.rotate"),
        Binding("t", "request('terminate')", "End the oldest idle session from before", id="drain.terminate"),
        Binding("i", "request('idle')", "End those idle in a transaction", id="drain.idle"),
        Binding("l", "request('lock')", "Lock the account", id="drain.lock"),
        Binding("u", "unlock", "Unlock the vault", id="drain.unlock"),
    ]

    def __init__(
        self,
        read: Callable[[], Awaitable[DrainBoard]],
        *,
        every: float,
        refusal: Callable[[str], str],
        target: str,
    ) -> None:
        super().__init__(read, every=every, refusal=refusal)
        self._target = target
        self._most: dict[tuple[str, str], int] = {}

    @property
    def empty(self) -> str:  # type: ignore[override]
        data = self.reading.data
        return f"{drain.summary(data)}." if data is not None else ""

    def items_of(self, data: DrainBoard) -> Sequence[Draining]:
        for one in data.accounts:
            if one.seen.older is not None:
                self._most[self._of(one)] = max(one.seen.older, self._most.get(self._of(one), 0))
        return data.accounts

    def lines(self, data: DrainBoard) -> list[Line]:
        return drain.lines(data)

    def key_of(self, item: Draining) -> str:
        return item.user

    def summary(self, data: DrainBoard) -> str:
        return drain.summary(data)

    def note(self, data: DrainBoard) -> str:
        if isinstance(data.problem, VaultLocked):
            return "the vault is locked: only what the server itself keeps is here; u unlocks it"
        return next(iter(drain.notes(data)), "")

    def details(self, item: Draining) -> str:
        data = self.reading.data
        if data is None:
            return ""
        pairs = drain.details(data, item, self._target)
        most = self._most.get(self._of(item), 0)
        if item.seen.older is not None and item.seen.older < most:
            pairs.append(("burnt", f"{most - item.seen.older} of the {most} seen from here are gone"))
        return "\n".join(f"{word:<9} {value}" for word, value in pairs)

    def document(self, data: DrainBoard) -> dict[str, Any]:
        return {"rows": drain.document(data), **drain.beside(data)}

    def keys(self) -> list[Key]:
        data = self.reading.data
        locked = data is not None and isinstance(data.problem, VaultLocked)
        return [*([Key("u", "unlock", "unlock", rank=0)] if locked else []), *super().keys()]

    def unfit(self, item: Draining, name: str) -> str:
        if item.gone:
            return hint(
                self, "the server has no such account any more: {grid.select} shows what removes its entries"
            )
        against = {"retire": _no_retire, "rotate": _no_rotate, "terminate": _no_end, "idle": _no_idle}
        return against[name](item) if name in against else ""

    def arguments(self, item: Draining | None, name: str) -> dict[str, object]:
        if item is None:
            return {}
        if name == "terminate":
            session = next_to_end(item.seen)
            return session_arguments(session) if session else {}
        if name == "idle":
            return idle_group(item) or {}
        given: dict[str, object] = {"account": item.user}
        return given | ({"rotation": item.pending} if name == "rotate" and item.pending else {})

    def resumes(self, item: Draining | None, name: str) -> str:
        return item.action if item is not None and name == "rotate" else ""

    def action_unlock(self) -> None:
        self.post_message(UnlockWanted())

    def _of(self, item: Draining) -> tuple[str, str]:
        return item.user, item.kept.rotation if item.kept else ""


def _no_retire(item: Draining) -> str:
    if item.pending is not None:
        return "a rotation of it broke off: go on with that first"
    if item.seen.older:
        return f"{item.seen.older} from before are left (override=true: by ^p)"
    return ""


def _no_rotate(item: Draining) -> str:
    if item.pending is not None and item.paired and not item.action:
        return "two roles take turns: `dbdeck apply --resume ID`; `dbdeck audit list` has the id"
    return "" if item.pending is not None else "no rotation of it broke off; 4 Accounts rotates it anew"


def _no_end(item: Draining) -> str:
    if item.seen.older is None:
        return f"who is from before cannot be told: {drain.why_unknown(item)}"
    if not item.seen.older:
        return "nobody is left from before"
    session = next_to_end(item.seen)
    return no_terminate(session) if session else "those from before are protected, or ending already"


def _no_idle(item: Draining) -> str:
    if idle_group(item) is not None:
        return ""
    return (
        _no_end(item)
        or "no group of them is idle in transactions that patterns tell from the others: t ends one"
    )
