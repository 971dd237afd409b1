"""The report of a rehearsal for people."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from console.model.backups import Backup, Method
from console.model.drills import Verdict
from console.model.inventory import Difference
from console.model.rehearsals import HeldLock, Rehearsal, Script, Stretch
from console.present.rehearsal_report import rehearsal_markdown

STRETCH = Stretch(
    script=Script(path="/m/up.sql", sha256="ab" * 32, bytes=2048),
    seconds=3.2,
    locks=(
        HeldLock(relation="shop.a|b", mode="AccessExclusiveLock", seconds=1.5, keeps="reads and writes"),
        HeldLock(relation="shop.c", mode="AccessShareLock"),
    ),
    looks=60,
    one_transaction=True,
    rewritten=("shop.a|b",),
    changed=Difference(more=(("index", "shop.i"),), changed=(("table", "shop.a|b"),)),
)
REPORT = Rehearsal(
    id="1", action_id="2", target="shop", source="nightly", database="shop", verdict=Verdict.FAIL,
    backup=Backup(source="nightly", id="shop.dump", method=Method.PG_DUMP, path="/b/shop.dump"),
    reasons=("down does not lead back: missing are view shop.v",),
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
    seconds=9, up=STRETCH, down=STRETCH, astray=Difference(missing=(("view", "shop.v"),)),
    data=("shop.c",), data_seen=(3, 4), commands=("psql ```",),
)  # fmt: skip


def test_it_tells_the_verdict_the_locks_the_changes_and_what_is_astray() -> None:
    text = rehearsal_markdown(REPORT)
    for line in (
        "# Migration rehearsed on shop: FAIL",
        "- **down does not lead back: missing are view shop.v**",
        "| shop.a\\|b | AccessExclusiveLock | 1.5s | reads and writes |",
        "| shop.c | AccessShareLock | < 50ms | nobody but DDL |",
        "- shop.a\\|b was rewritten",
        "- new: index shop.i",
        "- gone: view shop.v",
        "- **rows differ**: shop.c",
        "- rows of 3 of 4 tables were compared with those before up",
    ):
        assert line in text.splitlines(), line
    assert text.count("```") == 2


def test_where_no_lock_could_be_seen_it_says_why() -> None:
    blind = msgspec.structs.replace(
        STRETCH, locks=(), unseen="metadata locks are not recorded", error="x", line=4
    )
    text = rehearsal_markdown(msgspec.structs.replace(REPORT, up=blind, down=None))
    assert "Locks could not be seen: metadata locks are not recorded" in text
    assert "**stopped at line 4**: x" in text
    assert "## After down" not in text
