"""Servers that stand in other programs' files: found, and no password with them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.model import found
from console.model.found import Candidate, Held
from console.model.login import EngineKind
from console.model.pgpass import escaped
from console.model.target import address_of
from console.model.tls import TlsMode

CANARY = "c4n4ry"
ENDS = "\n\r\0*\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
WORDS = st.text(st.characters(codec="utf-8", exclude_characters=ENDS), min_size=1, max_size=30)
NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,20}", fullmatch=True)
PORTS = st.integers(1, 65535)
ANYTHING = st.text(max_size=400)


@given(NAMES, PORTS, WORDS, WORDS, WORDS)
def test_a_line_of_pgpass_is_read_as_it_was_written(
    host: str, port: int, database: str, user: str, password: str
) -> None:
    fields = (host, str(port), database, user, password)
    (one,) = found.of_pgpass(":".join(map(escaped, fields)) + "\n", "/p")
    assert (one.host, one.port, one.user) == (host, port, user)
    assert one.database == ("" if database == "replication" else database)
    assert one.served
    assert one.password is None


def test_lines_of_pgpass_for_any_host_name_no_server() -> None:
    text = f"*:*:*:ann:{CANARY}\n# a comment:1:2:3:4\nbroken\ndb1:*:*:*:x\ndb2:no:*:u:x\n"
    (one,) = found.of_pgpass(text, "/p")
    assert (one.host, one.port, one.user, one.served) == ("db1", 5432, "", False)


@given(NAMES, st.dictionaries(st.sampled_from(["host", "dbname", "user"]), NAMES), PORTS)
def test_a_service_is_read_as_it_was_written(name: str, values: dict[str, str], port: int) -> None:
    text = f"# all\n[{name}]\n" + "".join(f"{key}={value}\n" for key, value in values.items())
    (one,) = found.of_services(f"{text}port={port}\npassword={CANARY}\nsslmode=verify-ca\n", "/s")
    assert one.host == values.get("host", "localhost")
    assert (one.port, one.database, one.user) == (port, values.get("dbname", ""), values.get("user", ""))
    assert (one.name, one.tls, one.held) == (name, TlsMode.VERIFY_CA, Held(path="/s", section=name))


def test_the_first_service_of_a_name_counts_and_each_of_several_hosts() -> None:
    seen = list(found.of_services("[a]\nhost=one,two\nport=5433\n[a]\nhost=three\n", "/s"))
    assert [(one.host, one.port, one.name) for one in seen] == [("one", 5433, "a"), ("two", 5433, "a")]


@pytest.mark.parametrize(
    ("hosts", "ports", "places"),
    [
        ("a,b", "1,2", [("a", 1), ("b", 2)]),
        ("a,,c", "1,2,", [("a", 1), ("localhost", 2), ("c", 5432)]),
        ("a, b", "", [("a", 5432), ("b", 5432)]),
        ("a,b,c", "1,2", []),
        ("a", "1,2", []),
        ("a,b", "1,x", []),
        ("/run/postgresql,b", "1", [("/run/postgresql", 1), ("b", 1)]),
    ],
)
def test_lists_of_hosts_and_ports_are_taken_as_libpq_takes_them(
    hosts: str, ports: str, places: list[tuple[str, int]]
) -> None:
    variables = found.of_postgres_variables({"PGHOST": hosts, "PGPORT": ports})
    assert [(one.host, one.port) for one in variables] == places
    services = found.of_services(f"[a]\nhost={hosts}\nport={ports}\n", "/s")
    assert [(one.host, one.port) for one in services] == places


def test_variables_of_libpq_name_a_server_by_host_or_port() -> None:
    (one,) = found.of_postgres_variables(
        {"PGHOST": "/run/postgresql", "PGUSER": "ann", "PGPASSWORD": CANARY, "PGSSLMODE": "disable"}
    )
    assert (one.host, one.user, one.password) == ("/run/postgresql", "ann", "env:PGPASSWORD")
    assert one.tls is TlsMode.OFF
    assert list(found.of_postgres_variables({"PGUSER": "ann", "PGPASSWORD": CANARY})) == []


def test_variables_of_mysql_name_a_server() -> None:
    (one,) = found.of_mysql_variables({"MYSQL_HOST": "db", "MYSQL_TCP_PORT": "3307", "MYSQL_PWD": CANARY})
    assert (one.host, one.port, one.password) == ("db", 3307, "env:MYSQL_PWD")


OPTIONS = f"""
[client]
user = ann
password = "{CANARY}"
socket = /run/mysqld/mysqld.sock
[client-shop]
host = shop.example.net
port = 3307
ssl-mode = VERIFY_IDENTITY
ssl-ca = /etc/ca.pem
[mysqld]
port = 3399
[mysqldump]
user = dumper
"""


def test_sections_of_an_option_file_that_clients_read() -> None:
    own, shop = found.of_option_file(OPTIONS, "/m", own=True)
    assert (own.host, own.user, own.served, own.held) == ("/run/mysqld/mysqld.sock", "ann", True, None)
    assert (shop.host, shop.port, shop.name, shop.tls) == (
        "shop.example.net", 3307, "shop", TlsMode.VERIFY_FULL)  # fmt: skip
    assert (shop.user, shop.ca, shop.held) == ("ann", "/etc/ca.pem", Held(path="/m", section="client-shop"))


def test_the_file_of_somebody_else_serves_nobody() -> None:
    first = next(found.of_option_file(OPTIONS, "/etc/x", own=False))
    assert (first.served, first.held) == (False, Held(path="/etc/x", section="client"))


def test_a_login_path_may_have_any_name() -> None:
    text = '[client]\nuser = "ann"\n[prod]\npassword = "x"\nhost = "db8"\n'
    client, prod = found.of_login_path(text, "/l")
    assert (client.host, client.user, client.name) == ("localhost", "ann", "")
    assert (prod.host, prod.user, prod.name) == ("db8", "ann", "prod")
    assert (prod.served, prod.held) == (False, Held(path="/l", section="prod"))


TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41 1 0 100 0
   1: 00000000:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 42 1 0 100 0
   2: 0100007F:0CEA 0100007F:A000 01 00000000:00000000 00:00000000 00000000     0        0 43 1 0 100 0
   3: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 44 1 0 100 0
   4: 00000000000000000000000001000000:1539 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 45 1 0
"""


def test_who_listens_is_told_by_its_program_or_by_the_usual_port() -> None:
    seen = list(found.listeners(TCP))
    assert [(one.host, one.port) for one in seen] == [
        ("127.0.0.1", 5432), ("localhost", 3306), ("127.0.0.1", 8080), ("::1", 5433)]  # fmt: skip
    known = list(found.of_listeners(seen, {44: "mariadbd", 42: "nginx"}))
    assert [(one.engine, one.port) for one in known] == [
        (EngineKind.POSTGRES, 5432),
        (EngineKind.MYSQL, 8080),
    ]


def test_sockets_are_known_by_their_names() -> None:
    text = (
        "Num       RefCount Protocol Flags    Type St Inode Path\n"
        "0000: 00000002 00000000 00010000 0001 01 11 /run/postgresql/.s.PGSQL.5433\n"
        "0000: 00000002 00000000 00010000 0001 01 12 /run/my sql/mysqld.sock\n"
        "0000: 00000002 00000000 00010000 0001 01 13 @abstract\n"
        "0000: 00000003 00000000 00000000 0001 03 14\n"
        "0000: 00000002 00000000 00010000 0001 01 15 /run/mysqld/mysqlx.sock\n"
    )
    seen = list(found.of_sockets(found.bound_paths(text)))
    assert [(one.engine, one.host, one.port) for one in seen] == [
        (EngineKind.POSTGRES, "/run/postgresql", 5433),
        (EngineKind.MYSQL, "/run/my sql/mysqld.sock", 3306),
    ]


@given(ANYTHING)
def test_no_text_breaks_a_reader_and_ports_are_ports(text: str) -> None:
    read: list[Candidate] = [
        *found.of_pgpass(text, "/p"),
        *found.of_services(text, "/s"),
        *found.of_services(f"[a]\n{text}", "/s"),
        *found.of_option_file(text, "/m", own=True),
        *found.of_option_file(f"[client]\n{text}", "/m", own=True),
        *found.of_login_path(f"[a]\n{text}", "/l"),
        *found.of_sockets(text.splitlines()),
    ]
    list(found.listeners(f"head\n{text}"))
    list(found.bound_paths(f"head\n{text}"))
    assert all(1 <= one.port <= 65535 and one.host for one in read)


@given(WORDS)
def test_no_password_is_part_of_what_was_found(word: str) -> None:
    secret = f"{CANARY}{word}"
    texts = [
        *found.of_pgpass(f"h:1:d:u:{escaped(secret)}\n", "/p"),
        *found.of_services(f"[a]\nhost=h\npassword={secret}\n", "/s"),
        *found.of_option_file(f"[client]\nhost=h\npassword='{CANARY}'\n", "/m", own=True),
        *found.of_postgres_variables({"PGHOST": "h", "PGPASSWORD": secret}),
        *found.of_mysql_variables({"MYSQL_HOST": "h", "MYSQL_PWD": secret}),
    ]
    assert len(texts) == 5
    assert CANARY not in msgspec.json.encode(texts).decode()


def _candidate(**values: object) -> Candidate:
    given = {"engine": EngineKind.POSTGRES, "host": "db1", "port": 5432, "by": "x", **values}
    return msgspec.convert(given, Candidate, strict=False)


def test_what_is_found_twice_is_told_once() -> None:
    same = [_candidate(by="first", user="ann"), _candidate(by="second", user="ann"), _candidate(by="bare")]
    assert [one.by for one in found.merged(same)] == ["first"]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"host": "Orders_1.example.net"}, "orders-1"), ({"name": "shop prod"}, "shop-prod"),
        ({"host": "127.0.0.1", "port": 5433}, "pg-5433"), ({"host": "/run/postgresql"}, "pg-5432"),
        ({"engine": "mysql", "host": "/run/mysqld/mysqld.sock", "port": 3306}, "my-3306"),
        ({"host": "::1"}, "pg-5432"),
    ],
)  # fmt: skip
def test_a_target_gets_a_name_that_is_easy_to_type(values: dict[str, object], name: str) -> None:
    one = _candidate(**values)
    assert found.proposed_name(one, ()) == name
    assert found.proposed_name(one, (name,)) == f"{name}-2"


@given(ANYTHING, st.sets(NAMES, max_size=4))
def test_a_name_is_never_taken_and_never_empty(host: str, taken: set[str]) -> None:
    name = found.proposed_name(_candidate(host=host or "x"), taken)
    assert name
    assert name not in taken


def test_an_address_is_what_a_person_would_look_for() -> None:
    assert address_of(EngineKind.POSTGRES, "/run/postgresql", 5432) == "/run/postgresql/.s.PGSQL.5432"
    assert address_of(EngineKind.MYSQL, "/run/mysqld/mysqld.sock", 3306) == "/run/mysqld/mysqld.sock"
    assert address_of(EngineKind.MYSQL, "db1", 3306) == "db1:3306"


def test_a_line_of_what_was_found_fits_80_columns() -> None:
    """The port stood there twice, and the path of a socket: the terminal broke the lines within words."""
    listener = found.Listener(host="127.0.0.1", port=55807, inode=1)
    (one,) = found.of_listeners([listener], {1: "mariadbd"})
    assert len(f"  10. MySQL or MariaDB at {one.host}:{one.port}  ({one.by})") < 80
    (socket,) = found.of_sockets(["/run/postgresql/.s.PGSQL.5432"])
    assert socket.by == "a socket of this machine"
