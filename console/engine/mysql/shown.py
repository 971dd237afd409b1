"""What a MySQL or MariaDB server shows of what operators do: accounts, variables, indexes, and its log."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from console.engine.mysql import effect_log
from console.engine.mysql.accounts import verifiers
from console.engine.mysql.inventory import NOT_OURS, grants_named, unseen
from console.engine.mysql.link import Link
from console.engine.mysql.reader import CATALOG_SECONDS, Reader, reader
from console.engine.mysql.xa import xid
from console.engine.queries import quote_ident
from console.errors import PrivilegeMissing, Unreachable
from console.model.accounts import label
from console.model.effects import CLEAR, DEFINITION, HIDDEN, KEYED, LOG, Look, Seen
from console.model.verifiers import fingerprint, key_id

Found = dict[str, dict[str, str]]
NO_KEY = "the key of fingerprints is not there"
# They tell how far the server is, not what somebody set.
_MOVES = frozenset(
    {
        "gtid_executed", "gtid_purged", "gtid_owned", "gtid_binlog_pos", "gtid_binlog_state",
        "gtid_current_pos", "gtid_slave_pos", "timestamp", "last_gtid", "in_transaction", "pseudo_thread_id",
        "wsrep_last_written_gtid", "wsrep_last_seen_gtid", "auto_increment_offset",
    }
)  # fmt: skip
# One variable under two names (MySQL manual, "Server System Variables"; MariaDB, the same): the second goes.
_ALIASES = {
    "log_slow_query": "slow_query_log",
    "log_slow_query_file": "slow_query_log_file",
    "log_slow_query_time": "long_query_time",
    "log_slow_min_examined_row_limit": "min_examined_row_limit",
    "tx_isolation": "transaction_isolation",
    "tx_read_only": "transaction_read_only",
    "expire_logs_days": "binlog_expire_logs_seconds",
    "old_alter_table": "alter_algorithm",
}
_OLD = (("slave", "replica"), ("master", "source"))
_SAYS_ITSELF = re.compile(r"-?\d+(?:\.\d+)?|ON|OFF|YES|NO|", re.IGNORECASE)
_SET = ("DYNAMIC", "SQL")  # since the start, by somebody's statement


async def look(link: Link, key: bytes | None, before: Look | None) -> Seen:
    """Raises an Unreachable error; what may not be seen is told in the look."""
    identity = await link.identity()
    clock = (await link.fetch("shown_clock", "the clock"))[0]
    view = _View(link, key)
    await view.hidden(["server setting"], view.variables)
    if identity.flavor == "mysql":
        await view.hidden(["persisted setting"], view.persisted)
    async with reader(link.target, "") as opened:
        await view.hidden(["user", "role", "grant"], lambda: view.accounts(opened))
        await view.indexes(opened)
    await view.passwords()
    await view.hidden(["prepared transaction"], view.prepared)
    heard = await effect_log.read(link, identity, clock, before)
    made = Look(
        taken_at=datetime.fromtimestamp(float(clock["now"]), UTC),
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
    return Seen(
        look=made, lines=heard.lines, by=view.by, from_start=frozenset(view.from_start), notes=heard.notes
    )


class _View:
    """What was seen so far."""

    def __init__(self, link: Link, key: bytes | None) -> None:
        self._link = link
        self._key = key
        self.marks: Found = defaultdict(dict)
        self.unseen: dict[str, str] = {}
        self.partial: dict[str, str] = {}
        self.from_start: set[str] = set()
        self.by: dict[tuple[str, str], tuple[str, datetime | None]] = {}

    async def hidden(self, kinds: Iterable[str], read: Callable[[], Any]) -> None:
        """One that takes a right which is not there leaves its kinds unseen."""
        try:
            await read()
        except PrivilegeMissing as error:
            for kind in kinds:
                self.marks.pop(kind, None)
                self.unseen[kind] = error.hint or error.message

    def _value(self, text: object) -> str:
        said = "" if text is None else str(text)
        if _SAYS_ITSELF.fullmatch(said):
            return CLEAR + said
        return HIDDEN if self._key is None else KEYED + fingerprint(self._key, said)

    async def variables(self) -> None:
        rows = await self._link.fetch("shown_variables", "global variables")
        for row in one_name_each(rows):
            name = row["name"]
            self.marks["server setting"][name] = self._value(row["value"])
            if row["source"] not in _SET:
                self.from_start.add(name)
            who = _who(row)
            # Of a variable that sessions have too, it may be our own session that is told of.
            if who and row["set_user"] != self._link.target.monitor.user:
                self.by["server setting", name] = who

    async def persisted(self) -> None:
        for row in await self._link.fetch("shown_persisted", "persisted settings"):
            self.marks["persisted setting"][row["name"]] = self._value(row["value"])

    async def accounts(self, opened: Reader) -> None:
        """In MySQL a role is an account that was granted to another: it is told as an account."""
        right = "SELECT ON mysql.*"
        self.marks["user"], self.marks["grant"] = {}, {}
        for row in await opened.fetch("inventory_accounts", right=right):
            name, host = str(row["name"]), str(row["host"] or "")
            if name in NOT_OURS:
                continue
            kind = "role" if opened.mariadb and row["is_role"] else "user"
            shown = name if kind == "role" else label(name, host)
            self.marks[kind][shown] = CLEAR + account_words(row)
            await self._grants(opened, (name, host), kind, shown)

    async def _grants(self, opened: Reader, key: tuple[str, str], kind: str, shown: str) -> None:
        try:
            if kind == "role":
                sql = f"show grants for {quote_ident(key[0], 'mysql')}"
                rows = await opened.ask(sql, what=shown, seconds=CATALOG_SECONDS)
            else:
                rows = await opened.fetch("grants_of", *key)
        except Unreachable as error:  # such as an account by a host's name where names are not resolved
            self.partial["grant"] = f"{shown}: {error.message}"
            return
        lines = (str(next(iter(one.values()))) for one in rows)
        self.marks["grant"] |= {
            name: DEFINITION + mark for name, mark in grants_named(lines, shown).items() if " to " in name
        }

    async def indexes(self, opened: Reader) -> None:
        self.marks["index"] = {}
        for row in await opened.fetch("databases"):
            database = str(row["name"])
            hides = (await unseen(opened, database)).get("index")
            if hides:
                self.partial["index"] = hides
            words: dict[tuple[str, str], list[str]] = defaultdict(list)
            for part in await opened.fetch("inventory_indexes", database):
                key = str(part["table_name"]), str(part["name"])
                words[key] += [
                    str(value) for name, value in part.items() if name not in ("table_name", "name")
                ]
            for (table, name), said in words.items():
                where = f"{_quoted(database)}.{_quoted(table)}"
                self.marks["index"][f"{where}.{_quoted(name)}"] = f"{DEFINITION}{_hash(said)} on {where}"

    async def passwords(self) -> None:
        if self._key is None:
            self.unseen["password"] = NO_KEY
            return
        try:
            stored = await verifiers(self._link)
        except PrivilegeMissing as error:
            self.unseen["password"] = error.hint or error.message
            return
        several: dict[str, list[str]] = defaultdict(list)
        for one in stored:
            if one.name not in NOT_OURS:
                mark = "" if one.verifier is None else fingerprint(self._key, one.verifier)
                several[label(*one.key)].append(mark)
        for name, marks in several.items():
            self.marks["password"][name] = KEYED + ",".join(sorted(marks)) if all(marks) else HIDDEN

    async def prepared(self) -> None:
        for row in await self._link.fetch("xa_prepared", "prepared transactions"):
            self.marks["prepared transaction"][xid(row)] = CLEAR


# ---- pure ---------------------------------------------------------------------------------------------


def one_name_each(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Without what moves by itself, and without the second names of variables."""
    by_name = {str(row["name"]).lower(): row for row in rows}
    return [
        {**row, "name": name}
        for name, row in by_name.items()
        if name not in _MOVES and not any(other in by_name for other in _others(name))
    ]


def _others(name: str) -> list[str]:
    found = [_ALIASES[name]] if name in _ALIASES else []
    for old, new in _OLD:
        if old in name:
            found.append(name.replace(old, new))
    return found


def account_words(row: Mapping[str, Any]) -> str:
    """The plugin, and what holds for the account beside its password; nothing in it is secret."""
    said = [str(row["plugin"] or "")]
    said += ["no password"] if not row["has_password"] else []
    said += [f"require {row['tls']}"] if row["tls"] else []
    said += ["locked"] if str(row["locked"]) in ("Y", "1", "true") else []
    limits = ("questions", "updates", "connections", "user_connections")
    said += [f"max_{name} {row[name]}" for name in limits if row[name]]
    return ", ".join(one for one in said if one)


def _who(row: Mapping[str, Any]) -> tuple[str, datetime | None] | None:
    if not row["set_user"]:
        return None
    at = datetime.fromtimestamp(float(row["set_at"]), UTC) if row["set_at"] else None
    return f"{row['set_user']}@{row['set_host'] or ''}", at


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"\w+", name) else quote_ident(name, "mysql")


def _hash(words: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]
