"""Signed checkpoints on every store, the anchors that keep them, and proofs for who has no ledger."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from console.audit import anchors, marks, proof_verifier
from console.audit.checkpoint import Checkpoint, Signed, new_key, parse, sign
from console.audit.proof import bundle, prove
from console.audit.record import Entry, Kind
from console.cli.checkpoint import anchored, given
from console.errors import AuditUnavailable, ConfigError, LedgerFault, PrivilegeMissing, UsageError
from console.model.anchors import Anchor
from console.secrets import Secret
from tests.audit.sinks import Sink, SqliteSink
from tests.audit.test_tamper import BEFORE, TAIL, fill, named
from tests.command import Command

PRIVATE, PUBLIC = new_key()
TRUSTED = (PUBLIC,)


def nothing(reference: str) -> Secret:
    raise AssertionError(reference)


async def marked(sink: Sink, *, then: int = 3) -> Signed:
    """Two writers' rows, a checkpoint, and a few rows after it."""
    await fill(sink)
    async with sink.open() as signer:
        signed = await signer.checkpoint(PRIVATE)
    async with sink.open() as late:
        for number in range(then):
            await late.append(Kind.STEP, uuid4(), {"n": number})
    return signed


async def faults(sink: Sink, journal: Path, points: Mapping[bytes, Checkpoint], **over: Any) -> set[str]:
    async with sink.open(write=False, journal=journal) as ledger:
        found = await ledger.verify(anchored=points, trusted=TRUSTED, **over)
        return {fault.kind for fault in found.faults}


def points(signed: Signed) -> dict[bytes, Checkpoint]:
    return anchors.points_of([signed], None, TRUSTED)


async def test_the_untouched_ledger_fits_its_anchors(sink: Sink, disk: Path) -> None:
    signed = await marked(sink)
    assert await faults(sink, disk / "no journals", points(signed)) == set()
    async with sink.open(write=False) as ledger:
        base = await ledger.base(TRUSTED)
        assert base is not None
        assert (await ledger.verify(trusted=TRUSTED, since=base)).ok


@pytest.mark.parametrize("name", ["a row below all others", "a row with the id 0"])
async def test_a_row_in_front_of_all_shows_since_a_checkpoint(sink: Sink, disk: Path, name: str) -> None:
    a, b = await fill(sink)
    async with sink.open() as signer:
        await signer.checkpoint(PRIVATE)
    await sink.attack(named(sink, BEFORE[name][0], a, b))
    async with sink.open(write=False, journal=disk / "no journals") as reader:
        base = await reader.base(TRUSTED)
        assert base is not None
        found = await reader.verify(trusted=TRUSTED, since=base)
    assert "id" in {fault.kind for fault in found.faults}


@pytest.mark.parametrize("name", [None, "middle row deleted", "tail cut", "a row with the id 0"])
async def test_rows_that_are_not_read_since_a_checkpoint_are_counted(
    sink: Sink, disk: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    monkeypatch.setattr(marks, "SETTLED", timedelta(0))  # the floor of a ledger that stands for a while
    a, b = await fill(sink)
    async with sink.open() as signer:
        await signer.checkpoint(PRIVATE)
    if name is not None:
        await sink.attack(named(sink, BEFORE[name][0], a, b))
    async with sink.open(write=False, journal=disk / "no journals") as reader:
        base = await reader.base(TRUSTED)
        assert base is not None
        assert base.point.floor > 20
        found = await reader.verify(trusted=TRUSTED, since=base)
    kinds = {fault.kind for fault in found.faults}
    assert kinds == set() if name is None else BEFORE[name][1] in kinds
    assert name is not None or found.rows < 20, "nothing was wrong, and all was read"


@pytest.mark.parametrize("name", BEFORE)
async def test_what_was_changed_before_a_checkpoint_shows(sink: Sink, disk: Path, name: str) -> None:
    a, b = await fill(sink)
    async with sink.open() as signer:
        signed = await signer.checkpoint(PRIVATE)
    await sink.attack(named(sink, BEFORE[name][0], a, b))
    assert BEFORE[name][1] in await faults(sink, disk / "no journals", points(signed))


@pytest.mark.parametrize("name", TAIL)
async def test_a_tail_that_is_cut_shows_by_the_anchor_alone(sink: Sink, disk: Path, name: str) -> None:
    _, b = await fill(sink)
    async with sink.open() as signer:
        signed = await signer.checkpoint(PRIVATE)
    itself = f"delete from {{entry}} where writer = '{signer.writer}'"
    await sink.attack(itself, TAIL[name].format(b=b.writer, entry="{entry}"))
    found = await faults(sink, disk / "no journals", points(signed))
    assert found == {"checkpoint"}


async def test_nothing_is_signed_of_a_ledger_with_a_fault(sink: Sink) -> None:
    a, _ = await fill(sink)
    await sink.attack(BEFORE["user"][0].format(a=a.writer, entry="{entry}"))
    async with sink.open() as signer:
        with pytest.raises(LedgerFault, match="no checkpoint was made") as caught:
            await signer.checkpoint(PRIVATE)
        assert caught.value.hint == "`dbdeck audit verify` names them"
        assert await signer.entries(kinds=(Kind.CHECKPOINT,)) == []


async def test_the_second_goes_on_from_the_first(sink: Sink) -> None:
    first = await marked(sink)
    async with sink.open() as signer:
        second = await signer.checkpoint(PRIVATE)
    (point,) = points(second).values()
    assert point.previous == first.digest
    async with sink.open(write=False) as ledger:
        assert point.ledger == ledger.id
        assert (await ledger.verify(trusted=TRUSTED)).checkpoints == 2


async def test_a_new_key_goes_on_where_the_old_one_ended(sqlite: SqliteSink) -> None:
    first = await marked(sqlite)
    new, public = new_key()
    async with sqlite.open() as signer:
        second = await signer.checkpoint(new, TRUSTED)
        base = await signer.base((PUBLIC, public))
    assert base is not None
    assert (base.digest, base.point.previous) == (second.digest, first.digest)


async def test_nothing_goes_on_from_a_checkpoint_that_nobody_trusted_signed(sqlite: SqliteSink) -> None:
    await marked(sqlite)
    async with sqlite.open() as signer:
        await signer.checkpoint(new_key()[0])
    async with sqlite.open() as signer:
        with pytest.raises(LedgerFault, match="no checkpoint was made"):
            await signer.checkpoint(PRIVATE, TRUSTED)


# ---- where they are kept -------------------------------------------------------------------------


async def test_a_file_keeps_every_checkpoint(sink: Sink, disk: Path) -> None:
    anchor = Anchor(file=str(disk / "anchors.ndjson"))
    signed = await marked(sink)
    for _ in range(2):
        await anchors.keep(anchor, signed, sink.journal, nothing)
    assert await anchors.kept(anchor, sink.journal, nothing) == [signed, signed]
    assert Path(str(anchor.file)).stat().st_mode & 0o777 == 0o600


async def test_a_line_that_did_not_fit_is_taken_back(
    sqlite: SqliteSink, monkeypatch: Any, disk: Path
) -> None:
    anchor = Anchor(file=str(disk / "anchors.ndjson"))
    signed = await marked(sqlite)
    await anchors.keep(anchor, signed, sqlite.journal, nothing)
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda at, data: write(at, data[:9]))
        with pytest.raises(AuditUnavailable, match="only a part"):
            await anchors.keep(anchor, signed, sqlite.journal, nothing)
    await anchors.keep(anchor, signed, sqlite.journal, nothing)
    assert await anchors.kept(anchor, sqlite.journal, nothing) == [signed, signed]


async def test_an_anchor_that_may_not_be_read_is_told_and_the_others_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], disk: Path
) -> None:
    """A login that may only append to it makes copies, and cannot read them."""
    signed = sign(Checkpoint(heads={}, rows=0, ledger=UUID(int=7)), PRIVATE)

    async def kept(*_: object) -> list[Signed]:
        raise PrivilegeMissing("the ledger of others may not be read")

    monkeypatch.setattr(anchors, "kept", kept)
    file = Anchor(file=str(disk / "anchors.ndjson"))
    await anchors.keep(file, signed, disk, nothing)
    known = SimpleNamespace(anchors=(Anchor(ledger="mysql://u@h/d"), file))
    config: Any = SimpleNamespace(audit=SimpleNamespace(checkpoints=known), journal=Path())
    assert set((await anchored(config, UUID(int=7), TRUSTED))[0]) == {signed.digest}
    assert "may not be read: not compared with it" in capsys.readouterr().err
    assert await anchored(config, UUID(int=8), TRUSTED) == ({}, ())
    assert "none of this ledger" in capsys.readouterr().err


async def test_a_ledger_that_was_put_back_gets_no_new_checkpoint(sqlite: SqliteSink, tmp_path: Path) -> None:
    """Where no journal tells: the anchor does, before anything new is signed and anchored."""
    private, public = new_key()
    (tmp_path / "key").write_text(private.reveal())
    (tmp_path / "key").chmod(0o600)
    anchor = tmp_path / "anchors.ndjson"
    checkpoints = {"key": f"file:{tmp_path / 'key'}", "trusted": [public], "anchors": [{"file": str(anchor)}]}
    command = Command(tmp_path, {}, url=sqlite.url, checkpoints=checkpoints)
    async with sqlite.open() as ledger:
        await ledger.append(Kind.STEP, uuid4(), {"n": 1})
    assert (await command.run("audit", "checkpoint")).code == 0
    before = sqlite.path.read_bytes()
    async with sqlite.open() as ledger:
        await ledger.append(Kind.STEP, uuid4(), {"n": 2})
    assert (await command.run("audit", "checkpoint")).code == 0
    sqlite.path.write_bytes(before)
    shutil.rmtree(tmp_path / "journal")
    lines = anchor.read_text()
    done = await command.run("audit", "checkpoint")
    assert (done.code, "no checkpoint was made" in done.err) == (11, True), done
    assert anchor.read_text() == lines
    assert (await command.run("audit", "verify")).code == 11


async def test_a_ledger_that_lost_rows_goes_on_as_it_is_told_to(sqlite: SqliteSink, tmp_path: Path) -> None:
    """A new anchor, and the journals of what was lost in a folder of their own: both tell of it still."""
    private, public = new_key()
    (tmp_path / "key").write_text(private.reveal())
    (tmp_path / "key").chmod(0o600)
    old, new, kept = tmp_path / "old.ndjson", tmp_path / "new.ndjson", tmp_path / "kept"

    def at_work(anchor: Path, journal: Path) -> Command:
        checkpoints = {
            "key": f"file:{tmp_path / 'key'}", "trusted": [public], "anchors": [{"file": str(anchor)}]
        }  # fmt: skip
        return Command(tmp_path, {}, url=sqlite.url, journal=str(journal), checkpoints=checkpoints)

    command = at_work(old, sqlite.journal)
    assert (await command.run("audit", "checkpoint")).code == 0
    before = sqlite.path.read_bytes()
    async with sqlite.open() as ledger:
        await ledger.append(Kind.STEP, uuid4(), {"n": 2})
    assert (await command.run("audit", "checkpoint")).code == 0
    sqlite.path.write_bytes(before)
    refused = await command.run("audit", "checkpoint")
    assert (refused.code, "Going on after a loss" in refused.err) == (11, True), refused
    found = (await command.run("audit", "verify", "--json")).document["faults"]
    kept.mkdir(0o700)
    for writer in {one["writer"] for one in found if one["kind"] == "receipt"}:
        (sqlite.journal / f"{writer}.ndjson").rename(kept / f"{writer}.ndjson")
    assert (await command.run("audit", "checkpoint")).code == 11, "the anchor says it, too"
    command = at_work(new, sqlite.journal)
    assert (await command.run("audit", "checkpoint")).code == 0
    assert (await command.run("audit", "verify")).code == 0
    lost = await command.run("audit", "verify", "--anchor", str(old), "--json")
    assert (lost.code, {one["kind"] for one in lost.document["faults"]}) == (11, {"checkpoint"}), lost
    lost = await at_work(new, kept).run("audit", "verify", "--json")
    assert (lost.code, {one["kind"] for one in lost.document["faults"]}) == (11, {"receipt"}), lost


async def test_an_anchor_that_proves_nothing_is_told(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Emptied, or written anew by somebody with another key: nothing is compared, and that is no "whole"."""
    path, ours = disk / "anchors.ndjson", UUID(int=7)
    known = SimpleNamespace(anchors=(Anchor(file=str(path)),))
    config: Any = SimpleNamespace(audit=SimpleNamespace(checkpoints=known), journal=disk)
    path.write_bytes(b"")
    assert await anchored(config, ours, TRUSTED) == ({}, ())
    assert "the anchors hold no checkpoint: nothing was compared with them" in capsys.readouterr().err
    theirs, _ = new_key()
    forged = sign(Checkpoint(heads={}, rows=0, ledger=ours), theirs)
    await anchors.keep(known.anchors[0], forged, disk, nothing)
    assert await anchored(config, ours, TRUSTED) == ({}, ())
    told = "no trusted key signed 1 checkpoint of this ledger in the anchors: not compared with them"
    assert told in capsys.readouterr().err
    assert await anchored(config, UUID(int=8), TRUSTED) == ({}, ())
    assert "no trusted key" not in capsys.readouterr().err
    good = sign(Checkpoint(heads={}, rows=0, ledger=ours), PRIVATE)
    await anchors.keep(known.anchors[0], good, disk, nothing)
    assert set((await anchored(config, ours, TRUSTED))[0]) == {good.digest}
    assert told in capsys.readouterr().err


async def test_a_file_behind_a_link_is_refused(sink: Sink, disk: Path) -> None:
    (disk / "link").symlink_to(disk / "elsewhere")
    signed = await marked(sink)
    with pytest.raises(AuditUnavailable, match="cannot be written"):
        await anchors.keep(Anchor(file=str(disk / "link")), signed, sink.journal, nothing)
    assert not (disk / "elsewhere").exists()


async def test_a_line_that_is_none_is_a_fault_and_the_others_are_compared(
    sqlite: SqliteSink, disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Anchor(file=str(disk / "anchors.ndjson"))
    signed = await marked(sqlite)
    path = Path(str(file.file))
    path.write_bytes(b'{"text":\xff\n' + b"[" * 100_000 + b"\n")
    await anchors.keep(file, signed, sqlite.journal, nothing)
    known = SimpleNamespace(anchors=(file,))
    config: Any = SimpleNamespace(audit=SimpleNamespace(checkpoints=known), journal=sqlite.journal)
    async with sqlite.open(write=False) as ledger:
        found, wrong = await anchored(config, ledger.id, TRUSTED)
    assert set(found) == {signed.digest}
    assert [one.kind for one in wrong] == ["anchor", "anchor"]
    assert "line 2 of the anchor" in capsys.readouterr().err


@pytest.mark.parametrize("zeros", [0, 1, 4096])
@pytest.mark.parametrize("left", [0, 1, 9, 200, -1])
async def test_a_line_that_lost_its_end_is_told_and_the_next_stands_by_itself(
    sqlite: SqliteSink, disk: Path, capsys: pytest.CaptureFixture[str], left: int, zeros: int
) -> None:
    """As a crash, a power cut or a full disk leaves it in a file that only grows: no fault of anybody."""
    file = Anchor(file=str(disk / "anchors.ndjson"))
    path = Path(str(file.file))
    first = await marked(sqlite)
    assert await anchors.keep(file, first, sqlite.journal, nothing) == ""
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:left] + bytes(zeros))
    async with sqlite.open() as signer:
        second = await signer.checkpoint(PRIVATE)
    told = await anchors.keep(file, second, sqlite.journal, nothing)
    assert ("had lost its end" in told) == (left != 0 or zeros > 0)
    known = SimpleNamespace(anchors=(file,))
    config: Any = SimpleNamespace(audit=SimpleNamespace(checkpoints=known), journal=sqlite.journal)
    async with sqlite.open(write=False) as ledger:
        found, wrong = await anchored(config, ledger.id, TRUSTED)
    assert (set(found), wrong) == ({first.digest, second.digest}, ())
    told = capsys.readouterr().err
    assert ("line 2 of the anchor" in told and "was not written to its end" in told) == (
        left > 0 or (not left and zeros > 0)
    )
    assert given([str(path)], TRUSTED, ledger.id) == found


async def test_a_file_that_may_not_be_read_gets_lines_of_their_own(disk: Path) -> None:
    signed = sign(Checkpoint(heads={}, rows=0, ledger=UUID(int=7)), PRIVATE)
    path = disk / "anchors.ndjson"
    torn = b'{"key":"ab'
    path.write_bytes(torn)
    file = Anchor(file=str(path))
    with pytest.MonkeyPatch.context() as patch:
        opened = os.open

        def only_to_write(name: Any, flags: int, *more: Any, **given: Any) -> int:
            if Path(name) == path and flags & os.O_RDWR:  # what root is never told
                raise PermissionError(13, "Permission denied")
            return opened(name, flags, *more, **given)

        patch.setattr(os, "open", only_to_write)
        for _ in range(2):
            assert await anchors.keep(file, signed, disk, nothing) == ""
    assert await anchors.kept(file, disk, nothing) == [signed, signed]


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
async def test_what_is_no_file_is_refused_and_the_command_ends(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "anchor"
    match kind:
        case "pipe":
            os.mkfifo(place)
        case "folder":
            place.mkdir()
    name = "/dev/full" if kind == "device" else str(place)
    private, public = new_key()
    (tmp_path / "key").write_text(private.reveal())
    (tmp_path / "key").chmod(0o600)
    checkpoints = {"key": f"file:{tmp_path / 'key'}", "trusted": [public], "anchors": [{"file": name}]}
    command = Command(tmp_path, {}, checkpoints=checkpoints)
    done = await command.run("audit", "checkpoint")
    assert (done.code, "cannot be written" in done.err) == (8, True), done
    verified = await command.run("audit", "verify")
    assert (verified.code, "not compared with it" in verified.err) == (0, True), verified


def test_what_others_wrote_names_the_line(disk: Path) -> None:
    path = disk / "anchors.ndjson"
    path.write_text('{"key":"a","signature":"b","text":"c"}\n{"key":x\n')
    with pytest.raises(ConfigError, match="line 2"):
        given([str(path)], ())


async def test_a_syslog_is_told_the_digest(sink: Sink) -> None:
    signed = await marked(sink)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(5)
        address = f"udp://127.0.0.1:{collector.getsockname()[1]}"
        await anchors.keep(Anchor(syslog=address), signed, sink.journal, nothing)
        told = collector.recv(65536).decode()
    assert signed.digest.hex() in told
    assert signed.signature in told
    assert told.startswith("<38>dbdeck: audit checkpoint ")  # auth.info
    assert told.isprintable()


async def test_a_syslog_over_tcp_gets_whole_lines(sqlite: SqliteSink) -> None:
    signed = await marked(sqlite)
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def take() -> None:
            with server.accept()[0] as collector:
                collector.settimeout(10)
                while part := collector.recv(65536):
                    got.append(part)

        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        keeping = anchors.keep(Anchor(syslog=address), signed, sqlite.journal, nothing)
        await asyncio.gather(keeping, asyncio.to_thread(take))
    told = b"".join(got).decode()
    assert told.endswith("\n")
    assert told[:-1].isprintable()


@pytest.mark.parametrize("address", ["udp://127.0.0.1:99999", "udp://a..b:514"])
async def test_a_syslog_that_is_no_address_is_told(sqlite: SqliteSink, address: str) -> None:
    signed = await marked(sqlite)
    with pytest.raises(AuditUnavailable, match="no address"):
        await anchors.keep(Anchor(syslog=address), signed, sqlite.journal, nothing)


async def test_a_syslog_that_is_not_there_is_told(sink: Sink, disk: Path) -> None:
    signed = await marked(sink)
    with pytest.raises(AuditUnavailable, match="cannot be written"):
        await anchors.keep(Anchor(syslog=str(disk / "log")), signed, sink.journal, nothing)


async def test_the_ledger_of_another_database_keeps_a_copy(sink: Sink, disk: Path) -> None:
    signed = await marked(sink)
    other = Anchor(ledger=f"sqlite:///{disk}/other.db")
    await anchors.keep(other, signed, disk / "journal of the other", nothing)
    assert await anchors.kept(other, disk / "journal of the other", nothing) == [signed]


def test_what_nobody_trusted_signed_proves_nothing() -> None:
    forged = Signed(text="{}", key=PUBLIC, signature="00" * 64)
    assert anchors.points_of([forged], None, TRUSTED) == {}


# ---- proofs -----------------------------------------------------------------------------------------


async def proof(sink: Sink) -> dict[str, Any]:
    action = uuid4()
    async with sink.open() as writer:
        await writer.append(Kind.INTENT, action, {"action": "session.terminate", "reason": "ä|=\n"})
        await writer.append(Kind.OUTCOME, action, {"status": "applied"})
    await marked(sink)
    async with sink.open(write=False) as ledger:
        return prove([row async for row in ledger.stream()], action, TRUSTED)


def checked(folder: Path, found: Mapping[str, Any], *words: str) -> tuple[int, str]:
    """What the bundle's own program says, by nothing but the standard library."""
    with zipfile.ZipFile(BytesIO(bundle(found))) as archive:
        archive.extractall(folder)
    argv = [sys.executable, "-I", "-S", "verify.py", "proof.json", *words]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


async def test_a_proof_holds_without_dbdeck(sink: Sink, tmp_path: Path) -> None:
    found = await proof(sink)
    code, said = checked(tmp_path, found, "--key", PUBLIC)
    assert (code, f"2 rows of {found['action']} proved" in said) == (0, True), said


async def test_a_proof_of_one_action_is_none_of_another(sqlite: SqliteSink, tmp_path: Path) -> None:
    """Its rows are true ones; what they are said to be of is not."""
    code, said = checked(tmp_path, {**await proof(sqlite), "action": str(uuid4())})
    assert (code, "it is not of the action" in said) == (1, True), said


ATTACKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "text": lambda row: row.update(body='{"status":"failed"}'),
    "text and hash": lambda row: row.update(body="{}", body_hash="00" * 32),
    "time": lambda row: row.update(at="2026-01-01T00:00:00.000000Z"),
    "login": lambda row: row.update(db_user="somebody"),
    "action": lambda row: row.update(action_id=str(uuid4())),
    "seal": lambda row: row.update(seal="00" * 32),
}


async def test_a_proof_that_was_changed_does_not_hold(sink: Sink, tmp_path: Path) -> None:
    found = await proof(sink)
    for name, attack in ATTACKS.items():
        changed = json.loads(json.dumps(found, default=str))
        attack(changed["rows"][1]["row"])
        code, said = checked(tmp_path, changed)
        assert (code, "FAULT" in said) == (1, True), (name, said)


async def test_another_key_or_signature_does_not_hold(sink: Sink, tmp_path: Path) -> None:
    found = await proof(sink)
    assert checked(tmp_path, found, "--key", "00" * 32)[0] == 1
    forged = json.loads(json.dumps(found, default=str))
    forged["checkpoints"][0]["text"] = forged["checkpoints"][0]["text"].replace('"rows":', '"rows":1')
    assert checked(tmp_path, forged)[0] == 1
    assert checked(tmp_path, {"proof": "nothing"})[0] == 2


async def test_no_text_of_a_proof_speaks_for_its_verifier(sqlite: SqliteSink, tmp_path: Path) -> None:
    """Whoever makes a key can sign any text: one that names another key, and hides the one that did sign."""
    found = json.loads(json.dumps(await proof(sqlite), default=str))
    own, _ = new_key()
    spoken = f"2026-01-01T00:00:00.000000Z, signed by {PUBLIC}\n\x1b[8m"
    for name, value in (("at", spoken), ("ledger", f"{uuid4()}\x1b[2K"), ("at", "never")):
        point = msgspec.structs.replace(parse(found["checkpoints"][0]["text"]), **{name: value})
        signed = msgspec.to_builtins(sign(point, own))
        code, said = checked(tmp_path, {**found, "checkpoints": [signed]})
        assert (code, PUBLIC in said, "\x1b" in said) == (2, False, False), said
    for number in ("\x1b[1A\x1b[2K", "1", True):
        changed = json.loads(json.dumps(found))
        changed["rows"][0]["row"].update(id=number, at="2026-01-01T00:00:00.000000Z")
        code, said = checked(tmp_path, changed)
        assert (code, "\x1b" in said) == (2, False), said
    code, said = checked(tmp_path, {**found, "action": f"{found['action']}\x1b[8m"})
    assert (code, "\x1b" in said) == (2, False), said


async def test_a_row_is_proved_once(sqlite: SqliteSink, tmp_path: Path) -> None:
    found = await proof(sqlite)
    code, said = checked(tmp_path, {**found, "rows": [*found["rows"], found["rows"][0]]})
    assert (code, "a row is there twice" in said) == (1, True), said


def test_what_is_no_proof_is_not_poured_out(tmp_path: Path) -> None:
    """The zip itself, as it was handed over: an auditor saw all its bytes, and no word of what to give."""
    (tmp_path / "proof.zip").write_bytes(bundle({"proof": "dbdeck/1"}) + b"\xff" * 5000)
    shutil.copy(proof_verifier.__file__, tmp_path / "verify.py")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for name in ("proof.zip", "absent.json", "deep.json"):
        argv = [sys.executable, "-I", "-S", "verify.py", name]
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith(f"{name} is no proof (")
        assert done.stderr.endswith("give the proof.json that is in the zip\n")
        assert len(done.stderr) < 200


async def test_what_no_checkpoint_covers_is_not_proved(sink: Sink) -> None:
    await marked(sink)
    async with sink.open(write=False) as ledger:
        rows: list[Entry] = [row async for row in ledger.stream()]
    late = next(row for row in reversed(rows) if row.kind == Kind.STEP)
    with pytest.raises(UsageError, match=f"no signed checkpoint covers row {late.id}"):
        prove(rows, late.action_id, TRUSTED)
