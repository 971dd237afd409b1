"""The params of a runbook as a form: each as the command line would have it, then why; checked in place."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from console.errors import DbdeckError
from console.present.units import clean
from console.runbook.document import Document
from console.runbook.params import value_of
from console.tui.screens.form import Field, FormScreen

REASON, TICKET = "reason-", "ticket-"  # no param is named so


def form_of(document: Document, given: Mapping[str, object], target: str) -> FormScreen:
    """Each param as text, as the command line would have it; then why, which is recorded."""
    fields = [
        Field(
            name,
            _label(name, document),
            _as_text(given.get(name, param.default)),
            partial(_wrong, document, name),
        )
        for name, param in document.params.items()
    ]
    fields += [
        Field(
            REASON,
            "reason (recorded in the ledger)",
            check=lambda text: "" if text else "a reason is needed",
        ),
        Field(TICKET, "ticket (optional)"),
    ]
    title = f"{document.id} on {target}"
    return FormScreen(title, clean(document.summary or document.title, 600), fields, "shows the plan")


def _label(name: str, document: Document) -> str:
    param = document.params[name]
    kinds = [str(param.type)]
    kinds += [" | ".join(param.values)] if param.values else []
    kinds += ["required"] if param.required else []
    kinds += [f"from {_bound(param.least)}"] if param.least is not None else []
    kinds += [f"to {_bound(param.most)}"] if param.most is not None else []
    return clean(f"{name} ({', '.join(kinds)})  {param.help}", 300)


def _bound(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"{value['id']}@{value['started_at']}"
    return "" if value is None else str(value)


def _wrong(document: Document, name: str, text: str) -> str:
    param = document.params[name]
    if not text:
        return "it is required" if param.required else ""
    try:
        value_of(name, param, text)
    except DbdeckError as error:
        return error.message.partition("; nothing was started")[0]
    return ""
