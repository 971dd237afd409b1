"""Break-glass: rows in a journal alone while the table is out of reach, merged and reviewed later."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.audit import chain, syslog
from console.audit.glass import GlassLedger, Terms, Window, open_glass
from console.audit.journal import GLASS, Header, encode_header, encode_line
from console.audit.ledger import Ledger, install, open_ledger
from console.audit.merge import read_whole
from console.audit.readback import line_of
from console.audit.record import Kind, Row, canonical_json, encode
from console.audit.syslog import receipt_line
from console.errors import AuditUnavailable, Refused, UsageError
from console.model.anchors import Anchor, anchor_fault
from console.secrets import Secret
from tests.audit.forge import row
from tests.audit.outage import ON_SERVERS, ON_SQLITE, outage
from tests.audit.sinks import MysqlSink, PostgresSink, Sink, SqliteSink
from tests.audit.test_journal import largest_file
from tests.audit.test_unavailable import can_mount, mounted
from tests.servers.accounts import APP, OPERATOR, PASSWORDS

ROOT = Path(__file__).resolve().parents[2]
TERMS = Terms(reason="the shop is down", target="shop", operator="ann", allowed_by={}, seconds=60.0)
DEADLINE = 1.0


def broken(sink: Sink, seconds: float = 60.0) -> contextlib.AbstractAsyncContextManager[GlassLedger]:
    terms = msgspec.structs.replace(TERMS, seconds=seconds)
    return open_glass(sink.url, sink.journal, terms, password=sink.password, deadline=DEADLINE)


def told(sink: Sink, *syslogs: str) -> contextlib.AbstractAsyncContextManager[GlassLedger]:
    return open_glass(sink.url, sink.journal, TERMS, syslogs=syslogs, deadline=DEADLINE)


async def known(sink: Sink) -> None:
    """This machine has written to the ledger before."""
    async with sink.open():
        pass


async def act(ledger: Ledger, *, ends: bool = True) -> UUID:
    action = uuid4()
    body = {"action": "session.terminate", "target": "shop", "operator": "dba", "reason": "x"}
    await ledger.append(Kind.INTENT, action, body)
    await ledger.append(Kind.STEP, action, {"step": 1})
    if ends:
        await ledger.append_late(Kind.OUTCOME, action, {"status": "applied"})
    return action


async def a_journal(sink: Sink, *, how: str = "dropped", ends: bool = True) -> tuple[Path, UUID]:
    await known(sink)
    async with outage(sink, how), broken(sink) as ledger:
        action = await act(ledger, ends=ends)
    return ledger.path, action


async def kinds(sink: Sink) -> list[str]:
    async with sink.open(write=False) as ledger:
        return [row.kind for row in await ledger.entries(newest_first=False)]


# ---- when the glass may be broken -----------------------------------------------------------------


def ways() -> list[str]:
    return sorted({*ON_SERVERS, *ON_SQLITE})


@pytest.mark.parametrize("how", ways())
async def test_rows_are_journaled_while_the_table_is_away_and_merged_later(sink: Sink, how: str) -> None:
    if how not in (ON_SQLITE if isinstance(sink, SqliteSink) else ON_SERVERS):
        pytest.skip("another kind of ledger fails so")
    if isinstance(sink, SqliteSink) and how == "dropped":
        pytest.skip("a file whose table is gone is restored from a backup")
    path, action = await a_journal(sink, how=how)
    async with sink.open() as ledger:
        assert [one.path for one in await ledger.unmerged()] == [str(path)]
        found = await ledger.merge(path)
        assert (found.rows, found.ended, found.already) == (6, True, 0)
        assert await ledger.unmerged() == []
        assert [row.kind for row in await ledger.entries(action_id=action, newest_first=False)] == [
            "intent", "step", "outcome",
        ]  # fmt: skip
        whole = await ledger.verify()
        assert whole.ok
        (bracket,) = whole.brackets
        assert (bracket.reason, bracket.target, bracket.operator, bracket.rows) == (
            "the shop is down", "shop", "ann", 6,
        )  # fmt: skip
        assert bracket.reviewed_by is None
        assert bracket.began_at is not None
        assert bracket.ended_at is not None
        assert bracket.began_at < bracket.ended_at < bracket.merged_at
        assert bracket.unreachable


async def test_a_ledger_that_answers_has_no_glass_to_break(sink: Sink) -> None:
    await known(sink)
    with pytest.raises(Refused, match="can be reached"):
        async with broken(sink):
            pass
    assert not list(sink.journal.glob(f"*{GLASS}"))


async def test_a_ledger_that_this_machine_never_wrote_to_is_refused(journal: Path) -> None:
    with pytest.raises(Refused, match="ever written"):
        async with open_glass("postgresql://dba@127.0.0.1:1/led", journal, TERMS, deadline=DEADLINE):
            pass
    assert not list(journal.glob(f"*{GLASS}"))


@pytest.mark.parametrize("what", ["login", "right"])
async def test_a_login_that_was_turned_away_gets_no_glass(sink: Sink, what: str) -> None:
    if isinstance(sink, SqliteSink):
        pytest.skip("a file turns nobody away")
    await known(sink)
    if what == "login":
        sink.password = Secret("not the one")
    elif isinstance(sink, PostgresSink):
        await sink.execute("revoke execute on all functions in schema dbdeck_audit from dbdeck_operator")
    else:
        pytest.skip("on MySQL it is the same answer")
    with pytest.raises(Refused, match="turns this login away"):
        async with broken(sink):
            pass


async def turned_away(sink: Sink, login: str, word: str) -> None:
    """Of a login of its own, which the others on this server do not have."""
    sink.url, sink.password = sink.url.replace(f"//{OPERATOR}@", f"//{login}@"), Secret(word)
    with pytest.raises(Refused, match="turns this login away"):
        async with broken(sink):
            pass


@pytest.mark.parametrize("how", ["account lock", "password expire", "blocked"])
async def test_a_login_that_mysql_does_not_let_in_gets_no_glass(mysql_sink: MysqlSink, how: str) -> None:
    await known(mysql_sink)
    login = f"dbdeck_test_{uuid4().hex[:8]}"
    await mysql_sink.execute(
        f"create user {login}@'%' identified by 'pw'",
        f"grant select on {mysql_sink.database}.* to {login}@'%'",
    )
    try:
        if how != "blocked":
            await mysql_sink.execute(f"alter user {login}@'%' {how}")
        elif mysql_sink.server.flavor == "mysql":
            await mysql_sink.execute(f"alter user {login}@'%' failed_login_attempts 2 password_lock_time 1")
        else:
            await mysql_sink.execute("set global max_password_errors = 2")
        for _ in range(2 if how == "blocked" else 0):
            await turned_away(mysql_sink, login, "not the one")
        await turned_away(mysql_sink, login, "pw")
    finally:
        await mysql_sink.execute(f"drop user {login}@'%'")
        if mysql_sink.server.flavor == "mariadb":
            await mysql_sink.execute("set global max_password_errors = default", "flush privileges")


async def test_a_login_that_may_not_enter_the_database_gets_no_glass(postgres_sink: PostgresSink) -> None:
    await known(postgres_sink)
    await postgres_sink.execute(f"revoke connect on database {postgres_sink.database} from public")
    with pytest.raises(Refused, match="turns this login away"):
        async with broken(postgres_sink):
            pass


async def test_without_a_journal_nothing_is_recorded_and_nothing_may_be_done(sqlite: SqliteSink) -> None:
    await known(sqlite)
    async with outage(sqlite, "locked"):
        sqlite.journal.chmod(0o755)
        with pytest.raises(AuditUnavailable, match="others may enter"):
            async with broken(sqlite):
                pass
        sqlite.journal.chmod(0o700)
        async with broken(sqlite) as ledger:
            action = uuid4()
            with largest_file(ledger.path.stat().st_size + 10), pytest.raises(AuditUnavailable):
                await ledger.append(Kind.INTENT, action, {})
            ledger.path.unlink()
            with pytest.raises(AuditUnavailable, match="No such file"):
                await ledger.append(Kind.INTENT, action, {})


@pytest.mark.skipif(not can_mount(), reason="only root may mount")
async def test_a_full_disk_is_refused_before_and_during(
    sqlite: SqliteSink, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a small tmpfs, where journals are refused otherwise."""
    monkeypatch.setattr("console.audit.journal.refuse_memory", lambda _: None)
    with mounted(disk / "small", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs"):
        sqlite.journal = disk / "small" / "journal"
        await known(sqlite)
        async with outage(sqlite, "locked"):
            async with broken(sqlite) as ledger:
                await ledger.append(Kind.INTENT, uuid4(), {})
                with pytest.raises(AuditUnavailable, match="No space left"):
                    await ledger.append(Kind.INTENT, uuid4(), {"x": "y" * 100_000})
                await ledger.append(Kind.INTENT, uuid4(), {})  # the torn line was taken back
            room = os.statvfs(sqlite.journal)
            (disk / "small" / "fill").write_bytes(b"x" * room.f_bavail * room.f_bsize)
            with pytest.raises(AuditUnavailable, match="No space left"):
                async with broken(sqlite):
                    pass


# ---- the window -----------------------------------------------------------------------------------


async def test_beyond_its_end_nothing_more_may_begin_but_what_was_begun_is_recorded(
    sqlite: SqliteSink,
) -> None:
    await known(sqlite)
    async with outage(sqlite, "locked"), broken(sqlite, seconds=1.5) as ledger:
        action = uuid4()
        await ledger.append(Kind.INTENT, action, {})
        await asyncio.sleep(1.6)
        for kind in (Kind.INTENT, Kind.STEP):
            with pytest.raises(AuditUnavailable, match="is over"):
                await ledger.append(kind, uuid4() if kind is Kind.INTENT else action, {})
        await ledger.append_late(Kind.OUTCOME, action, {"status": "failed"})
    async with sqlite.open() as later:
        await later.merge(ledger.path)
        assert await later.open_intents() == []


def test_the_first_of_two_clocks_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    by_wall, by_monotonic = Window(60.0), Window(60.0)
    by_wall.until = by_wall.until.replace(year=by_wall.until.year - 1)
    assert by_wall.left == 0
    monkeypatch.setattr("console.audit.glass.time.monotonic", lambda: float("inf"))
    assert by_monotonic.left == 0


async def test_it_is_never_open_for_longer_than_half_an_hour(sqlite: SqliteSink) -> None:
    await known(sqlite)
    async with outage(sqlite, "locked"), broken(sqlite, seconds=86400.0) as ledger:
        assert 1790 < ledger.window.left <= 1800


# ---- merging --------------------------------------------------------------------------------------


async def test_a_merge_that_is_repeated_adds_nothing(sink: Sink) -> None:
    if isinstance(sink, SqliteSink):
        path, _ = await a_journal(sink, how="locked")
    else:
        path, _ = await a_journal(sink)
    untouched = path.read_bytes()
    for _ in range(3):
        async with sink.open() as ledger:
            await ledger.merge(path)
            path.write_bytes(untouched)  # as if the receipts had been lost
    assert (await kinds(sink)).count("intent") == 1
    async with sink.open() as ledger:
        assert (await ledger.verify()).ok


async def test_the_next_writer_leaves_the_journal_to_merge(sqlite: SqliteSink) -> None:
    path, _ = await a_journal(sqlite, how="locked")
    before = path.read_bytes()
    await known(sqlite)
    assert path.read_bytes() == before
    assert "intent" not in await kinds(sqlite)


async def test_another_machine_merges_from_the_file_alone(sink: Sink, disk: Path) -> None:
    path, _ = await a_journal(sink, how="locked" if isinstance(sink, SqliteSink) else "dropped")
    copy = disk / "from-the-laptop.ndjson"
    shutil.copy(path, copy)
    copy.chmod(0o400)
    async with sink.open(journal=disk / "elsewhere") as ledger:
        await ledger.merge(copy)
        assert (await ledger.verify()).ok
    async with sink.open() as ledger:  # here nobody has told it yet
        assert len(await ledger.unmerged()) == 1
        await ledger.merge(path)
        assert await ledger.unmerged() == []
    assert (await kinds(sink)).count("intent") == 1


def hashed_anew(line: str) -> str:
    told = json.loads(line)
    body = canonical_json({**json.loads(told["row"]["body"]), "operator": "eve"})
    told["row"] |= {"body": body, "body_hash": hashlib.sha256(body.encode()).hexdigest()}
    return canonical_json(told)


def of_another_ledger(line: str) -> str:
    return line.replace(json.loads(line)["journal"]["ledger"], str(uuid4()))


# What becomes of the lines: the header, rows 1 to 6, and the end of the last line.
EDITED: dict[str, Callable[[list[str]], list[str]]] = {
    "edited": lambda lines: [*lines[:3], lines[3].replace("dba", "eve"), *lines[4:]],
    "edited and hashed anew": lambda lines: [*lines[:3], hashed_anew(lines[3]), *lines[4:]],
    "cut in the middle": lambda lines: [*lines[:4], *lines[5:]],
    "cut at the end": lambda lines: [*lines[:6], ""],
    "torn": lambda lines: [*lines[:6], lines[6][:40]],
    "re-ordered": lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]],
    "of no use": lambda lines: [*lines[:4], "{}", *lines[5:]],
    "of another ledger": lambda lines: [of_another_ledger(lines[0]), *lines[1:]],
    "without its beginning": lambda lines: [*lines[:2], *lines[3:]],
}
TOLD = {
    "edited": "row 3 .* was edited",
    "edited and hashed anew": "row 3 .* was edited",
    "cut in the middle": "row 4 .* is missing",
    "cut at the end": "no end after row 5",
    "torn": "no end after row 5",
    "re-ordered": "row 4 .* is missing",
    "of no use": "row 4 .* cannot be read",
    "of another ledger": "row 2 .* another ledger",
    "without its beginning": "row 2 .* is missing",
}


@pytest.mark.parametrize("what", TOLD)
async def test_a_journal_that_was_touched_is_refused_by_its_row(sqlite: SqliteSink, what: str) -> None:
    path, _ = await a_journal(sqlite, how="locked")
    path.write_text("\n".join(EDITED[what](path.read_text().split("\n"))))
    async with sqlite.open() as ledger:
        with pytest.raises(Refused, match=TOLD[what]) as caught:
            await ledger.merge(path)
    assert "nothing was merged" in caught.value.message
    assert "intent" not in await kinds(sqlite)


WRITER, LEDGER = UUID(int=7), UUID(int=8)


def in_memory(*bodies: str) -> list[bytes]:
    """Lines of a journal with these bodies between its beginning and its end."""
    begin = canonical_json({"event": "begin", "ledger": LEDGER})
    texts = [("open", "{}"), ("breakglass", begin), *(("note", body) for body in bodies)]
    head = chain.Head(0, chain.START)
    header = Header(writer=WRITER, ledger=LEDGER, sink="x", glass=True)
    lines = [encode_line("journal", encode_header(header))]
    for kind, body in [*texts, ("breakglass", canonical_json({"event": "end"}))]:
        one = row(head, WRITER, body, kind=kind)
        head = chain.Head(one.seq, one.link)
        lines.append(encode_line("row", encode(one)))
    return lines


BODIES = st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=9)).map(canonical_json), max_size=5)


@given(BODIES, st.data())
def test_no_line_can_be_taken_out_moved_doubled_or_changed(bodies: list[str], data: st.DataObject) -> None:
    lines = in_memory(*bodies)
    path = Path("journal")
    assert read_whole(path, b"".join(lines)).ended
    at = data.draw(st.integers(1, len(lines) - 1))
    to = data.draw(st.integers(1, len(lines) - 1))
    byte = data.draw(st.integers(0, len(lines[at]) - 2))
    changed = bytes([lines[at][byte] ^ 1])
    ways = {
        "out": [*lines[:at], *lines[at + 1 :]],
        "moved": [*lines[:at], *lines[at + 1 : to + 1], lines[at], *lines[to + 1 :]],
        "doubled": [*lines[: at + 1], *lines[at:]],
        "changed": [*lines[:at], lines[at][:byte] + changed + lines[at][byte + 1 :], *lines[at + 1 :]],
    }
    for name, touched in ways.items():
        if touched == lines:
            continue
        try:
            found = read_whole(path, b"".join(touched))
        except Refused:
            continue
        assert (name == "out" and not found.ended) or found == read_whole(path, b"".join(lines)), name


async def test_a_row_that_contradicts_the_table_is_refused(sqlite: SqliteSink) -> None:
    """Somebody made the whole chain anew after a part of it was merged."""
    path, _ = await a_journal(sqlite, how="locked")
    first = path.read_bytes()
    async with sqlite.open() as ledger:
        await ledger.merge(path)
    # An id may have the letters, too, and who runs the tests may have the name.
    path.write_bytes(rehashed(first, '"operator":"dba"', '"operator":"eve"'))
    async with sqlite.open() as ledger:
        with pytest.raises(Refused, match=r"row 3 .*another one"):
            await ledger.merge(path)


def rehashed(data: bytes, old: str, new: str) -> bytes:
    """What somebody does who knows dbdeck: every hash is right again."""
    head, lines = chain.Head(0, chain.START), data.splitlines(keepends=True)
    made = [lines[0]]
    for line in lines[1:]:
        was = line_of(line.strip())
        assert isinstance(was, Row)
        over = {"kind": was.kind, "action_id": was.action_id}
        one = row(head, was.writer, (was.body or "").replace(old, new), **over)
        head = chain.Head(one.seq, one.link)
        made.append(encode_line("row", encode(one)))
    return b"".join(made)


async def test_an_open_break_glass_is_not_merged(sqlite: SqliteSink) -> None:
    await known(sqlite)
    async with outage(sqlite, "locked"):
        opened = broken(sqlite)
        ledger = await opened.__aenter__()
    async with sqlite.open() as normal:
        with pytest.raises(Refused, match="in use"):
            await normal.merge(ledger.path)
    await opened.__aexit__(None, None, None)


async def test_an_ordinary_journal_is_not_merged(sqlite: SqliteSink) -> None:
    await known(sqlite)
    (path,) = sqlite.journal.glob("*.ndjson")
    async with sqlite.open() as ledger:
        with pytest.raises(Refused, match="no journal of a break-glass"):
            await ledger.merge(path)


# ---- a writer that died ---------------------------------------------------------------------------


async def victim(sink: Sink, mode: str, *more: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.audit.glass_victim", mode, sink.url, str(sink.journal), *more),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdin is not None
    process.stdin.write(f"{sink.password.reveal() if sink.password else ''}\n".encode())
    return process


async def test_kill_9_leaves_an_open_intent_that_is_told_here_and_merged_as_it_is(sink: Sink) -> None:
    await known(sink)
    async with outage(sink, "locked" if isinstance(sink, SqliteSink) else "dropped"):
        process = await victim(sink, "act")
        assert process.stdout is not None
        assert await process.stdout.readline() == b"intent\n"
        process.kill()
        await process.wait()
    (path,) = sink.journal.glob(f"*{GLASS}")
    async with sink.open() as ledger:
        (left,) = await ledger.open_intents()
        assert (left.unmerged, left.alive, left.body["target"]) == (True, False, "shop")
        with pytest.raises(Refused, match="its writer died") as caught:
            await ledger.merge(path)
        assert "--died" in caught.value.hint
        await ledger.merge(path, died=True)
        (left,) = await ledger.open_intents()
        assert not left.unmerged
        found = await ledger.verify()
        assert found.ok
        assert [one.rows for one in found.brackets] == [None]


async def test_kill_9_during_a_merge_and_again_is_one_merge(sink: Sink) -> None:
    path, _ = await a_journal(sink, how="locked" if isinstance(sink, SqliteSink) else "dropped")
    for rows in range(1, 7):
        process = await victim(sink, "merge", str(path), str(rows))
        await process.wait()
        assert process.returncode == -signal.SIGKILL
    async with sink.open() as ledger:
        await ledger.merge(path)
        assert (await ledger.verify()).ok
        assert len((await ledger.verify()).brackets) == 1
    merged = [kind for kind in await kinds(sink) if kind not in ("open", "close")]
    assert merged == ["breakglass", "intent", "step", "outcome", "breakglass"]


async def test_a_torn_last_line_is_no_row_and_the_rest_is_merged_on_demand(sqlite: SqliteSink) -> None:
    path, _ = await a_journal(sqlite, how="locked")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    async with sqlite.open() as ledger:
        found = await ledger.merge(path, died=True)
        assert (found.rows, found.ended) == (5, False)
        assert await ledger.unmerged() == []
        assert (await ledger.verify()).ok


# ---- the review -----------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def by_another(sink: Sink) -> AsyncIterator[Ledger]:
    url = sink.url.replace("//dbdeck_operator@", f"//{APP}@")
    async with open_ledger(url, sink.journal, password=Secret(PASSWORDS[APP])) as ledger:
        yield ledger


@pytest.fixture
async def server_sink(sink: Sink) -> PostgresSink | MysqlSink:
    if not isinstance(sink, PostgresSink | MysqlSink):
        pytest.skip("a file verifies nobody")
    await install(sink.admin, auditors=[f"{APP}@%" if isinstance(sink, MysqlSink) else APP])
    return sink


async def test_a_review_is_that_of_another_login(server_sink: PostgresSink | MysqlSink) -> None:
    path, _ = await a_journal(server_sink)
    async with server_sink.open() as mine, by_another(server_sink) as theirs:
        await mine.merge(path)
        (bracket,) = await mine.brackets()
        with pytest.raises(Refused, match="cannot review it"):
            await mine.review(bracket, "fine", "ann")
        body: dict[str, Any] = {"event": "review", "writer": bracket.writer, "reason": "x"}
        with pytest.raises(Refused, match="who broke or merged it"):  # by the ledger's server as well
            await mine.append(Kind.BREAKGLASS, bracket.writer, body)
        with pytest.raises(Refused, match="who broke or merged it"):  # of none that is there
            await theirs.append(Kind.BREAKGLASS, other := uuid4(), {**body, "writer": other})
        with pytest.raises(Refused, match="who broke or merged it"):  # of another one than it stands under
            await theirs.append(Kind.BREAKGLASS, uuid4(), body)
        assert (await mine.verify()).brackets[0].reviewed_by is None
        await theirs.review(bracket, "I have looked", "bob")
        found = await mine.verify()
    assert found.ok
    assert (found.brackets[0].reviewed_by, found.brackets[0].review) == (APP, "I have looked")


async def test_who_broke_the_glass_cannot_review_what_another_merged(
    server_sink: PostgresSink | MysqlSink,
) -> None:
    path, _ = await a_journal(server_sink)
    async with server_sink.open() as mine, by_another(server_sink) as theirs:
        await theirs.merge(path)
        (bracket,) = await mine.brackets()
        for ledger in (mine, theirs):
            with pytest.raises(Refused, match="cannot review it"):
                await ledger.review(bracket, "fine", "x")
            with pytest.raises(Refused, match="who broke or merged it"):
                await ledger.append(
                    Kind.BREAKGLASS, bracket.writer, {"event": "review", "writer": bracket.writer}
                )


async def test_a_file_takes_no_review(sqlite: SqliteSink) -> None:
    path, _ = await a_journal(sqlite, how="locked")
    async with sqlite.open() as ledger:
        await ledger.merge(path)
        (bracket,) = await ledger.brackets()
        with pytest.raises(Refused, match="verifies nobody"):
            await ledger.review(bracket, "fine", "ann")


# ---- receipts in a syslog --------------------------------------------------------------------------


@contextlib.contextmanager
def listening(kind: socket.SocketKind, where: str | tuple[str, int]) -> Iterator[socket.socket]:
    """A log server of a network, or of this machine (a path)."""
    with socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET, kind) as there:
        there.bind(where)
        there.settimeout(10)
        yield there


def lines_of(path: Path, ledger: UUID) -> list[str]:
    """What a syslog is to have been told of a journal."""
    rows = [line_of(line) for line in path.read_bytes().splitlines()]
    return [receipt_line(ledger, row) for row in rows if isinstance(row, Row)]


@pytest.mark.parametrize("way", ["udp", "path"])
async def test_each_row_is_told_to_the_syslogs(sqlite: SqliteSink, disk: Path, way: str) -> None:
    await known(sqlite)
    async with sqlite.open(write=False) as ledger:
        own = ledger.id
    short = tempfile.mkdtemp(prefix="s")  # the path of a socket is short
    where: str | tuple[str, int] = f"{short}/log" if way == "path" else ("127.0.0.1", 0)
    with listening(socket.SOCK_DGRAM, where) as server:
        address = f"{short}/log" if way == "path" else f"udp://127.0.0.1:{server.getsockname()[1]}"
        async with outage(sqlite, "locked"), told(sqlite, address) as glass:
            seen = [server.recv(4096).decode() for _ in range(2)]  # before anything is done
            await act(glass)
        wanted = lines_of(glass.path, own)
        seen += [server.recv(4096).decode() for _ in wanted[2:]]
    assert len(wanted) == 6
    assert [f"dbdeck: {one}" for one in wanted] == [one.partition(">")[2] for one in seen]
    assert glass.receipts.lost == {}
    assert not any("the shop is down" in one for one in seen)


async def test_a_syslog_that_is_away_holds_nothing_up_and_is_told(sqlite: SqliteSink) -> None:
    await known(sqlite)
    with listening(socket.SOCK_STREAM, ("127.0.0.1", 0)) as free:
        gone = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with listening(socket.SOCK_DGRAM, ("127.0.0.1", 0)) as server:
        there = f"udp://127.0.0.1:{server.getsockname()[1]}"
        async with outage(sqlite, "locked"), told(sqlite, gone, there) as glass:
            await act(glass)
        assert [server.recv(4096) for _ in range(6)]
    assert glass.receipts.lost == {gone: (6, "Connection refused")}
    assert glass.rows == 6


NO_ADDRESSES = ("udp://127.0.0.1:99999", "udp://a..b:514", f"tcp://{'x' * 64}:514", "udp://a\0b:514")


@pytest.mark.parametrize("address", NO_ADDRESSES[:3])
async def test_a_syslog_that_is_no_address_holds_nothing_up_and_is_told(
    sqlite: SqliteSink, address: str
) -> None:
    await known(sqlite)
    async with outage(sqlite, "locked"), told(sqlite, address) as glass:
        await act(glass)
    ((number, why),) = glass.receipts.lost.values()
    assert (number, why.startswith("it is no address")) == (6, True), why


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_a_config_does_not_take_it(address: str) -> None:
    assert anchor_fault(Anchor(syslog=address))


@pytest.mark.parametrize(
    "address",
    ["/dev/log", "udp://a.b.:514", "tcp://[::1]:65535", "udp://127.0.0.1:1", "udp://büro.example:514"],
)
def test_a_config_takes_an_address_that_there_can_be(address: str) -> None:
    assert anchor_fault(Anchor(syslog=address)) == ""


async def test_a_syslog_that_says_nothing_is_waited_for_once(
    sqlite: SqliteSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    await known(sqlite)
    may = threading.Event()
    monkeypatch.setattr(syslog, "send", lambda *_: may.wait(30))
    monkeypatch.setattr(syslog, "SECONDS", 0.2)
    async with outage(sqlite, "locked"), told(sqlite, "tcp://192.0.2.1:514") as glass:
        await act(glass)
    assert glass.receipts.lost == {"tcp://192.0.2.1:514": (6, "no answer in 0.2 s")}
    may.set()


# ---- what is in the folder and is no journal --------------------------------------------------------


async def test_a_journal_without_its_first_line_is_told_and_keeps_its_intents_open(sink: Sink) -> None:
    how = "locked" if isinstance(sink, SqliteSink) else "dropped"
    path, action = await a_journal(sink, how=how, ends=False)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([b"spoilt", *lines[1:]]))
    async with sink.open() as ledger:
        (told,) = await ledger.unmerged()
        assert (told.path, told.rows, told.spoilt) == (
            str(path), 5, "its first line, which says of which ledger it is, is spoilt",
        )  # fmt: skip
        assert [one.action_id for one in await ledger.open_intents()] == [action]
        with pytest.raises(Refused, match="no journal of a break-glass"):
            await ledger.merge(path)
        path.write_bytes(b"\n".join(lines))
        await ledger.merge(path, died=True)
        assert await ledger.unmerged() == []
    path.write_bytes(b"\n".join([b"spoilt", *path.read_bytes().split(b"\n")[1:]]))
    async with sink.open(write=False) as ledger:
        assert await ledger.unmerged() == []  # the table has all of it; that it is damaged is told by verify
        assert {fault.kind for fault in (await ledger.verify()).faults} == {"journal"}


async def test_a_first_line_that_names_another_ledger_hides_nothing(sqlite: SqliteSink, disk: Path) -> None:
    path, action = await a_journal(sqlite, how="locked", ends=False)
    head, _, rest = path.read_text().partition("\n")
    told = json.loads(head)
    told["journal"] |= {"ledger": str(uuid4()), "sink": "sqlite:///elsewhere"}
    path.write_text(f"{canonical_json(told)}\n{rest}")
    async with sqlite.open() as ledger:
        (left,) = await ledger.unmerged()
        assert (left.path, left.spoilt) == (
            str(path), "its first line names another ledger, or another writer, than its rows",
        )  # fmt: skip
        with pytest.raises(Refused, match="is of another ledger"):
            await ledger.merge(path, died=True)
        assert [one.action_id for one in await ledger.open_intents()] == [action]
    other = SqliteSink(disk / "other.db", sqlite.journal)
    async with other.open() as ledger:
        assert await ledger.unmerged() == []


@pytest.mark.parametrize("kind", ["pipe", "folder", "nowhere", "device"])
async def test_what_was_put_in_the_place_of_a_journal_is_a_finding_and_holds_nothing_up(
    sqlite: SqliteSink, kind: str
) -> None:
    plain, glass = (sqlite.journal / f"{uuid4()}{end}" for end in (".ndjson", ".glass.ndjson"))
    await known(sqlite)
    for path in (plain, glass, sqlite.journal / "notes.ndjson"):
        put(path, kind)
    async with asyncio.timeout(20), sqlite.open() as ledger:
        await act(ledger)
        assert [(one.path, one.rows, one.spoilt) for one in await ledger.unmerged()] == [
            (str(glass), 0, "it is no file")
        ]
        assert [fault.kind for fault in (await ledger.verify()).faults] == ["journal", "journal"]
        with pytest.raises(
            (UsageError, AuditUnavailable), match=r"Is a directory|no file|symbolic links|No such"
        ):
            await ledger.merge(glass)
    async with asyncio.timeout(20), outage(sqlite, "locked"), broken(sqlite) as without:
        await act(without)


def put(path: Path, kind: str) -> None:
    match kind:
        case "pipe":
            os.mkfifo(path, 0o600)
        case "folder":
            path.mkdir()
        case "nowhere":
            path.symlink_to(path.parent / "gone")
        case "device":
            path.symlink_to("/dev/zero")


async def test_one_that_cannot_be_read_keeps_no_other_from_being_delivered(sqlite: SqliteSink) -> None:
    """What a dead writer left is sent by the next, whatever lies beside it."""
    async with sqlite.open() as ledger:
        action = await act(ledger, ends=False)
        async with outage(sqlite, "locked"):
            late = await ledger.append_late(Kind.OUTCOME, action, {"status": "applied"})
            assert not late.recorded
            await ledger.finish()
    put(sqlite.journal / f"{uuid4()}.ndjson", "nowhere")
    async with sqlite.open() as after:
        assert [row.kind for row in await after.entries(action_id=action)][:1] == ["outcome"]


async def test_a_line_without_an_end_is_read_to_a_limit(
    sqlite: SqliteSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.audit.journals.MOST_BYTES", 1 << 16)
    await known(sqlite)
    with (sqlite.journal / f"{uuid4()}.glass.ndjson").open("wb") as file:
        file.truncate(1 << 40)  # a hole: more than any machine has memory for
    async with sqlite.open() as ledger:
        assert await ledger.unmerged() == []
        assert (await ledger.verify()).ok


@pytest.mark.skipif(not can_mount(), reason="only root may mount")
async def test_a_ledger_with_room_for_small_rows_only_is_full_for_both(disk: Path) -> None:
    """`apply` says that it is full, and who then breaks the glass is not sent back to `apply`."""
    with mounted(disk / "small", "-t", "tmpfs", "-o", "size=400k,mode=0700", "tmpfs"):
        sink = SqliteSink(disk / "small" / "audit.db", disk / "journal")
        async with sink.open() as ledger:
            with pytest.raises(AuditUnavailable, match="full"):
                await fill(ledger)
        small_rows_fit(disk / "small")
        async with sink.open() as ledger:
            with pytest.raises(AuditUnavailable, match="full"):
                await ledger.append(Kind.INTENT, uuid4(), {"statements": ["z" * 50_000]})
        small_rows_fit(disk / "small")
        async with broken(sink) as glass:
            await act(glass)
        begin = next(row for line in glass.path.read_bytes().splitlines()
                     if isinstance(row := line_of(line), Row) and row.kind == Kind.BREAKGLASS)  # fmt: skip
        assert "full" in json.loads(begin.body or "")["unreachable"]


async def fill(ledger: Ledger) -> None:
    while True:
        await ledger.append(Kind.NOTE, uuid4(), {"x": "y" * 12_000})


def small_rows_fit(folder: Path) -> None:
    """The disk gets 40 kB more than is taken: the row of a process that begins, and no large one."""
    seen = os.statvfs(folder)
    size = (seen.f_blocks - seen.f_bfree) * seen.f_bsize // 1024 + 40
    subprocess.run(["mount", "-o", f"remount,size={size}k", str(folder)], check=True)


@pytest.mark.parametrize("kind", ["pipe", "file", "nowhere", "itself"])
async def test_what_was_put_in_the_place_of_the_folder_is_told(sqlite: SqliteSink, kind: str) -> None:
    """Without its journals a ledger may be whole; nobody looked, and that is said."""
    await known(sqlite)
    sqlite.journal.rename(sqlite.journal.with_name("moved"))
    match kind:
        case "file":
            sqlite.journal.write_text("x")
        case "itself":
            sqlite.journal.symlink_to(sqlite.journal)
        case _:
            put(sqlite.journal, kind)
    async with asyncio.timeout(20), sqlite.open(write=False) as ledger:
        with pytest.raises(AuditUnavailable, match="no folder"):
            await ledger.verify()
        with pytest.raises(AuditUnavailable, match="no folder"):
            await ledger.open_intents()
