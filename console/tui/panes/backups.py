"""The Backups view: what there is to restore from, and what of it was proved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from console.model.backup_board import BackupBoard, Kept
from console.present import backups
from console.present.table import Line
from console.tui.panes.acting import ActingPane, Verb


class BackupsPane(ActingPane[BackupBoard, Kept]):
    """The newest first, of all sources."""

    name_of_subject = "backups"
    title = "Backups"
    columns = backups.COLUMNS
    empty = "There is no backup. `drills` in the config says where they are."
    of_server = False
    verbs = {
        "drill": Verb("d", "drill", "backup.drill"),
        "take": Verb("t", "take", "backup.take", bulk=True, ask=True),
        "overdue": Verb("o", "drill what is overdue", "backup.drill", bulk=True, short="overdue"),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "request('drill')", "Restore it in a drill", id="backups.drill"),
        Binding("t", "request('take')", "Take a backup", id="backups.take"),
        Binding("o", "request('overdue')", "Drill every source that is overdue", id="backups.overdue"),
    ]

    def items_of(self, data: BackupBoard) -> Sequence[Kept]:
        return data.kept

    def lines(self, data: BackupBoard) -> list[Line]:
        return backups.lines(data)

    def key_of(self, item: Kept) -> str:
        return backups.key(item)

    def summary(self, data: BackupBoard) -> str:
        return backups.summary(data)

    def note(self, data: BackupBoard) -> str:
        return next(iter(backups.notes(data)), "")

    def details(self, item: Kept) -> str:
        return "\n".join(f"{label:<9} {value}" for label, value in backups.details(item))

    def document(self, data: BackupBoard) -> dict[str, Any]:
        return {"rows": backups.document(data), **backups.beside(data)}

    def unfit(self, item: Kept, name: str) -> str:  # noqa: ARG002 - every backup can be tried
        return ""

    def arguments(self, item: Kept | None, name: str) -> dict[str, object]:
        if name == "overdue":
            return {"overdue": "true"}
        if item is None:
            return {}
        drilled: dict[str, object] = {"source": item.backup.source, "backup": item.backup.id}
        return drilled if name == "drill" else {"source": item.backup.source}
