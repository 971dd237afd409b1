"""The Audit pane: the ledger, newest row first, and what has no known end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from console.audit.record import Entry
from console.present import audit
from console.present.table import Column, Line, led_by
from console.present.units import clean, clean_block
from console.tui.panes.pane import Pane


class AuditPane(Pane[Sequence[Entry], Entry]):
    """Every action was written here before it was executed."""

    name_of_subject = "audit"
    of_server = False
    title = "Audit"
    columns = audit.COLUMNS
    empty = "The ledger has no rows yet."

    def columns_of(self, data: Sequence[Entry]) -> Sequence[Column]:
        return led_by(self.columns, max((one.id for one in data), default=0))

    def items_of(self, data: Sequence[Entry]) -> Sequence[Entry]:
        return data

    def lines(self, data: Sequence[Entry]) -> list[Line]:
        return audit.lines(data)

    def key_of(self, item: Entry) -> str:
        return str(item.id)

    def summary(self, data: Sequence[Entry]) -> str:
        return f"the newest {len(data)} rows of the ledger" if len(data) > 1 else "one row in the ledger"

    def details(self, item: Entry) -> str:
        head = f"row {item.id} · {clean(item.kind, 20)} · {item.at.isoformat()} · {clean(item.db_user)}"
        place = f"action {item.action_id} · writer {item.writer} seq {item.seq}"
        body = clean_block(audit.text(item), 4000)
        return f"{head} from {clean(item.peer)}\n{place}\n{body}"

    def document(self, data: Sequence[Entry]) -> dict[str, Any]:
        return {"rows": audit.document(data)}
