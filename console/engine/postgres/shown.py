"""What a PostgreSQL server shows of what operators do: accounts, settings, indexes, slots, and its log."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import asyncpg

from console.engine.port import READ_SECONDS
from console.engine.postgres import accounts, effect_log
from console.engine.postgres.aside import Aside, aside
from console.engine.postgres.errors import FAILURES, on_read
from console.engine.postgres.link import Link, identify
from console.engine.postgres.remedies import role_in_sql
from console.engine.postgres.rows import Record
from console.engine.postgres.snapshot import read_databases
from console.engine.queries import query, quote_ident
from console.errors import DbdeckError, PrivilegeMissing, Unreachable
from console.model.effects import CLEAR, DEFINITION, HIDDEN, KEYED, LOG, Look, Seen
from console.model.verifiers import fingerprint, key_id

Found = dict[str, dict[str, str]]
_SAYS_ITSELF = ("bool", "integer", "real", "enum")  # a value of these types is no secret
_COVERED = ("client", "session", "interactive", "user", "database", "database user", "global")
_OF_DATABASE = ("index", "invalid index", "grant", "default privilege", "setting")
_SYNC = ("pg_", "_sync_")  # slots that a subscription makes and drops while it copies tables
NO_KEY = "the key of fingerprints is not there"


async def look(link: Link, key: bytes | None, before: Look | None) -> Seen:
    """Raises an Unreachable error; what may not be seen is told in the look."""
    connection, _ = await link.connected()
    identity = await identify(connection, link.target)
    taken_at = (await link.fetch("shown_clock", "the clock"))[0]["now"]
    view = _View(link, key)
    await view.settings()
    await view.server()
    for database in await read_databases(link.target):
        await view.database(database)
    await view.passwords()
    await view.memory()
    heard = await effect_log.read(link, before)
    made = Look(
        taken_at=taken_at,
        server=identity.system_id,
        flavor=identity.flavor,
        started_at=identity.started_at,
        replica=identity.primary is False,
        key="" if key is None else key_id(key),
        marks=dict(view.marks),
        unseen=view.unseen | ({LOG: heard.missing} if heard.missing else {}),
        partial=view.partial,
        log=heard.place,
    )
    return Seen(look=made, lines=heard.lines, from_start=frozenset(view.from_start), notes=heard.notes)


class _View:
    """What was seen so far."""

    def __init__(self, link: Link, key: bytes | None) -> None:
        self._link = link
        self._key = key
        self._types: dict[str, str] = {}
        self.marks: Found = defaultdict(dict)
        self.unseen: dict[str, str] = {}
        self.partial: dict[str, str] = {}
        self.from_start: set[str] = set()

    async def settings(self) -> None:
        rows = await _bare(self._link)
        self._types = {row["name"].lower(): row["kind"] for row in rows}
        self.from_start = {row["name"] for row in rows if row["context"] == "postmaster"}
        given = [row for row in rows if row["given"]]
        self.marks["server setting"] = {row["name"]: self._setting(row) for row in given}
        if rows and not rows[0]["sees_all"]:
            who = role_in_sql(self._link.target.monitor.user)
            self.partial["server setting"] = f"GRANT pg_read_all_settings TO {who};"

    def _setting(self, row: Record) -> str:
        if row["source"] in _COVERED:
            return HIDDEN  # something of this login stands above what others get
        waits = " (another value waits for a restart)" if row["pending"] else ""
        if row["kind"] in _SAYS_ITSELF:
            return f"{CLEAR}{row['value']}{row['unit'] or ''}{waits}"
        return self._keyed(f"{row['value']}{waits}")

    def _keyed(self, text: str) -> str:
        return HIDDEN if self._key is None else KEYED + fingerprint(self._key, text)

    async def server(self) -> None:
        async with aside(self._link.target, "", purpose="effects") as opened:
            self._add(await opened.fetch("inventory_server", "roles and databases"))
            self._add(await opened.fetch("inventory_settings", "settings of roles", False))

    async def database(self, name: str) -> None:
        """One that cannot be entered hides what is in it."""
        try:
            async with aside(self._link.target, name, purpose="effects") as opened:
                await self._inside(opened, name)
        except PrivilegeMissing as error:
            why = f"database {name}: {error.message}"
            self.partial |= dict.fromkeys(_OF_DATABASE, f"{why}; {error.hint}" if error.hint else why)
        except Unreachable as error:
            who = role_in_sql(self._link.target.monitor.user)
            grant = f"GRANT CONNECT ON DATABASE {quote_ident(name, 'postgresql')} TO {who};"
            why = f"database {name}: {error.message}; {grant}"
            self.partial |= dict.fromkeys(_OF_DATABASE, why)

    async def _inside(self, opened: Aside, database: str) -> None:
        for row in await opened.fetch("shown_indexes", "indexes"):
            mark = f"{DEFINITION}{_hash(row['definition'])} on {row['table_name']}"
            self.marks[row["kind"]][_within(database, row["name"])] = mark
        self._add(await opened.fetch("inventory_settings", "settings of the database", True))
        for row in await opened.fetch("inventory_grants", "grants"):
            self._put(row["kind"], f"{database}: {row['name']}", CLEAR + _words(row))

    def _add(self, rows: Sequence[Record]) -> None:
        for row in rows:
            if row["kind"] == "setting":
                self._put(row["kind"], row["name"], self._entry(row))
            else:
                self._put(row["kind"], row["name"], CLEAR + _words(row))

    def _put(self, kind: str, name: str, mark: str) -> None:
        self.marks[kind][name] = mark

    def _entry(self, row: Record) -> str:
        """What ALTER ROLE or ALTER DATABASE set."""
        name = row["name"].rpartition(": ")[2].lower()
        value = "".join(row["definition"])
        return CLEAR + value if self._types.get(name) in _SAYS_ITSELF else self._keyed(value)

    async def passwords(self) -> None:
        if self._key is None:
            self.unseen["password"] = NO_KEY
            return
        try:
            stored = await accounts.verifiers(self._link)
        except DbdeckError as error:
            self.unseen["password"] = error.hint or error.message
            return
        for one in stored:
            kept = HIDDEN if one.verifier is None else KEYED + fingerprint(self._key, one.verifier)
            self.marks["password"][one.name] = kept

    async def memory(self) -> None:
        for row in await self._link.fetch("slots", "replication slots"):
            name = row["name"]
            if row["temporary"] or row["synced"] or (name.startswith(_SYNC[0]) and _SYNC[1] in name):
                continue  # who made it takes it away
            self.marks["slot"][name] = CLEAR + str(row["kind"])
        for row in await self._link.fetch("prepared", "prepared transactions"):
            self.marks["prepared transaction"][row["gid"]] = CLEAR


async def _bare(link: Link) -> list[asyncpg.Record]:
    _, identity = await link.connected()
    sql = query("postgres", "shown_settings", "postgresql", identity.version_num)
    async with link.bare("effects") as connection:
        try:
            return await connection.fetch(sql, timeout=READ_SECONDS)
        except FAILURES as error:
            raise on_read(error, link.target, "the settings") from None


def _within(database: str, name: str) -> str:
    plain = database.isidentifier() and database.islower() and database.isascii()
    return f"{database if plain else quote_ident(database, 'postgresql')}.{name}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _words(row: Record) -> str:
    """Of a role, a membership, a database or a grant: nothing in it is secret."""
    if row["kind"] != "role":
        return ", ".join(part for part in row["definition"] if part)
    attributes, limit, until = row["definition"]
    said = [(attributes or "").replace(",", ", ")]
    said += [f"connection limit {limit}"] if limit and limit != "-1" else []
    said += [f"valid until {until}"] if until else []
    return ", ".join(one for one in said if one)
