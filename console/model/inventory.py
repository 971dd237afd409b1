"""What is in a database, by kind and name, and what two of them differ in."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

Objects = dict[str, dict[str, str]]
NOT_DUMPED = frozenset({"invalid index"})  # only a copy of files has them, and nobody misses one


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """Of one database; `database` empty is what belongs to the server: roles, memberships, databases, and
    (MySQL, MariaDB) users and their grants.

    Kind of object -> its full name -> fingerprint of its definition (empty: none is taken). Kinds are words
    people use: table, view, function, trigger, grant, role. Fingerprints are comparable between servers of
    one flavour and major version. `unseen` are kinds this login may not see, each with the GRANT, or could
    not: they are neither there nor missing.
    """

    database: str
    flavor: str
    version: int
    objects: Objects
    unseen: dict[str, str] = {}

    def count(self) -> int:
        return sum(map(len, self.objects.values()))


def of_databases(server: Inventory, databases: Collection[str]) -> Inventory:
    """What belongs to the server, without other databases and the rights on them: a backup of some holds no
    others.
    """
    kept = {
        kind: {name: one for name, one in objects.items() if _within(kind, name, databases)}
        for kind, objects in server.objects.items()
    }
    return msgspec.structs.replace(server, objects=kept)


def _within(kind: str, name: str, databases: Collection[str]) -> bool:
    if kind == "database":
        return _plain(name) in databases
    return kind != "grant" or _concerns(name, databases)


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') and name.endswith('"') else name


def _concerns(grant: str, databases: Collection[str]) -> bool:
    """Of PostgreSQL's grants on a server's objects, `database shop to app_user`; of MySQL's on one table or
    routine, "privileges on `shop`.`orders` to app@%".
    """
    what, _, rest = grant.partition(" ")
    if what == "privileges":
        on = object_granted(rest)
        return on is None or on[0] in {*databases, *_MYSQL_OWN}
    return what != "database" or any(rest.startswith(f"{_quoted(one)} to ") for one in databases)


_MYSQL_OWN = frozenset({"mysql", "sys", "performance_schema", "information_schema"})
_MYSQL_ON = re.compile(
    r"(?:[^`']|`(?:[^`]|``)*`)*?\bon (?:[a-z]+ )*(`(?:[^`]|``)+`)\.(`(?:[^`]|``)+`) to ", re.I
)


def object_granted(grant: str) -> tuple[str, str] | None:
    """(database, name) of the one table or routine that a grant of MySQL is on, from its statement or from
    its name here; None of one on a database or on everything.
    """
    found = _MYSQL_ON.match(grant)
    return (_unticked(found[1]), _unticked(found[2])) if found else None


def _unticked(name: str) -> str:
    return name[1:-1].replace("``", "`")


class Known(NamedTuple):
    """What rights can be on in a backup of some databases of MySQL: the names of each one's tables and
    routines, None where some could not be seen. A grant outlives what it was on, and one on what is not there
    cannot be made again.
    """

    names: Mapping[str, Collection[str] | None]

    @classmethod
    def of(cls, inventories: Iterable[Inventory]) -> Known:
        names: dict[str, set[str] | None] = {}
        for one in inventories:
            there = names.setdefault(one.database.casefold(), set())
            if one.unseen or there is None:
                names[one.database.casefold()] = None
            else:
                there.update(name.casefold() for objects in one.objects.values() for name in objects)
        return cls(names)

    def holds(self, grant: str) -> bool:
        """Whether it can be made where only these databases are."""
        on = object_granted(grant)
        if on is None or on[0] in _MYSQL_OWN:
            return True
        there = self.names.get(on[0].casefold(), ())
        return there is None or on[1].casefold() in there

    def within(self, server: Inventory) -> Inventory:
        """The server's inventory without grants that cannot be made."""
        kept = {name: one for name, one in server.objects.get("grant", {}).items() if self.holds(name)}
        return msgspec.structs.replace(server, objects={**server.objects, "grant": kept})


def _quoted(name: str) -> str:
    plain = name.isidentifier() and name.islower() and name.isascii()
    return name if plain else '"' + name.replace('"', '""') + '"'


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """`missing` and `more` than expected, `changed` in their definition: kind and name of each."""

    missing: tuple[tuple[str, str], ...] = ()
    more: tuple[tuple[str, str], ...] = ()
    changed: tuple[tuple[str, str], ...] = ()
    unseen: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.more or self.changed)


def differences(expected: Inventory, found: Inventory) -> Difference:
    """Definitions are compared only between servers of one major version: their wording changes."""
    alike = (expected.flavor, expected.version) == (found.flavor, found.version)
    unseen = sorted({*expected.unseen, *found.unseen})
    kinds = [kind for kind in sorted({*expected.objects, *found.objects}) if kind not in unseen]
    missing, more, changed = [], [], []
    for kind in kinds:
        wanted, have = expected.objects.get(kind, {}), found.objects.get(kind, {})
        if kind not in NOT_DUMPED:
            missing += [(kind, name) for name in sorted(wanted.keys() - have.keys())]
        more += [(kind, name) for name in sorted(have.keys() - wanted.keys())]
        changed += [
            (kind, name)
            for name in sorted(wanted.keys() & have.keys())
            if alike and wanted[name] and have[name] and wanted[name] != have[name]
        ]
    return Difference(missing=tuple(missing), more=tuple(more), changed=tuple(changed), unseen=tuple(unseen))


class TableContent(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of one table's rows. `rows` None: not counted; `exact` False: an estimate.

    `checksum` is over all rows, or over those whose key's hash is 0 modulo `sample`; it does not depend on
    the order of rows, and is comparable between servers of one flavour. `empty_after` says that a restore
    leaves it empty by design: an unlogged table in a physical backup.
    """

    name: str
    rows: int | None = None
    exact: bool = True
    checksum: str = ""
    sample: int = 1
    unlogged: bool = False
    why: str = ""  # why it was not counted or not summed


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """The tables of one database, as far as the time given went."""

    database: str
    tables: tuple[TableContent, ...] = ()
    seconds: float = 0.0

    def by_name(self) -> Mapping[str, TableContent]:
        return {one.name: one for one in self.tables}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How to look at contents: at most `seconds` in all; the named tables as they were looked at before.

    `like` are the tables of a baseline: the same sample is taken of each, so that sums can be compared.
    """

    seconds: float
    like: tuple[TableContent, ...] = ()


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore is compared with: taken in the backup's own snapshot (`exact`), or of the live server.

    `contents` of an exact one are equal or the backup is bad; of the live server, within the drift allowed.
    """

    exact: bool
    taken_at: datetime
    origin: str
    inventories: tuple[Inventory, ...] = ()
    contents: tuple[Contents, ...] = ()
    notes: tuple[str, ...] = ()

    def inventory(self, database: str) -> Inventory | None:
        return next((one for one in self.inventories if one.database == database), None)

    def content(self, database: str) -> Contents | None:
        return next((one for one in self.contents if one.database == database), None)


class FileSum(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a backup: its size in bytes and its SHA-256."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What `backup.take` writes beside a backup: what it should hold, and what it was made with.

    `files` are by their path within the backup. `position` is the snapshot's LSN, GTID or binlog position.
    """

    version: int = 1
    target: str
    method: str
    started_at: datetime
    ended_at: datetime
    server: str
    version_num: int
    command: tuple[str, ...]
    tool: str
    position: str = ""
    files: dict[str, FileSum] = {}
    baseline: Baseline


def named(pairs: Sequence[tuple[str, str]], most: int = 20) -> str:
    """In words: `view shop.daily, function shop.tax(numeric) and 3 more`."""
    told = ", ".join(f"{kind} {name}" for kind, name in pairs[:most])
    return f"{told} and {len(pairs) - most} more" if len(pairs) > most else told
