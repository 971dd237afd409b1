"""The local journal: durable, private, and never fooled about its own file."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.audit import chain
from console.audit.journal import Header, Journal, alive, encode_line, place
from console.audit.mounts import file_system
from console.audit.readback import Contents, evidence, parse, read_evidence
from console.audit.record import Row, canonical_json, encode
from console.errors import AuditUnavailable
from tests.audit.forge import entry, row

LEDGER = uuid4()


def create(folder: Path, writer: UUID | None = None) -> Journal:
    return Journal.create(folder, Header(writer=writer or uuid4(), ledger=LEDGER, sink="sqlite:///x"))


def rows(writer: UUID, count: int) -> list[Row]:
    made: list[Row] = []
    head = chain.Head(0, chain.START)
    for number in range(count):
        made.append(row(head, writer, json.dumps({"n": number})))
        head = chain.Head(made[-1].seq, made[-1].link)
    return made


def only(folder: Path) -> Contents:
    (path,) = folder.glob("*.ndjson")
    return parse(path.read_bytes())


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """As a full disk: a write beyond it fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_only_what_the_table_took_is_a_receipt(journal: Path) -> None:
    writer = uuid4()
    open_journal = create(journal, writer)
    taken, voided, lost = rows(writer, 3)
    open_journal.row(taken)
    open_journal.ack(entry(taken, 7, chain.START))
    open_journal.row(voided)
    open_journal.void(voided, "no room")
    open_journal.row(lost)
    open_journal.close()
    read = only(journal)
    (receipt,) = read.receipts
    assert (receipt.writer, receipt.seq, receipt.link, receipt.id) == (writer, 1, taken.link, 7)
    assert read.undecided == (lost,)
    assert not read.damaged


def test_a_voided_row_that_is_tried_again_waits_again(journal: Path) -> None:
    writer = uuid4()
    open_journal = create(journal, writer)
    (again,) = rows(writer, 1)
    open_journal.row(again)
    open_journal.void(again, "no room")
    open_journal.row(again)
    open_journal.close()
    read = only(journal)
    assert read.undecided == (again,)


def test_it_is_private_and_locked_while_open(journal: Path) -> None:
    writer = uuid4()
    open_journal = create(journal, writer)
    path = place(journal, writer)
    assert (path.stat().st_mode & 0o777, journal.stat().st_mode & 0o777) == (0o600, 0o700)
    assert alive(journal, writer)
    open_journal.close()
    assert not alive(journal, writer)
    assert not alive(journal, uuid4())


def test_a_folder_that_others_may_enter_is_refused(journal: Path) -> None:
    journal.mkdir(mode=0o755)
    with pytest.raises(AuditUnavailable, match=r"mode 0755.*chmod"):
        create(journal)


def test_another_ledger_is_no_evidence(journal: Path) -> None:
    create(journal).close()
    assert len(read_evidence(journal, uuid4(), "sqlite:///x")) == 1
    assert len(read_evidence(journal, LEDGER, "elsewhere")) == 1
    assert read_evidence(journal, uuid4(), "elsewhere") == []


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    shutil.copy(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").rename(path)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5)


def extend(path: Path) -> None:
    with path.open("a") as file:
        file.write("x")


@pytest.mark.parametrize("harm", [delete, replace, cut, extend])
def test_a_file_that_was_touched_is_noticed(journal: Path, harm: Callable[[Path], None]) -> None:
    writer = uuid4()
    open_journal = create(journal, writer)
    harm(place(journal, writer))
    with pytest.raises(AuditUnavailable, match=str(writer)):
        open_journal.row(rows(writer, 1)[0])
    open_journal.close()


def test_a_full_disk_leaves_no_torn_line(journal: Path) -> None:
    writer = uuid4()
    open_journal = create(journal, writer)
    first, second = rows(writer, 2)
    open_journal.row(first)
    size = place(journal, writer).stat().st_size
    with largest_file(size + 100), pytest.raises(AuditUnavailable, match="File too large"):
        open_journal.row(second)
    assert place(journal, writer).stat().st_size == size
    open_journal.row(second)
    open_journal.close()
    read = only(journal)
    assert read.undecided == (first, second)
    assert not read.damaged


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="no tmpfs here")
def test_memory_is_no_disk() -> None:
    folder = Path("/dev/shm") / f"dbdeck-{uuid4()}"
    try:
        with pytest.raises(AuditUnavailable, match="a reboot empties"):
            create(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


MOUNTS = """\
22 1 0:20 / / rw - ext4 /dev/root rw
23 22 0:21 / /tmp rw - tmpfs tmpfs rw
24 22 0:22 / /srv/with\\040blank rw shared:1 - nfs4 nas:/x rw
25 22 0:23 / /var rw - xfs /dev/b rw
26 22 0:24 / /var rw - ramfs none rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/x", "ext4"),
        ("/tmp/a/b", "tmpfs"),
        ("/tmpfile", "ext4"),
        ("/srv/with blank/j", "nfs4"),
        ("/var/l", "ramfs"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


@given(st.data())
def test_a_torn_end_is_a_crash_and_a_torn_middle_is_damage(data: st.DataObject) -> None:
    writer = uuid4()
    lines = [json.dumps({"journal": {"writer": str(writer), "ledger": str(LEDGER), "sink": "x"}})]
    lines += [
        json.dumps({"ack": {"seq": n, "link": "00" * 32, "id": n, "seal": "00" * 32}}) for n in range(1, 5)
    ]
    whole = "\n".join(lines).encode() + b"\n"
    end = data.draw(st.integers(0, len(whole)))
    torn = parse(whole[:end] + data.draw(st.sampled_from([b"", b"\0" * 40, b"{", b"\xff\n\n"])))
    assert not torn.damaged
    start = data.draw(st.integers(1, len(whole) - 200))
    assert parse(whole[:start] + b"\x00garbage" + whole[start + 3 :]).damaged


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read(data: bytes) -> None:
    parse(data)


def text_of(writer: UUID, made: list[Row]) -> bytes:
    """A journal in which the table took each row."""
    lines: list[dict[str, object]] = [
        {"journal": {"writer": str(writer), "ledger": str(LEDGER), "sink": "x"}}
    ]
    for one in made:
        ack = {"seq": one.seq, "link": one.link.hex(), "id": one.seq, "seal": "00" * 32}
        lines += [{"row": encode(one)}, {"ack": ack}]
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


@given(st.data())
def test_evidence_is_what_the_whole_journal_says(data: st.DataObject) -> None:
    writer = uuid4()
    whole = text_of(writer, rows(writer, 3))
    start = data.draw(st.integers(0, len(whole)))
    harmed = whole[:start] + data.draw(st.binary(max_size=4)) + whole[start + data.draw(st.integers(0, 9)) :]
    contents = parse(harmed)
    found = evidence(io.BytesIO(harmed), LEDGER, "x")
    if contents.header is None or (contents.header.ledger != LEDGER and contents.header.sink != "x"):
        assert found is None
    else:
        assert found is not None
        assert (found.header, found.receipts) == (contents.header, contents.receipts)
        assert found.damaged == contents.damaged


@pytest.mark.skipif(os.geteuid() != 0, reason="only root comes into a folder of somebody else")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """Its mode keeps others out, and its owner may put another journal in the place of this one."""
    folder = tmp_path / "journal"
    folder.mkdir(0o700)
    os.chown(folder, 65534, 65534)
    with pytest.raises(AuditUnavailable, match="belongs to somebody else"):
        create(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["{}.ndjson", "{}.glass.ndjson"])
def test_a_journal_without_its_first_line_is_a_fault(tmp_path: Path, name: str) -> None:
    """It was taken for that of another ledger, and the rows it proves were missed by nobody."""
    writer = uuid4()
    path = tmp_path / name.format(writer)
    whole = text_of(writer, rows(writer, 2))
    header, _, rest = whole.partition(b"\n")
    for harmed in (rest, b"X" + whole[1:], b"\n" + rest, b"\0" * len(header) + b"\n" + rest):
        path.write_bytes(harmed)
        (found,) = read_evidence(tmp_path, LEDGER, "x")
        assert (found.header.writer, found.receipts, found.damaged) == (writer, (), True)


def test_what_a_crash_leaves_of_a_first_line_is_no_fault(tmp_path: Path) -> None:
    writer = uuid4()
    header, _, _ = text_of(writer, []).partition(b"\n")
    for left in (b"", header[:20], header, b"\0" * 20):
        (tmp_path / f"{writer}.ndjson").write_bytes(left)
        assert [one for one in read_evidence(tmp_path, LEDGER, "x") if one.damaged] == []
    (tmp_path / f"{writer}.ndjson").write_bytes(text_of(writer, rows(writer, 1)))
    (tmp_path / "export.ndjson").write_bytes(b'{"id":1}\n')
    assert read_evidence(tmp_path, uuid4(), "of another") == []


def test_what_a_checkpoint_covers_is_not_looked_into() -> None:
    writer = uuid4()
    made = rows(writer, 4)
    covered = {writer: chain.Head(2, made[1].link)}
    whole = text_of(writer, made)
    changed = whole.replace(b'{\\"n\\": 1}', b'{\\"n\\": 9}')
    assert changed != whole
    found = evidence(io.BytesIO(changed), LEDGER, "x", covered)
    assert found is not None
    assert [one.seq for one in found.receipts] == [3, 4]
    assert not found.damaged
    later = evidence(io.BytesIO(whole.replace(b'{\\"n\\": 2}', b'{\\"n\\": 9}')), LEDGER, "x", covered)
    assert later is not None
    assert later.damaged


@pytest.mark.parametrize("name", ["link", "seal"])
def test_an_answer_with_a_damaged_byte_is_a_fault(name: str) -> None:
    """Also where the other one makes up for it: together they were an even number of digits."""
    writer = uuid4()
    whole = text_of(writer, rows(writer, 2))
    start = whole.index(f'"{name}":"'.encode(), whole.index(b'{"ack":{')) + len(name) + 4
    harmed = whole[:start] + b" " + whole[start + 1 :]
    found = evidence(io.BytesIO(harmed), LEDGER, "x")
    assert found is not None
    assert found.damaged
    assert parse(harmed).damaged


async def test_a_journal_that_cannot_be_looked_at_takes_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(_: int) -> os.stat_result:
        raise OSError(errno.ESTALE, "Stale file handle")

    journal = create(tmp_path / "journal")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", stale)
        journal.ack(entry(rows(uuid4(), 1)[0], 1, chain.START))
        with pytest.raises(AuditUnavailable, match="Stale file handle"):
            journal.check()
    journal.check()


ANY_TEXT = st.text(st.characters(exclude_categories=()))  # what a server sent in no known encoding, too


@given(st.dictionaries(ANY_TEXT, st.none() | st.booleans() | st.integers() | st.uuids() | ANY_TEXT))
def test_a_line_is_the_one_text_of_what_it_holds(held: dict[str, object]) -> None:
    assert encode_line("row", held) == canonical_json({"row": held}).encode() + b"\n"


def test_a_line_writes_every_character_as_the_one_text_does() -> None:
    every = {"body": "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)}
    assert encode_line("row", every) == canonical_json({"row": every}).encode() + b"\n"


def test_a_line_that_is_being_written_is_the_last() -> None:
    """An open file gives the beginning of a line at its end, and the rest of it as another line later."""
    writer = uuid4()
    made = rows(writer, 2)
    header, first, ack, second, *_ = text_of(writer, made).splitlines(keepends=True)
    found = evidence([header, first, ack, second[:30], second[30:], ack], LEDGER, "x")
    assert found is not None
    assert [one.seq for one in found.receipts] == [1]
    assert not found.damaged
