"""Numbers that stand for something are whole, however large the server's counters have grown."""

from __future__ import annotations

import msgspec
import pytest

from console.cli import output
from console.present import audit, locks, transactions
from console.present.table import Line, led_by
from console.tui.panes.locks import LocksPane
from console.tui.panes.transactions import TransactionsPane
from console.tui.widgets.columns import cell, fit
from tests.fakes import ScriptedEngine, storm

BUSY = 4_294_967_290  # connections of a MySQL since its start


def test_a_column_is_as_wide_as_its_largest_number() -> None:
    assert led_by(audit.COLUMNS, 99)[0] == audit.COLUMNS[0]
    assert led_by(audit.COLUMNS, 1_000_010)[0].width == 7
    assert led_by(audit.COLUMNS, 99)[1:] == tuple(audit.COLUMNS[1:])


async def test_two_sessions_with_large_numbers_do_not_look_like_one() -> None:
    engine = ScriptedEngine([msgspec.structs.replace(one, id=one.id + BUSY) for one in storm(2)])
    found = await engine.transactions()
    pane = TransactionsPane(engine.transactions, every=1.0, refusal=lambda _: "", limits=False)
    slots = fit(pane.columns_of(found), 80)
    shown = [cell(line.cells[0], slots[0], 0) for line in transactions.lines(found)]
    assert shown == [str(one.session.id) for one in found]
    assert len(set(shown)) == len(found) > 1


async def test_nor_deep_in_the_tree() -> None:
    engine = ScriptedEngine(storm(2))
    tree = await engine.locks()
    pane = LocksPane(engine.locks, every=1.0, refusal=lambda _: "", storm=9)
    node = msgspec.structs.replace(
        tree[1], depth=12, session=msgspec.structs.replace(tree[1].session, id=BUSY)
    )
    width = led_by(locks.COLUMNS, BUSY, locks.BESIDE)[0].width
    assert len(locks.tree(node)) <= width
    assert pane.columns_of(tree)[0] == locks.COLUMNS[0], "nothing moves where numbers are small"


@pytest.mark.parametrize("number", [7, BUSY])
def test_a_printed_number_is_whole(
    number: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    line = Line(key="a", cells=(str(number), *[""] * (len(transactions.COLUMNS) - 1)))
    output.table(transactions.COLUMNS, [line])
    assert str(number) in capsys.readouterr().out
