"""Real servers for the tests: lazily started, once in a session. See tests/servers."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Generator, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import settings

from console.audit.mounts import file_system
from console.dispatch.lease import sweep
from tests.servers import accounts, places
from tests.servers.fleet import Fleet, Server
from tests.servers.logged import begin_anew, logged_server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer
from tests.servers.replica import replica_of

# How long an example takes says more of the machine than of us: timings are measured in bench/.
settings.register_profile("dbdeck", deadline=None)
settings.load_profile("dbdeck")


def in_memory(folder: Path) -> bool:
    mounts = Path("/proc/self/mountinfo")
    return mounts.exists() and file_system(folder.resolve(), mounts.read_text()) == "tmpfs"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--servers",
        default=",".join(places.NAMES),
        help=f"the servers to test on, of {','.join(places.NAMES)}; the rest is skipped",
    )

    parser.addoption(
        "--every",
        action="store_true",
        help="whole situations on each PostgreSQL, where they else take turns",
    )


# A whole situation takes long: each is tried on PostgreSQL 15 and 18. Those in which no version is treated
# otherwise than another, but in reads that have tests on all of them, are tried on one of the two.
_BOTH = (
    *("test_accounts.py", "test_drain_command.py", "test_rotate", "test_maintenance_command.py"),
    "actions/test_rotate",
)
_SITUATIONS = (
    *("drills/", "runbooks/", "test_runbooks.py", "test_trouble.py", "test_faults.py", "test_kill.py"),
    *("test_break_glass.py", "test_four_eyes.py"),
    *("actions/test_terminate_idle.py", "postgres/test_deadlocks.py"),
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--every"):
        return
    turns: dict[str, set[str]] = {}
    for one in items:
        if (told := _version(one)) is not None:
            turns.setdefault(told[0], set()).add(told[1])
    there = {name for name in _selected(config) if _found(name).rpartition(" ")[2] != "missing"}
    taken = {situation: _taken(situation, found, there) for situation, found in turns.items()}
    left = [one for one in items if (told := _version(one)) is None or told[1] in taken[told[0]]]
    config.hook.pytest_deselected(items=[*{*items} - {*left}])
    items[:] = left


def _version(item: pytest.Item) -> tuple[str, str] | None:
    """A whole situation and the PostgreSQL of this try; None for another test."""
    name = item.nodeid.partition("tests/integration/")[2]
    found = re.search(r"(?<=[\[-])pg\d\d(?=[]-])", name)
    if not name.startswith((*_BOTH, *_SITUATIONS)) or found is None:
        return None
    return name.replace(found[0], "pg", 1), found[0]


def _taken(situation: str, found: AbstractSet[str], there: AbstractSet[str]) -> AbstractSet[str]:
    """Those that stand for the rest, always the same ones."""
    usual = (found & {"pg15", "pg18"} & there) or (found & there) or found
    if situation.startswith(_BOTH):
        return usual
    return {sorted(usual)[crc32(situation.encode()) % len(usual)]}


def pytest_configure(config: pytest.Config) -> None:
    if in_memory(Path(tempfile.gettempdir())):  # journals are refused there, as they should be
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/var/tmp")
    unknown = _selected(config) - set(places.NAMES)
    if unknown:
        raise pytest.UsageError(f"--servers knows {', '.join(places.NAMES)}, not {unknown}")


def _selected(config: pytest.Config) -> set[str]:
    return {name.strip() for name in config.getoption("--servers").split(",") if name.strip()}


def pytest_report_header(config: pytest.Config) -> str:
    return "servers: " + ", ".join(_found(name) for name in places.NAMES if name in _selected(config))


def _found(name: str) -> str:
    try:
        return f"{name} {places.version(name)}"
    except places.Missing:
        return f"{name} missing"


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """All servers of this session; they end with it, even when pytest is killed."""
    sweep()
    accounts.publish()
    started = Fleet()
    yield started
    started.close()


@contextlib.contextmanager
def _missing_is_told() -> Iterator[None]:
    """What this machine lacks skips the tests that need it, with its name, and fails them in CI."""
    try:
        yield
    except places.Missing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"in CI everything has to be there: {missing}")
        pytest.skip(str(missing))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, None, None]:
    with _missing_is_told():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    with _missing_is_told():
        return (yield)


def _server(request: pytest.FixtureRequest, fleet: Fleet, name: str) -> Server:
    if name not in _selected(request.config):
        pytest.skip(f"{name} is not among --servers")
    return fleet.get(name)


def _postgres(request: pytest.FixtureRequest, fleet: Fleet, name: str) -> PostgresServer:
    server = _server(request, fleet, name)
    assert isinstance(server, PostgresServer)
    return server


@pytest.fixture(scope="session", params=places.POSTGRES)
def postgres_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def postgres(request: pytest.FixtureRequest, fleet: Fleet, postgres_name: str) -> PostgresServer:
    """PostgreSQL 15, 17 and 18, one after the other."""
    return _postgres(request, fleet, postgres_name)


@pytest.fixture
def postgres18(request: pytest.FixtureRequest, fleet: Fleet) -> PostgresServer:
    """For what does not depend on the version. Without TLS."""
    return _postgres(request, fleet, "pg18")


@pytest.fixture
def postgres_tls(request: pytest.FixtureRequest, fleet: Fleet) -> PostgresServer:
    """A PostgreSQL that has TLS."""
    return _postgres(request, fleet, "pg17")


@pytest.fixture(scope="session", params=places.MYSQL)
def mysql_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def mysql(request: pytest.FixtureRequest, fleet: Fleet, mysql_name: str) -> MysqlServer:
    """MariaDB and MySQL, one after the other."""
    server = _server(request, fleet, mysql_name)
    assert isinstance(server, MysqlServer)
    return server


@pytest.fixture(scope="session")
def logged_mysql(request: pytest.FixtureRequest, fleet: Fleet, mysql_name: str) -> Iterator[MysqlServer]:
    """MariaDB and MySQL that write a binary log, one after the other."""
    _server(request, fleet, mysql_name)  # skips
    made = logged_server("mariadb" if mysql_name == "mariadb" else "mysql")
    yield made
    made.close()


@pytest.fixture(scope="module")
def replica(logged_mysql: MysqlServer) -> Iterator[MysqlServer]:
    """It replicates from `logged_mysql`, from where that stands when the module begins."""
    begin_anew(logged_mysql)
    made = replica_of(logged_mysql)
    yield made
    made.close()


@pytest.fixture(scope="session", params=places.NAMES)
def server_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def any_server(request: pytest.FixtureRequest, fleet: Fleet, server_name: str) -> Server:
    """All five, one after the other."""
    return _server(request, fleet, server_name)
