"""The log parsers: every format says the same, in pieces of any size, and nothing makes them fall over."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.engine.postgres.deadlock_report import deadlock, relations_in, with_names
from console.engine.postgres.server_log import CsvLog, JsonLog, LogEntry, LogParser, moment
from console.engine.postgres.text_log import TextLog
from console.model.deadlocks import Deadlock

BERLIN = ZoneInfo("Europe/Berlin")
PREFIX = "%m [%p] %q%u@%d/%a "
NOW = datetime(2026, 11, 21, tzinfo=UTC)
DETAIL = (
    "Process 100 waits for ShareLock on transaction 738; blocked by process 200.\n"
    "Process 200 waits for AccessShareLock on relation 16385 of database 5; blocked by process 100.\n"
    "Process 100: update orders\n"
    "set note = 'Process 200: not mine';\n"
    'Process 200: select 1, "x"'
)
CONTEXT = 'while updating tuple (0,1) in relation "orders"'
HEAD = "2026-11-21 15:08:34.058 CET [100] app@shop/till "


def text_log(prefix: str = HEAD) -> bytes:
    def part(keyword: str, text: str) -> str:
        return f"{prefix}{keyword}:  " + text.replace("\n", "\n\t") + "\n"

    return "".join(
        [
            "2026-11-21 15:08:33.000 CET [1] LOG:  checkpoint starting: time\n",
            part("LOG", "statement: select 'ERROR:  deadlock detected'\nERROR:  deadlock detected"),
            part("ERROR", "deadlock detected"),
            part("DETAIL", DETAIL),
            part("HINT", "See server log for query details."),
            part("CONTEXT", CONTEXT),
            part("STATEMENT", "update orders\nset note = 'Process 200: not mine'; -- in full"),
            part("ERROR", "division by zero").replace("40P01", "22012"),
            part("STATEMENT", "select 1/0"),
        ]
    ).encode()


def csv_log() -> bytes:
    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if text else ""

    def record(code: str, message: str, detail: str) -> str:
        head = '2026-11-21 15:08:34.058 CET,"app","shop",100,"10.0.0.9:5433",6560.1,4,"UPDATE",,3/2,738,ERROR'
        head = f"{head},{code}"
        tail = ["", "", "", CONTEXT, "update orders", "", "", "till", "client backend", "", "0"]
        return ",".join([head, quoted(message), quoted(detail), *map(quoted, tail)]) + "\n"

    return (
        record("00000", 'a "40P01" in\nwords, and more', "") + record("40P01", "deadlock detected", DETAIL)
    ).encode()


def json_log() -> bytes:
    record = {
        "timestamp": "2026-11-21 15:08:34.058 CET",
        "user": "app",
        "dbname": "shop",
        "pid": 100,
        "remote_host": "10.0.0.9",
        "remote_port": 5433,
        "state_code": "40P01",
        "message": "deadlock detected",
        "detail": DETAIL,
        "context": CONTEXT,
        "application_name": "till",
    }
    other = {**record, "state_code": "00000", "message": "40P01"}
    return "".join(json.dumps(one) + "\n" for one in (other, record)).encode()


LOGS: dict[str, tuple[Callable[[], LogParser], bytes]] = {
    "stderr": (lambda: TextLog(BERLIN, 0, PREFIX), text_log()),
    "csvlog": (lambda: CsvLog(BERLIN), csv_log()),
    "jsonlog": (lambda: JsonLog(BERLIN), json_log()),
}


def read(parser: LogParser, pieces: Sequence[bytes]) -> list[LogEntry]:
    return [entry for piece in pieces for entry in parser.feed(piece)] + parser.rest()


def told(data: bytes, prefix: str = PREFIX) -> list[Deadlock]:
    entries = read(TextLog(BERLIN, 0, prefix), [data])
    return [deadlock(one, "log", read_at=NOW) for one in entries]


@pytest.mark.parametrize("form", LOGS)
def test_a_deadlock_in_every_format(form: str) -> None:
    make, data = LOGS[form]
    (entry,) = read(make(), [data])
    one = deadlock(entry, "log", read_at=NOW)
    assert one.ident == "100@2026-11-21T14:08:34.058Z"
    assert one.at == datetime(2026, 11, 21, 14, 8, 34, 58000, tzinfo=UTC)
    victim, other = one.participants
    assert (victim.session, victim.victim, victim.user, victim.database) == (100, True, "app", "shop")
    assert victim.application == "till"
    assert victim.client == (None if form == "stderr" else "10.0.0.9")
    assert victim.statement == "update orders\nset note = 'Process 200: not mine';"
    assert victim.wants is not None
    assert (victim.wants.object, victim.wants.place) == ("transaction 738", "row (0,1) of orders")
    assert (other.session, other.statement, other.user) == (200, 'select 1, "x"', None)
    assert relations_in(one) == {(5, 16385)}
    known = with_names(one, {(5, 16385): "public.orders"})
    assert known.participants[1].wants is not None
    assert known.participants[1].wants.object == "public.orders"
    assert known.participants[0].holds[0].object == "public.orders"


@pytest.mark.parametrize("form", LOGS)
@given(cuts=st.lists(st.integers(0, 3000), max_size=30))
def test_pieces_of_any_size_tell_the_same(form: str, cuts: list[int]) -> None:
    make, data = LOGS[form]
    places = sorted({0, *(cut % len(data) for cut in cuts), len(data)})
    pieces = [data[start:end] for start, end in pairwise(places)]
    assert read(make(), pieces) == read(make(), [data])


@pytest.mark.parametrize("form", LOGS)
@given(
    junk=st.binary(max_size=400) | st.text(max_size=400).map(str.encode), cuts=st.lists(st.integers(0, 400))
)
def test_junk_before_and_after_never_raises(form: str, junk: bytes, cuts: list[int]) -> None:
    make, data = LOGS[form]
    whole = junk + b"\n" + data + junk
    places = sorted({0, *(cut % len(whole) for cut in cuts), len(whole)})
    pieces = [whole[start:end] for start, end in pairwise(places)]
    for entry in read(make(), pieces):
        deadlock(entry, "log", read_at=NOW)
    assert len(read(make(), [data + junk])) >= 1


@pytest.mark.parametrize("form", LOGS)
@given(start=st.integers(1, 1400))
def test_a_start_inside_a_record_loses_at_most_that_record(form: str, start: int) -> None:
    _, data = LOGS[form]
    begun: dict[str, Callable[[], LogParser]] = {
        "stderr": lambda: TextLog(BERLIN, 7, PREFIX),
        "csvlog": lambda: CsvLog(BERLIN, 7),
        "jsonlog": lambda: JsonLog(BERLIN, 7),
    }
    found = read(begun[form](), [data[start % len(data) :] + data])
    assert any(entry.pid == 100 and entry.detail == DETAIL for entry in found)


@given(detail=st.text(max_size=300), context=st.text(max_size=100))
def test_any_detail_is_survived(detail: str, context: str) -> None:
    one = deadlock(LogEntry(offset=0, detail=detail, context=context), "log", read_at=NOW)
    relations_in(one)


@given(
    prefix=st.lists(
        st.sampled_from(
            [f"%{c}" for c in "audrhbpPtmnielcsvxqQL%"] + ["%-10u", "%5p", " ", "[", "]", "(", ":", "|"]
        ),
        max_size=8,
    ).map("".join),
    line=st.text(max_size=200),
)
def test_any_prefix_is_survived(prefix: str, line: str) -> None:
    read(TextLog(BERLIN, 0, prefix), [line.encode(), b"\n", text_log()])


@pytest.mark.parametrize(
    ("prefix", "head"),
    [
        (
            "%t [%p]: user=%u,db=%d,app=%a,client=%h ",
            "2026-11-21 15:08:34 CET [100]: user=app,db=shop,app=till,client=::1 ",
        ),
        ("%m %p%a:", "2026-11-21 15:08:34.058 CET 100till:"),
        ("%a%u%d%h %m %p ", "tillappshop[local] 2026-11-21 15:08:34.058 CET 100 "),
        ("%n %p ", "1795270114.058 100 "),
        ("< %m %r %c %l %e >", "< 2026-11-21 15:08:34.058 CET 10.0.0.9(54) 6560.64 7 40P01 >"),
        ("%m [%p] %q[%-10u] ", "2026-11-21 15:08:34.058 CET [100] [app       ] "),
        ("another prefix %a ", "2026-11-21 15:08:34.058 CET [100] "),
        ("", ""),
    ],
)
def test_prefixes(prefix: str, head: str) -> None:
    (one,) = told(text_log(head), prefix)
    assert [each.session for each in one.participants] == [100, 200]
    assert one.ident.startswith("100@")
    if head:
        assert abs((one.at - datetime(2026, 11, 21, 14, 8, 34, tzinfo=UTC)).total_seconds()) < 1
    else:
        assert one.at == NOW


def test_the_code_decides_where_the_prefix_shows_it() -> None:
    said = b"2026-11-21 15:08:34.058 CET [100] %s ERROR:  deadlock detected\n"
    prefix = "%m [%p] %e "
    assert told(said % b"P0001", prefix) == []
    assert len(told(said % b"40P01", prefix)) == 1
    assert len(told(b"2026-11-21 15:08:34.058 CET [100] ERROR:  40P01: deadlock detected\n", "%m [%p] ")) == 1


def test_another_language_still_tells_that_and_when_with_the_code() -> None:
    head = "2026-11-21 15:08:34.058 CET [100] 40P01 "
    log = f"{head}FEHLER:  Verklemmung entdeckt\n{head}DETAIL:  Prozess 100 wartet\n\tauf\n{head}TIPP:  x\n"
    (one,) = told(log.encode(), "%m [%p] %e ")
    assert (one.ident, one.participants) == ("100@2026-11-21T14:08:34.058Z", ())
    assert told(log.replace("40P01 ", "").encode(), "%m [%p] ") == []


def test_another_language_in_csv_and_json_is_read_by_its_numbers() -> None:
    detail = (
        "Prozess 100 wartet auf ShareLock-Sperre auf Transaktion 738; blockiert von Prozess 200.\n"
        "Prozess 200 wartet auf ShareLock-Sperre auf Transaktion 739; blockiert von Prozess 100.\n"
        "Prozess 100: update a\nProzess 200: update b"
    )
    one = deadlock(LogEntry(offset=0, pid=100, detail=detail), "log", read_at=NOW)
    assert [(each.session, each.statement) for each in one.participants] == [
        (100, "update a"),
        (200, "update b"),
    ]
    assert [each.wants.mode if each.wants else "" for each in one.participants] == ["ShareLock", "ShareLock"]


def test_hidden_statements_are_unknown() -> None:
    detail = DETAIL.replace('select 1, "x"', "<insufficient privilege>")
    one = deadlock(LogEntry(offset=0, pid=100, detail=detail), "log", read_at=NOW)
    assert one.participants[1].statement is None


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-10-25 02:30:00.5 CEST", "Europe/Berlin", "2026-10-25T00:30:00.500000"),
        ("2026-10-25 02:30:00.500 CET", "Europe/Berlin", "2026-10-25T01:30:00.500000"),
        ("2026-11-21 15:00:00 +0330", "Asia/Tehran", "2026-11-21T11:30:00"),
        ("2026-11-21 15:00:00 -03", None, "2026-11-21T18:00:00"),
        ("2026-11-21 15:00:00 UTC", "Europe/Berlin", "2026-11-21T15:00:00"),
        ("2026-11-21 15:00:00 XYZ", "Europe/Berlin", "2026-11-21T14:00:00"),
        ("2026-13-21 15:00:00 UTC", None, None),
        ("no time", None, None),
    ],
)
def test_times_have_a_zone(text: str, zone: str | None, expected: str | None) -> None:
    at, _ = moment(text, ZoneInfo(zone) if zone else None)
    assert at == (datetime.fromisoformat(expected).replace(tzinfo=UTC) if expected else None)


def test_a_second_without_fractions_may_have_several() -> None:
    log = text_log("2026-11-21 15:08:34 CET [100] ") * 2
    idents = {one.ident for one in told(log, "%t [%p] ")}
    assert len(idents) == 2
