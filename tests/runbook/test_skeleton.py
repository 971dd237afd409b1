"""What a newcomer begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.errors import UsageError
from console.runbook.lint import lint
from console.runbook.loader import Library
from console.runbook.skeleton import skeleton
from tests.command import Command
from tests.runbook.documents import READS, TODAY, Catalogue, load, registry


def test_the_linter_finds_nothing_in_it() -> None:
    loaded = load(skeleton("cancel-report", "ann", TODAY))
    assert lint(loaded, Library([loaded]), Catalogue(registry(), READS), TODAY) == []


@pytest.mark.parametrize("name", ["", "a", "A b", "../x", "x" * 64, "x\ny", "-x"])
def test_what_cannot_be_an_id_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the id"):
        skeleton(name, "ann", TODAY)


async def test_it_is_written_to_a_new_file_that_lints(tmp_path: Path) -> None:
    command = Command(tmp_path, {})
    file = tmp_path / "mine.yaml"
    assert (await command.run("runbook", "new", "mine", "-o", str(file))).code == 0
    done = await command.run("runbook", "lint", str(file))
    assert (done.code, done.out) == (0, "1 runbook, 3 fixtures walked, no fault\n"), done
    twice = await command.run("runbook", "new", "mine", "-o", str(file))
    assert (twice.code, "nothing was written" in twice.err) == (2, True), twice
    assert (await command.run("runbook", "new", "mine")).out == file.read_text()
