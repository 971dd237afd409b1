"""Checkpoints, proofs and exports by the command line."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import yaml

from console.audit import chain
from console.audit.ledger import open_ledger
from console.audit.record import Kind, iso
from console.audit.table.port import COLUMNS
from console.secrets import Secret
from tests.audit.forge import entry, row
from tests.command import Command
from tests.vault.disks import vault_at


@pytest.fixture
async def signing(tmp_path: Path) -> Command:
    command = Command(tmp_path, {})
    made = await command.run("audit", "keygen", str(tmp_path / "key"))
    assert made.code == 0, made
    (public,) = (line.split("[")[1].rstrip("]") for line in made.out.splitlines() if "trusted" in line)
    checkpoints = {
        "key": f"file:{tmp_path}/key",
        "trusted": [public],
        "anchors": [{"file": f"{tmp_path}/anchors.ndjson"}, {"ledger": f"sqlite:///{tmp_path}/other.db"}],
    }
    command.write({"audit": {**command.audit, "checkpoints": checkpoints}})
    return command


async def attack(command: Command, *statements: str) -> None:
    with closing(sqlite3.connect(command.folder / "audit.db", isolation_level=None)) as connection:
        for name in ("entry_no_update", "entry_no_delete", "entry_no_replace"):
            connection.execute(f"drop trigger if exists {name}")
        for statement in statements:
            connection.execute(statement)


async def test_a_checkpoint_is_kept_everywhere_and_compared(signing: Command) -> None:
    made = await signing.run("audit", "checkpoint", "--json")
    assert (made.code, len(made.document["kept"]), made.document["failed"]) == (0, 2, {}), made
    again = await signing.run("audit", "checkpoint")
    assert "signed by" in again.out
    for words in ((), ("--incremental",)):
        found = await signing.run("audit", "verify", "--json", *words)
        assert (found.code, found.document["ok"]) == (0, True), found


@pytest.mark.parametrize("password", ["env:DBDECK_NOT_SET", "keyring:dbdeck/none", "command:/bin/false"])
async def test_an_anchor_without_its_password_keeps_no_other_from_being_compared(
    signing: Command, password: str
) -> None:
    """Nor from taking its copy: it is told each time that it was not compared."""
    vault = vault_at(signing.folder)
    vault.create(Secret("nobody gives it"))
    audit = yaml.safe_load(signing.config.read_text())["audit"]
    audit["checkpoints"]["anchors"].insert(0, {"ledger": "mysql://u@127.0.0.1:1/d", "password": password})
    signing.write({"audit": audit, "keyring": {"vault": str(vault.path)}})
    for number in (1, 2):
        made = await signing.run("audit", "checkpoint", "--json")
        assert (made.code, len(made.document["kept"]), len(made.document["failed"])) == (8, 2, 1), made
        assert re.search("the anchor mysql://u@127.0.0.1:1/d: .*: not compared with it", made.err), made
        assert len((signing.folder / "anchors.ndjson").read_text().splitlines()) == number
    found = await signing.run("audit", "verify")
    assert found.code == 0, found
    assert re.search("the anchor mysql://u@127.0.0.1:1/d: .*: not compared with it", found.err), found
    before = (signing.folder / "audit.db").read_bytes()
    await signing.run("audit", "checkpoint")
    (signing.folder / "audit.db").write_bytes(before)
    shutil.rmtree(signing.folder / "journal")
    refused = await signing.run("audit", "checkpoint")
    assert (refused.code, "no checkpoint was made" in refused.err) == (11, True), refused
    assert (await signing.run("audit", "verify")).code == 11


async def test_a_ledger_that_was_made_anew_shows_by_its_anchors(signing: Command) -> None:
    await signing.run("audit", "checkpoint")
    await attack(signing, "delete from entry")
    for journal in (signing.folder / "journal").glob("*"):
        journal.unlink()
    found = await signing.run("audit", "verify", "--json")
    assert (found.code, {one["kind"] for one in found.document["faults"]}) == (11, {"checkpoint"}), found


async def test_an_intent_that_the_checkpoint_covers_and_cannot_be_read_is_named(signing: Command) -> None:
    """A report that goes on from the checkpoint has no fault, and what is open cannot be told."""
    assert (await signing.run("audit", "init")).code == 0
    old = entry(row(chain.Head(0, chain.START), uuid4(), kind="intent"), 1, chain.START)
    values = [iso(value) if isinstance(value, datetime) else str(value) if isinstance(value, UUID) else value
              for value in (getattr(old, name) for name in COLUMNS)]  # fmt: skip
    with closing(sqlite3.connect(signing.folder / "audit.db", isolation_level=None)) as connection:
        marks = ", ".join("?" * len(values))
        connection.execute(f"insert into entry ({', '.join(COLUMNS)}) values ({marks})", values)
    assert (await signing.run("audit", "checkpoint")).code == 0
    found = await signing.run("audit", "verify", "--incremental", "--json")
    assert (found.code, found.document["open_intents"]) == (0, [str(old.action_id)]), found
    await attack(signing, "update entry set body = cast(x'7bff7d' as text) where id = 1")
    found = await signing.run("audit", "verify", "--incremental", "--json")
    assert (found.code, [one["id"] for one in found.document["faults"]]) == (11, [1]), found
    assert "row 1 of the ledger cannot be read" in found.err
    assert "everything is read" in found.err


async def test_a_checkpoint_that_cannot_be_read_is_not_said_to_be_none(signing: Command) -> None:
    nothing = "no checkpoint of a trusted key is there"
    await signing.run("audit", "init")
    found = await signing.run("audit", "verify", "--incremental")
    assert (found.code, nothing in found.err) == (0, True), found
    await signing.run("audit", "checkpoint")
    await attack(signing, "update entry set body = cast(x'7bff7d' as text) where kind = 'checkpoint'")
    found = await signing.run("audit", "verify", "--incremental")
    assert (found.code, nothing in found.err) == (11, False), found
    assert "of the ledger cannot be read" in found.err


async def test_an_export_is_compared_with_anchors_offline(signing: Command, tmp_path: Path) -> None:
    await signing.run("audit", "checkpoint")
    public = json.loads((tmp_path / "anchors.ndjson").read_text())["key"]
    export = str(tmp_path / "ledger.ndjson")
    assert (await signing.run("audit", "export", export)).code == 0
    words = (
        "audit",
        "verify",
        "--file",
        export,
        "--anchor",
        str(tmp_path / "anchors.ndjson"),
        "--trust",
        public,
    )
    assert (await signing.run(*words)).code == 0
    lines = (tmp_path / "ledger.ndjson").read_text().splitlines(keepends=True)
    (tmp_path / "ledger.ndjson").write_text("".join(lines[:1]))
    assert (await signing.run(*words)).code == 11


async def test_nothing_is_signed_of_a_ledger_with_a_fault(signing: Command) -> None:
    await signing.run("audit", "checkpoint")
    await attack(signing, "update entry set db_user = 'x' where id = 1")
    found = await signing.run("audit", "checkpoint")
    assert (found.code, "no checkpoint was made" in found.err) == (11, True), found


async def test_an_anchor_that_does_not_take_it_is_told_and_the_others_have_it(
    signing: Command, tmp_path: Path
) -> None:
    values = yaml.safe_load(signing.config.read_text())
    values["audit"]["checkpoints"]["anchors"].append({"syslog": f"{tmp_path}/no log"})
    signing.write(values)
    made = await signing.run("audit", "checkpoint", "--json")
    assert (made.code, len(made.document["kept"]), len(made.document["failed"])) == (8, 2, 1), made


@pytest.mark.parametrize(
    ("anchor", "what"),
    [
        ({}, "one of file, syslog or ledger"),
        ({"file": "a", "syslog": "/dev/log"}, "one of file, syslog or ledger"),
        ({"syslog": "logs.example.net"}, "no syslog"),
        ({"file": "a", "password": "env:X"}, "belongs to a ledger"),
        ({"ledger": "postgresql://u:secret@h/d"}, "holds a password"),
    ],
)
async def test_an_anchor_that_is_none_is_refused_with_its_line(
    tmp_path: Path, anchor: dict[str, str], what: str
) -> None:
    command = Command(tmp_path, {})
    command.write({"audit": {**command.audit, "checkpoints": {"anchors": [anchor]}}})
    done = await command.run("audit", "verify")
    assert (done.code, what in done.err, "line" in done.err, "secret" in done.err) == (
        2,
        True,
        True,
        False,
    ), done


async def test_a_key_is_never_written_over_another_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("mine")
    done = await Command(tmp_path, {}).run("audit", "keygen", str(tmp_path / "key"))
    assert (done.code, (tmp_path / "key").read_text()) == (2, "mine"), done


async def test_the_lines_for_a_config_name_the_key_from_everywhere(tmp_path: Path) -> None:
    """A config is read from other folders than the one in which the key was made."""
    given = os.path.relpath(tmp_path / "key", Path(__file__).parent.parent.parent)
    done = await Command(tmp_path, {}).run("audit", "keygen", given)
    named = next(line.partition("file:")[2] for line in done.out.splitlines() if "key: file:" in line)
    assert Path(named).is_absolute()
    assert Path(named).samefile(tmp_path / "key")


async def test_a_literal_key_is_refused_and_not_repeated(tmp_path: Path) -> None:
    command = Command(tmp_path, {})
    command.write({"audit": {**command.audit, "checkpoints": {"key": "ab" * 32}}})
    done = await command.run("audit", "verify")
    assert (done.code, "ab" * 32 in done.err) == (2, False), done


async def test_lines_for_a_collector_go_on_where_the_last_ended(signing: Command) -> None:
    await signing.run("audit", "checkpoint")
    whole = (await signing.run("audit", "export", "-", "--format", "json")).out.splitlines()
    last = json.loads(whole[-1])["id"]
    await signing.run("audit", "checkpoint")
    later = (
        await signing.run("audit", "export", "-", "--format", "cef", "--above", str(last))
    ).out.splitlines()
    assert len(later) == 3
    assert all(line.startswith("CEF:0|dbdeck|") for line in later)


async def test_a_text_goes_only_with_a_reason_and_a_yes(tmp_path: Path) -> None:
    command = Command(tmp_path, {})
    await command.run("audit", "keygen", str(tmp_path / "key"))
    command.write({"audit": {**command.audit, "checkpoints": {"key": f"file:{tmp_path}/key"}}})
    await command.run("audit", "checkpoint")
    assert (await command.run("audit", "redact", "1", "--yes")).code == 2
    asked = await command.run("audit", "redact", "1", "--reason", "x")
    assert (asked.code, "nothing was redacted" in asked.err) == (2, True), asked
    refused = await command.run("audit", "redact", "1", "--reason", "x", "--yes")
    assert (refused.code, "row 1 is of the kind open" in refused.err) == (4, True), refused


async def test_a_row_without_its_text_is_shown_as_one(tmp_path: Path) -> None:
    command = Command(tmp_path, {})
    action = uuid4()
    async with open_ledger(command.audit["url"], Path(command.audit["journal"])) as ledger:
        await ledger.append(Kind.INTENT, action, {"action": "note", "reason": "what should not be kept"})
        await ledger.append(Kind.OUTCOME, action, {"status": "applied"})
    rows = (await command.run("audit", "list", "--json")).rows
    (number,) = (row["id"] for row in rows if row["kind"] == "intent")
    gone = await command.run("audit", "redact", str(number), "--reason", "x", "--yes")
    assert gone.code == 0, gone
    told = await command.run("audit", "show", str(action))
    assert told.code == 0, told
    assert "(redacted)" in told.out
    assert '  "status": "applied"' in told.out
