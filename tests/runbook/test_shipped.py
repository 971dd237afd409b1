"""What is shipped is sound, and what the page says of documents is what they are."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console.__main__ import _runbooks
from console.present.reads import READS
from console.runbook.document import KINDS, ParamType
from console.runbook.functions import FUNCTIONS
from console.runbook.lint import Catalogue, lint
from console.runbook.loader import Library, Loaded, load_folders, parse
from console.runbook.schema import schema
from tests.guards.markdown import codes, rows, section
from tests.guards.sources import read
from tests.runbook.documents import registry

LIBRARY: Library = load_folders([], _runbooks())
PAGE = read("docs/runbooks.md")
CATALOGUE = Catalogue(registry(), frozenset(READS))


def shipped() -> list[Loaded]:
    return list(LIBRARY)


def test_every_shipped_document_is_read() -> None:
    assert LIBRARY.faults == []
    told = {codes(row[0])[0]: set(codes(row[1])) for row in rows(section(PAGE, "What is shipped"))}
    assert {one.id: set(one.document.engines) for one in shipped()} == told


@pytest.mark.parametrize("loaded", shipped(), ids=lambda one: one.id)
def test_a_shipped_document_has_no_finding(loaded: Loaded) -> None:
    today = datetime.now(UTC).date()
    assert [one for one in lint(loaded, LIBRARY, CATALOGUE, today) if one.rule != "review-due"] == []


def test_every_shipped_document_is_tried_on_real_servers() -> None:
    folder = Path(__file__).parent.parent / "integration" / "runbooks"
    tried = {path.stem.removeprefix("test_").replace("_", "-") for path in folder.glob("test_*.py")}
    assert {one.id for one in shipped()} <= tried


def test_the_example_of_the_page_is_sound() -> None:
    found = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    loaded = parse(found[1], "docs/runbooks.md")
    today = loaded.document.reviewed
    assert [one.rule for one in lint(loaded, Library([loaded]), CATALOGUE, today)] == ["no-tests"]


def test_the_page_names_every_kind_function_type_and_read() -> None:
    assert {codes(row[0])[0] for row in rows(section(PAGE, "Steps"))} == set(KINDS)
    assert [codes(row[0])[0] for row in rows(section(PAGE, "Expressions"))] == list(FUNCTIONS)
    assert [kind for kind in ParamType if f"`{kind}`" not in PAGE] == []
    assert [name for name in READS if name not in section(PAGE, "Steps")] == []


# ---- the schema --------------------------------------------------------------------------------


def parts() -> dict[str, Any]:
    found: dict[str, Any] = schema(registry(), READS)
    return found


def test_every_reference_of_the_schema_leads_somewhere() -> None:
    whole = parts()
    text = msgspec.json.encode(whole).decode()
    assert set(re.findall(r'"#/\$defs/([^"]+)"', text)) - set(whole["$defs"]) == set()


def test_the_schema_refuses_unknown_keys_of_a_step() -> None:
    defs = parts()["$defs"]
    names = [kind.__name__ for kind in KINDS.values()]
    assert [name for name in names if defs[name].get("additionalProperties") is not False] == []


def test_the_schema_knows_every_action_and_its_arguments() -> None:
    step = parts()["$defs"]["ActionStep"]
    assert step["properties"]["action"]["enum"] == [action.name for action in registry()]
    given = {
        one["if"]["properties"]["action"]["const"]: one["then"]["properties"]["with"] for one in step["allOf"]
    }
    assert set(given["session.cancel"]["properties"]) == {"id", "started_at"}
    assert given["session.cancel"]["required"] == ["id", "started_at"]


def test_the_schema_names_the_reads() -> None:
    query = parts()["$defs"]["Query"]
    assert {"enum": sorted(READS)} in query["properties"]["read"]["anyOf"]
