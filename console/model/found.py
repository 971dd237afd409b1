r"""Servers that other programs of this machine know of: what stands in their files, and who listens. Pure.

PostgreSQL manual 34.15 "Environment Variables", 34.16 "The Password File", 34.17 "The Connection Service
File"; MySQL manual 6.2.2.2 "Using Option Files" and 6.9 "Environment Variables"; proc(5) for /proc/net. A
password that stands in one of them is not part of what is found: only where it is.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from console.model import option_file, pgpass
from console.model.login import EngineKind
from console.model.target import address_of
from console.model.tls import TlsMode

PORTS = {EngineKind.POSTGRES: 5432, EngineKind.MYSQL: 3306}
LISTENING = "0A"  # TCP_LISTEN of the kernel, in /proc/net/tcp
_SSLMODES = {
    "disable": TlsMode.OFF,
    "require": TlsMode.REQUIRE,
    "verify-ca": TlsMode.VERIFY_CA,
    "verify-full": TlsMode.VERIFY_FULL,
    "disabled": TlsMode.OFF,
    "required": TlsMode.REQUIRE,
    "verify_ca": TlsMode.VERIFY_CA,
    "verify_identity": TlsMode.VERIFY_FULL,
}
_PROGRAMS = {
    "postgres": EngineKind.POSTGRES,
    "postmaster": EngineKind.POSTGRES,
    "mysqld": EngineKind.MYSQL,
    "mariadbd": EngineKind.MYSQL,
}
_POSTGRES_SOCKET = re.compile(r"(?P<folder>/.*)/\.s\.PGSQL\.(?P<port>\d{1,5})")
_MYSQL_SOCKET = re.compile(r"/.*/(?:mysqld?|mariadbd?)\.sock")


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Where a password stands that no reference of a config leads to: a section of a file."""

    path: str
    section: str


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A server that could be a target. `by` says where it was found. `tls` None: nobody said.

    `password` is a reference that a config may hold; None with `served` where dbdeck reads the password
    itself, as psql or mysql would (`.pgpass`, `[client]` of ~/.my.cnf).
    """

    engine: EngineKind
    host: str
    port: int
    by: str
    database: str = ""
    user: str = ""
    name: str = ""
    password: str | None = None
    served: bool = False
    held: Held | None = None
    tls: TlsMode | None = None
    ca: str = ""

    @property
    def address(self) -> str:
        return address_of(self.engine, self.host, self.port)

    @property
    def what(self) -> tuple[EngineKind, str, int, str, str]:
        """What tells two apart, wherever they were found."""
        return self.engine, self.host, self.port, self.database, self.user


# ---- PostgreSQL ------------------------------------------------------------------------------------


def of_pgpass(text: str, path: str) -> Iterator[Candidate]:
    """Lines for any host name none."""
    for key in pgpass.keys(text):
        port = _port(key.port, EngineKind.POSTGRES)
        if key.host == pgpass.ANY or port is None:
            continue
        yield Candidate(
            engine=EngineKind.POSTGRES,
            host=key.host or "localhost",
            port=port,
            database="" if key.database in (pgpass.ANY, "replication") else key.database,
            user="" if key.user == pgpass.ANY else key.user,
            served=key.user != pgpass.ANY,
            by=path,
        )


def of_services(text: str, path: str) -> Iterator[Candidate]:
    for name, values in services(text).items():
        for host, port in _places(values.get("host") or values.get("hostaddr") or "", values.get("port", "")):
            yield _of_service(name, values, path, (host, port))


def _of_service(name: str, values: Mapping[str, str], path: str, place: tuple[str, int]) -> Candidate:
    return Candidate(
        engine=EngineKind.POSTGRES,
        host=place[0],
        port=place[1],
        database=values.get("dbname", ""),
        user=values.get("user", ""),
        name=name,
        held=Held(path=path, section=name) if values.get("password") else None,
        tls=_SSLMODES.get(values.get("sslmode", "")),
        ca=_ca(values.get("sslrootcert", "")),
        by=f"[{name}] of {path}",
    )


def services(text: str) -> dict[str, dict[str, str]]:
    """Sections of a connection service file; parseServiceFile in fe-connect.c takes no quotes and no escapes,
    and the first section of a name.
    """
    found: dict[str, dict[str, str]] = {}
    now: dict[str, str] = {}
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("["):
            name = line[1:].partition("]")[0]
            now = {}
            found.setdefault(name, now)
        elif line and not line.startswith("#"):
            key, mark, value = line.partition("=")
            if mark:
                now.setdefault(key.strip(), value.strip())
    return found


def of_postgres_variables(environ: Mapping[str, str]) -> Iterator[Candidate]:
    """Without PGHOST, PGHOSTADDR or PGPORT they name no server."""
    hosts = environ.get("PGHOST") or environ.get("PGHOSTADDR") or ""
    if not (hosts or environ.get("PGPORT")):
        return
    for host, port in _places(hosts, environ.get("PGPORT", "")):
        yield Candidate(
            engine=EngineKind.POSTGRES,
            host=host,
            port=port,
            database=environ.get("PGDATABASE", ""),
            user=environ.get("PGUSER", ""),
            password="env:PGPASSWORD" if environ.get("PGPASSWORD") else None,
            tls=_SSLMODES.get(environ.get("PGSSLMODE", "")),
            ca=_ca(environ.get("PGSSLROOTCERT", "")),
            by="the variables PG*",
        )


# ---- MySQL and MariaDB -----------------------------------------------------------------------------


def of_option_file(text: str, path: str, *, own: bool) -> Iterator[Candidate]:
    """Of [client], [mysql] and the like; `own`: it is ~/.my.cnf, whose [client] dbdeck reads itself."""
    yield from _of_sections(text, path, _clients(text), own=own)


def of_login_path(text: str, path: str) -> Iterator[Candidate]:
    """A login path has any name; `text` is what stands in the file (console.model.login_path)."""
    yield from _of_sections(text, path, option_file.sections(text), own=False)


def _clients(text: str) -> list[str]:
    programs = re.compile(r"(client|mysql|mariadb)([-_.]?\w+)?")
    return [one for one in option_file.sections(text) if programs.fullmatch(one) and one not in _SERVERS]


def _of_sections(text: str, path: str, sections: Iterable[str], *, own: bool) -> Iterator[Candidate]:
    common = option_file.options(text, "client")
    for section in sections:
        values = common | option_file.options(text, section)
        if found := _of_options(values, section, path, own=own):
            yield found


_UNNAMED = ("client", "mysql", "mariadb")
_SERVERS = ("mysqld", "mysqld_safe", "mariadbd", "mysqldump", "mariadb-dump", "mysql_upgrade", "mariadb_safe")


def _of_options(values: Mapping[str, str], section: str, path: str, *, own: bool) -> Candidate | None:
    port = _port(values.get("port", ""), EngineKind.MYSQL)
    host = values.get("host", "")
    if not host or host == "localhost":
        host = values.get("socket") or host
    if port is None or not (host or values.get("user") or values.get("port")):
        return None
    word = "password" in values
    served = own and word and section == "client"
    name = section.removeprefix("client").strip("-_.") if section.startswith("client") else ""
    name = name or (section if section not in _UNNAMED else "")
    return Candidate(
        engine=EngineKind.MYSQL,
        host=host or "localhost",
        port=port,
        database=values.get("database", ""),
        user=values.get("user", ""),
        name=name,
        served=served,
        held=Held(path=path, section=section) if word and not served else None,
        tls=_SSLMODES.get(values.get("ssl-mode", "").lower()),
        ca=values.get("ssl-ca", ""),
        by=f"[{section}] of {path}",
    )


def of_mysql_variables(environ: Mapping[str, str]) -> Iterator[Candidate]:
    port = _port(environ.get("MYSQL_TCP_PORT", ""), EngineKind.MYSQL)
    host = environ.get("MYSQL_HOST") or environ.get("MYSQL_UNIX_PORT") or ""
    if port is None or not (host or environ.get("MYSQL_TCP_PORT")):
        return
    yield Candidate(
        engine=EngineKind.MYSQL,
        host=host or "localhost",
        port=port,
        password="env:MYSQL_PWD" if environ.get("MYSQL_PWD") else None,
        by="the variables MYSQL_*",
    )


# ---- who listens -----------------------------------------------------------------------------------


class Listener(NamedTuple):
    """One listening TCP socket of this machine."""

    host: str
    port: int
    inode: int


def listeners(text: str) -> Iterator[Listener]:
    """Of /proc/net/tcp or tcp6: the address is in hexadecimal, each 32 bits of it in the machine's order."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != LISTENING:
            continue
        address, _, port = fields[1].partition(":")
        host = _address(address)
        if host is not None:
            yield Listener(host, int(port, 16), int(fields[9]))


def _address(text: str) -> str | None:
    """None for what is no address; one that means every address is told as `localhost`."""
    try:
        raw = bytes.fromhex(text)
        packed = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
        address = ipaddress.ip_address(packed)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return "localhost" if address.is_unspecified else str(address)


def of_listeners(found: Iterable[Listener], programs: Mapping[int, str]) -> Iterator[Candidate]:
    """`programs` are names by inode, as far as we may see whose a socket is; usual ports count without."""
    for one in found:
        program = programs.get(one.inode, "")
        engine = _PROGRAMS.get(program)
        if engine is None and not program:
            engine = next((kind for kind, port in PORTS.items() if port == one.port), None)
        if engine is not None:
            by = f"{program or 'somebody'} listens on this machine"
            yield Candidate(engine=engine, host=one.host, port=one.port, by=by)


def is_server(program: str) -> bool:
    return program in _PROGRAMS


_SOCKET = "a socket of this machine"


def of_sockets(paths: Iterable[str]) -> Iterator[Candidate]:
    """Paths of unix sockets, of which those of servers are known by their names."""
    for path in paths:
        if found := _POSTGRES_SOCKET.fullmatch(path):
            port = _port(found["port"], EngineKind.POSTGRES)
            if port is not None:
                yield Candidate(engine=EngineKind.POSTGRES, host=found["folder"], port=port, by=_SOCKET)
        elif _MYSQL_SOCKET.fullmatch(path):
            yield Candidate(engine=EngineKind.MYSQL, host=path, port=PORTS[EngineKind.MYSQL], by=_SOCKET)


def bound_paths(text: str) -> Iterator[str]:
    """Of /proc/net/unix: the path is what stands behind seven fields, and may have spaces."""
    for line in text.splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[7].startswith("/"):
            yield fields[7]


# ---- all together ----------------------------------------------------------------------------------


def merged(found: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Each once, as it was found first. A bare server is left out where one with a user is."""
    kept: dict[tuple[EngineKind, str, int, str, str], Candidate] = {}
    for one in found:
        kept.setdefault(one.what, one)
    with_user = {one.what[:3] for one in kept.values() if one.user}
    return tuple(one for one in kept.values() if one.user or one.what[:3] not in with_user)


def proposed_name(one: Candidate, taken: Collection[str]) -> str:
    """A word for the target: what its file calls it, else its host's; never one that is taken."""
    host = one.host.rpartition("/")[2] if one.host.startswith("/") else one.host
    plain = re.fullmatch(r"[\d.:]+|localhost|postgresql|mysqld?\.sock|mariadb\.sock|tmp|run|", host)
    base = one.name or (f"{'local' if plain else host.partition('.')[0]}")
    if plain and not one.name:
        base = f"{'pg' if one.engine is EngineKind.POSTGRES else 'my'}-{one.port}"
    base = re.sub(r"[^A-Za-z0-9-]+", "-", base).strip("-").lower() or "server"
    names = (base, *(f"{base}-{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def _port(text: str, engine: EngineKind) -> int | None:
    """None for what is none."""
    if text in ("", pgpass.ANY):
        return PORTS[engine]
    number = int(text) if re.fullmatch(r"[0-9]{1,5}", text) else 0
    return number if 1 <= number <= 65535 else None


def _places(hosts: str, ports: str) -> list[tuple[str, int]]:
    """libpq takes several hosts, with commas between, and one port for all or one for each (manual 34.1.1.3);
    it tries one after the other, and each is a server that could be a target. None where it would refuse.
    """
    names = [one.strip() or "localhost" for one in hosts.split(",")]
    given = [_port(one.strip(), EngineKind.POSTGRES) for one in ports.split(",")]
    each = given * len(names) if len(given) == 1 else given
    if len(each) != len(names) or None in each:
        return []
    return [(name, port) for name, port in zip(names, each, strict=True) if port is not None]


def _ca(path: str) -> str:
    """libpq's `system` means the system's own, which is the default here."""
    return "" if path == "system" else path
