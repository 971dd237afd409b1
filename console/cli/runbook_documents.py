"""`runbook list`, `show`, `lint`, `schema` and `plan`: documents, before anything runs."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from console.cli import output
from console.cli.act import planned
from console.cli.context import Services, one
from console.cli.unlock import unlock_for
from console.config import is_unmade
from console.dispatch.action import Plan, Risk
from console.dispatch.foresight import denial
from console.dispatch.registry import pairs, parse_args
from console.engine.open import open_engine
from console.errors import Exit
from console.new_file import write_new
from console.os_user import os_user
from console.present import runs as words
from console.present.reads import READS
from console.present.table import Column, Line, Tone
from console.runbook.document import Document, walk
from console.runbook.history import documents_of
from console.runbook.lint import Catalogue, Finding, lint
from console.runbook.loader import Library, Loaded, load, load_folders
from console.runbook.outline import outline
from console.runbook.reading import Others, Reading
from console.runbook.runner import Order, started
from console.runbook.sound import must_be_sound
from console.runbook.suggesting import matches

_LIST = (
    Column(title="id", width=28),
    Column(title="risk", width=7),
    Column(title="engines", width=30),
    Column(title="reviewed", width=10, drop=1),
    Column(title="title", width=30, grow=True),
)


def library(services: Services) -> Library:
    """The documents of the package and of the config's folders. Who has no config yet has the former: what
    only looks at documents needs no server.
    """
    own = [] if is_unmade(services.config_path) else services.config().runbooks.folders
    folders = [Path(one).expanduser() for one in own]
    return load_folders(folders, services.runbooks())


def tell_faults(found: Library) -> None:
    for fault in found.faults:
        output.complaint(fault)


def _catalogue(services: Services) -> Catalogue:
    return Catalogue(services.registry(), frozenset(READS))


# ---- documents -------------------------------------------------------------------------------


def list_all(services: Services, symptom: str, as_json: bool) -> int:
    """With `symptom` only those whose words it has."""
    found = library(services)
    tell_faults(found)
    chosen = [loaded for loaded in found if matches(loaded.document, symptom)]
    if as_json:
        rows = [summary(loaded) for loaded in chosen]
        output.document({"schema": "dbdeck/runbooks/1", "rows": rows})
    elif chosen or not symptom:
        output.table(_LIST, [_line(loaded.document) for loaded in chosen])
    else:
        output.note(
            f"dbdeck: no runbook has the words {symptom!r}\n  hint: `dbdeck runbook list` has all of them"
        )
    return Exit.USAGE if found.faults else Exit.OK


def _line(document: Document) -> Line:
    engines = ", ".join(f"{flavor} {bound}" for flavor, bound in document.engines.items())
    cells = (document.id, str(document.risk), engines, document.reviewed.isoformat(), document.title)
    return Line(key=document.id, cells=cells)


def summary(loaded: Loaded) -> dict[str, Any]:
    document = loaded.document
    names = ("id", "title", "summary", "owner", "reviewed", "risk", "engines", "symptoms")
    return {
        **{name: getattr(document, name) for name in names},
        "digest": loaded.digest,
        "source": loaded.source,
    }


def show(services: Services, name: str, as_json: bool) -> int:
    loaded = library(services).get(name)
    document = loaded.document
    if as_json:
        whole = msgspec.to_builtins(document)
        output.document({"schema": "dbdeck/runbook-document/1", "digest": loaded.digest, "document": whole})
        return Exit.OK
    output.line(f"{document.title} ({document.id})", Tone.NOTICE)
    if document.summary:
        output.line(document.summary)
    output.line(f"owner {document.owner}, reviewed {document.reviewed}, wanted every {document.review_every}")
    output.line(f"risk {document.risk}; " + ", ".join(f"{a} {b}" for a, b in document.engines.items()))
    for param, about in document.params.items():
        default = "required" if about.required else f"default {about.default}"
        output.line(f"  -p {param}=…  {about.type}, {default}  {about.help}".rstrip())
    for step in walk(document.steps):
        output.line(f"  {step.id} [{step.kind}] {step.title or step.why}".rstrip())
    return Exit.OK


def check(services: Services, names: Sequence[str], as_json: bool) -> int:
    """Without names the whole library; a name with a `/` or `.yaml` is a file. Exit 2 on an error."""
    found = library(services)
    chosen = [_named(one, found) for one in names] or list(found)
    today = datetime.now(UTC).date()
    findings = [
        *(Finding(severity="error", rule="not-read", message=fault.message, place="", hint=fault.hint)
          for fault in ([] if names else found.faults)),
        *(finding for loaded in chosen for finding in lint(loaded, found, _catalogue(services), today)),
    ]  # fmt: skip
    wrong = any(finding.severity == "error" for finding in findings)
    if as_json:
        rows = [msgspec.to_builtins(finding) for finding in findings]
        output.document({"schema": "dbdeck/runbook-lint/1", "ok": not wrong, "rows": rows})
    else:
        for finding in findings:
            hint = f" ({finding.hint})" if finding.hint else ""
            where = f"{finding.place}: " if finding.place else ""
            tone = Tone.BAD if finding.severity == "error" else Tone.WARN
            output.line(f"{where}{finding.severity}: {finding.rule}: {finding.message}{hint}", tone)
        walked = sum(len(loaded.document.tests) for loaded in chosen)
        told = "with faults" if wrong else f"{walked} fixtures walked, no fault"
        output.line(f"{len(chosen)} runbook{'' if len(chosen) == 1 else 's'}, {told}")
    return Exit.USAGE if wrong else Exit.OK


def _named(name: str, found: Library) -> Loaded:
    if "/" in name or name.endswith((".yaml", ".yml")):
        return load(Path(name).expanduser())
    return found.get(name)


def new(name: str, out: str) -> int:
    """A skeleton, on stdout or in a new file."""
    from console.runbook.skeleton import skeleton

    text = skeleton(name, os_user(), datetime.now(UTC).date())
    if out == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return Exit.OK
    write_new(out, text, 0o666)
    output.note(f"{out} is there: change it, then `dbdeck runbook lint {out}`")
    return Exit.OK


def print_schema(services: Services) -> int:
    from console.runbook.schema import schema

    output.document(schema(services.registry(), READS))
    return Exit.OK


def sound(services: Services, found: Library, name: str) -> None:
    """A runbook with an error is not run, nor one that calls such a one. Raises UsageError, ConfigError."""
    if name not in found:
        tell_faults(found)  # one of these may be the one that is meant
    must_be_sound(found, name, _catalogue(services), datetime.now(UTC).date())


# ---- plan ------------------------------------------------------------------------------------


async def plan(services: Services, name: str, given: Sequence[str], target: str | None, as_json: bool) -> int:
    """The whole tree, with what is known now. Reads only."""
    found = library(services)
    sound(services, found, name)
    chosen = one(services.config(), target)
    await unlock_for([chosen], store=True)
    registry = services.registry()
    async with open_engine(chosen) as engine:

        async def planner(action: str, arguments: Mapping[str, Any]) -> Plan:
            known = registry.get(action)
            return await planned(services, known, engine, parse_args(known, arguments))

        def ruled(action: str, risk: Risk | None) -> str:
            return denial(services.config().policy, chosen, registry.get(action), risk)

        params, order = pairs(tuple(given)), Order(reason="")
        begins = await started(found, name, params, engine, order, targets=target_names(services))
        async with other_targets(services) as others:
            reading = Reading(engine, READS, others)
            lines = await outline(reading, planner, documents_of(begins), begins, ruled)
    if as_json:
        rows = [msgspec.to_builtins(line) for line in lines]
        head = {"runbook": name, "target": chosen.name, "params": begins.params, "digest": begins.digest}
        output.document({"schema": "dbdeck/runbook-plan/1", **head, "rows": rows})
        return Exit.OK
    for tone, text in words.tree(lines):
        output.line(text, tone)
    return Exit.OK


@asynccontextmanager
async def other_targets(services: Services) -> AsyncIterator[Others]:
    """Other targets' monitors for as long as a run goes; those that were opened are closed."""
    others = Others(services.config().target)
    try:
        yield others
    finally:
        await others.close()


def target_names(services: Services) -> list[str]:
    return [target.name for target in services.config().all_targets()]
