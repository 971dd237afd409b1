"""docs/reference/runbooks.md, from the types of documents and the documents that are shipped."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

import msgspec
from msgspec import inspect

from console.present.actions import LABELS
from console.present.fields import default, kind
from console.present.reads import READS
from console.runbook.document import (
    KINDS,
    ActionStep,
    Approvals,
    Assertion,
    Call,
    Case,
    Document,
    Fixture,
    Limits,
    Param,
    ParamType,
    Step,
    Suggestion,
    Verify,
    children,
)
from console.runbook.functions import FUNCTIONS
from console.runbook.loader import Loaded, load_folders
from docs.generator.markdown import code, link, sentence, table
from docs.generator.markdown import page as made

_INTRO = """What a [runbook](../runbooks.md) may hold, and the runbooks that are shipped. `dbdeck runbook
new ID` writes one to begin with, `dbdeck runbook lint` checks it, and `dbdeck runbook schema` prints the
JSON schema for editors, with the arguments of the [actions](actions.md)."""
_PARTS: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    ("A param", Param),
    ("A precondition, or what a step expects", Assertion),
    ("Approvals", Approvals),
    ("Limits", Limits),
    ("A suggestion", Suggestion),
    ("A look of the runbook's own: `verify` of an action", Verify),
    ("A case of a branch", Case),
    ("A fixture: one of `tests`", Fixture),
)
_COMMON = ("id", "title", "why", "when")
_ACTING = ("expect", "timeout", "on_failure", "on_unknown")
_VALUE = "text or integer or number or true or false"
_COLUMNS = ("field", "type", "default", "meaning")


def page() -> str:
    return made(
        "Runbooks",
        [*_INTRO.splitlines(), ""],
        _library(),
        _document(),
        _steps(),
        _expressions(),
        *(_about(one) for one in _shipped()),
    )


def _shipped() -> list[Loaded]:
    """Raises what a document that cannot be read is refused with."""
    texts = [
        (one.name, one.read_text(encoding="utf-8"))
        for one in files("runbooks").iterdir()
        if one.name.endswith(".yaml")
    ]
    library = load_folders((), texts)
    for fault in library.faults:
        raise fault
    return list(library)


# ---- the documents -----------------------------------------------------------------------------


def _library() -> list[str]:
    rows = [
        (link(one.id), _engines(one.document), str(one.document.risk), one.document.title)
        for one in _shipped()
    ]
    return ["## Shipped", "", *table(("id", "engines", "risk", "title"), rows)]


def _engines(document: Document) -> str:
    return ", ".join(LABELS[flavor] for flavor in document.engines)


def _about(loaded: Loaded) -> Iterator[str]:
    one = loaded.document
    yield from (f"## `{one.id}`", "", f"**{one.title}**. {' '.join(one.summary.split())}", "")
    versions = ", ".join(f"{LABELS[flavor]} {versions}" for flavor, versions in one.engines.items())
    yield f"- Engines: {versions}"
    yield f"- Risk: at most {one.risk}"
    if one.symptoms:
        yield f"- Symptoms: {', '.join(one.symptoms)}"
    yield from (f"- Suggested where {code(' '.join(said.when.split()))}" for said in one.suggest)
    yield ""
    yield from table(
        ("param", "type", "default", "for"), [_param(name, of) for name, of in one.params.items()]
    )
    yield from ("Steps:", "", *_tree(one.steps, 0), "")


def _param(name: str, of: Param) -> tuple[str, str, str, str]:
    bounds = [f"from {of.least}"] if of.least is not None else []
    bounds += [f"to {of.most}"] if of.most is not None else []
    values = f": {' '.join(code(one) for one in of.values)}" if of.values else ""
    shown = "required" if of.required else code(_default(of.default))
    return code(name), f"{' '.join([str(of.type), *bounds])}{values}", shown, of.help


def _default(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _tree(steps: tuple[Step, ...], depth: int) -> Iterator[str]:
    """A list; what a step does is told by its kind, and by the action or the runbook that it names."""
    for step in steps:
        indent = "  " * depth
        yield f"{indent}- {code(step.id)} {_does(step)}{f': {step.title}' if step.title else ''}"
        for where, inner in children(step):
            if inner and isinstance(where[1:2], tuple) and where[0] in ("else", "rollback"):
                yield f"{indent}  - {'otherwise' if where[0] == 'else' else 'taken back by'}"
                yield from _tree(inner, depth + 2)
            else:
                yield from _tree(inner, depth + 1)


def _does(step: Step) -> str:
    if isinstance(step, ActionStep):
        return f"action [`{step.action}`](actions.md#{step.action.replace('.', '')})"
    if isinstance(step, Call):
        return f"calls {link(step.runbook)}"
    return step.kind


# ---- the types ---------------------------------------------------------------------------------


def _document() -> Iterator[str]:
    yield from ("## The document", "")
    yield from table(_COLUMNS, _fields(Document))
    for title, part in _PARTS:
        yield from (f"### {title}", "", *_said(part), *table(_COLUMNS, _fields(part)))
    yield from (f"Types of params: {' '.join(code(one) for one in ParamType)}.", *_said(ParamType), "")


def _said(part: type) -> list[str]:
    return [" ".join(part.__doc__.split()), ""] if part.__doc__ else []


def _fields(part: type[msgspec.Struct], leaving: tuple[str, ...] = ()) -> list[tuple[str, str, str, str]]:
    info = inspect.type_info(part)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{part.__name__} is no struct")
    return [
        (
            code(one.encode_name),
            _type(one.type),
            "required" if one.required else code(default(one)),
            sentence(_meaning(one.type)),
        )
        for one in info.fields
        if one.encode_name not in leaving
    ]


def _type(of: inspect.Type) -> str:
    if _holds_steps(of):
        return "list of steps"
    text = kind(of).replace(_VALUE, "a value or an expression")
    return "text" if text.startswith("text that fits") and _meaning(of) else text


def _holds_steps(of: inspect.Type) -> bool:
    while isinstance(of, inspect.Metadata):
        of = of.type
    inner = of.item_type if isinstance(of, inspect.VarTupleType) else None
    return isinstance(inner, inspect.UnionType) and len(inner.types) == len(KINDS)


def _meaning(of: inspect.Type) -> str:
    """The first description inside a type, the outermost one before."""
    if isinstance(of, inspect.Metadata):
        said = (of.extra_json_schema or {}).get("description")
        return str(said) if said else _meaning(of.type)
    if isinstance(of, inspect.UnionType):
        return next((said for one in of.types if (said := _meaning(one))), "")
    return ""


def _steps() -> Iterator[str]:
    yield from ("## Steps", "", "Each has:", "")
    yield from table(_COLUMNS, [row for row in _fields(KINDS["check"]) if row[0].strip("`") in _COMMON])
    yield from ("What can fail also has:", "")
    yield from table(_COLUMNS, [row for row in _fields(KINDS["check"]) if row[0].strip("`") in _ACTING])
    for name, of in KINDS.items():
        acting = {"on_failure"} <= {one.encode_name for one in msgspec.structs.fields(of)}
        left = (
            *_COMMON,
            *(one for one in _ACTING if acting and not (one == "timeout" and name == "wait_until")),
        )
        note = ["It can fail.", ""] if acting else []
        yield from (f"### `{name}`", "", *_said(of), *note, *table(_COLUMNS, _fields(of, left)))
    reads = " ".join(code(one) for one in sorted(READS))
    yield from (f"Reads that `read` and `collect` may name: {reads}.", "")


def _expressions() -> Iterator[str]:
    yield from (
        "## Expressions",
        "",
        "How they are written and what they know: [expressions](../runbooks.md#expressions).",
    )
    yield from ("Functions:", "")
    rows = [(code(name), _arity(one.least, one.most), one.says) for name, one in FUNCTIONS.items()]
    yield from table(("function", "arguments", "gives"), rows)


def _arity(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"
