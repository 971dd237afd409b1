"""`runbook export`: a run as a post-mortem, in a file of its own or on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from console.cli import output
from console.cli.context import Services, ledger
from console.cli.runbook_told import run_number
from console.errors import Exit
from console.new_file import write_new
from console.present import post_mortem_page as pages
from console.present.post_mortem import post_mortem
from console.present.post_mortem_parts import Report
from console.runbook.history import effects, recall

_FORMS: Mapping[str, Callable[[Report], str]] = {
    "md": pages.markdown,
    "html": pages.html,
    "json": lambda report: output.encoded(pages.document(report)) + "\n",
}


async def export(services: Services, run_id: str, form: str, out: str) -> int:
    number = run_number(run_id)
    async with ledger(services.config(), write=False) as opened:
        report = post_mortem(await recall(opened, number), await effects(opened, number))
    text = _FORMS[form](report)
    if out == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return Exit.OK
    write_new(out, text)
    output.note(f"the post-mortem of {report.run} is in {out}")
    return Exit.OK
