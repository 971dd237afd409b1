"""The report of a drill, read from its file and compared with what the ledger says of it."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from rich.console import Group
from rich.text import Text

from console.tui.messages import ReportWanted


async def shown_report(wanted: ReportWanted) -> Group:
    """Its Markdown; above it, whether the file is the one that was recorded."""
    return await asyncio.to_thread(_read, wanted)


def _read(wanted: ReportWanted) -> Group:
    from rich.markdown import Markdown  # slow to import, and few read a report

    path = Path(wanted.path)
    try:
        same = hashlib.sha256(path.read_bytes()).hexdigest() == wanted.sha256
        text = path.with_suffix(".md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        return Group(
            Text(f"{path} cannot be read here: {why}. The drill ran on {wanted.host or 'another machine'}.")
        )
    said = "as the ledger recorded it" if same else "CHANGED since the ledger recorded it"
    return Group(Text(f"{path}: {said}"), Markdown(text, hyperlinks=False))
