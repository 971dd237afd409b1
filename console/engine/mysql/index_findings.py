"""What is wrong with indexes. Pure: from what was read to findings, each with what mends it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

import msgspec

from console.engine.mysql.keys import PRIMARY, Key, bare, is_prefix
from console.engine.mysql.numbers import Pair
from console.engine.queries import quote_ident
from console.model.indexes import Finding, IndexFinding, Severity

_A_WEEK = 7 * 86_400.0
# Storage engines with what a DBA should know of them; MySQL manual 18, MariaDB "Storage Engines".
_ENGINES = {
    "MyISAM": (Severity.WARN, "a crash may damage it, and a writer locks the whole table"),
    "Aria": (Severity.NOTICE, "it survives a crash and has no transactions; a writer locks the whole table"),
    "MEMORY": (Severity.NOTICE, "its rows are gone after a restart"),
    "CSV": (Severity.INFO, "it has no indexes and no transactions"),
    "ARCHIVE": (Severity.INFO, "rows cannot be changed, and it has no transactions"),
}


class Foreign(msgspec.Struct, frozen=True, kw_only=True):
    table: Pair
    name: str
    columns: tuple[str, ...]


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Indexes nobody read, and rows read without an index by table, since `since` (None is not known)."""

    unread: frozenset[tuple[str, str, str]] = frozenset()
    scanned: Mapping[Pair, int] = {}
    since: datetime | None = None
    seconds: float | None = None


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was read. A table without an engine could not be opened. `sizes` (bytes by schema,
    table, index) and `usage` are None where nobody can tell. `hidden_clusters` are the tables for which
    InnoDB made a clustered index up, None where that need not be asked.
    """

    keys: Sequence[Key] = ()
    engines: Mapping[Pair, str | None] = {}
    foreign: Sequence[Foreign] = ()
    sizes: Mapping[tuple[str, str, str], int] | None = None
    usage: Usage | None = None
    hidden_clusters: frozenset[Pair] | None = None
    mariadb: bool = False


def findings(looked: Looked) -> list[IndexFinding]:
    by_table: dict[Pair, list[Key]] = {pair: [] for pair in looked.engines}
    for key in looked.keys:
        by_table.setdefault(key.pair, []).append(key)
    found: list[IndexFinding] = []
    for pair, keys in by_table.items():
        engine = looked.engines.get(pair)
        covered = list(_covered(keys, engine))
        # One that covers others is not called unused: who drops all that is named must keep one of them.
        spared = {one.name for one in covered} | {one.with_ for one in covered}
        idle = {one.name for one in _unused(keys, looked, frozenset())}
        found += [_or_its_cover(one) if one.with_ in idle else one for one in covered]
        found += _by_itself(keys, looked)
        found += _unused(keys, looked, spared)
        if keys or engine != "InnoDB" or looked.hidden_clusters is None or pair in looked.hidden_clusters:
            found += _without_primary(pair, keys, engine)
        found += _storage(pair, engine)
        found += _scanned(pair, looked.usage)
    found += _foreign(looked.foreign, by_table)
    return [_sized(one, looked) for one in found]


def _place(pair: Pair) -> str:
    return ".".join(quote_ident(part, "mysql") for part in pair)


def _alter(pair: Pair, *words: str) -> str:
    """A statement for people to run."""
    return " ".join(("ALTER TABLE", _place(pair), *words))


def _drop(key: Key) -> str:
    return _alter(key.pair, "DROP", "INDEX", quote_ident(key.name, "mysql"))


def _create(pair: Pair, columns: str) -> str:
    """The action with its arguments."""
    return " ".join(("index.create", f"table={'.'.join(pair)}", f"column={columns}"))


def _about(key: Key, finding: Finding, severity: Severity, **more: str) -> IndexFinding:
    return IndexFinding(
        finding=finding,
        severity=severity,
        schema=key.schema,
        table=key.table,
        name=key.name,
        definition=key.definition,
        **more,  # type: ignore[arg-type]
    )


# ---- indexes that another one covers ---------------------------------------------------------------


def _covered(keys: Iterable[Key], engine: str | None) -> Iterator[IndexFinding]:
    """Each index at most once, with the best of those that cover it. Those nobody reads cover nothing."""
    live = [key for key in keys if key.visible and not key.disabled]
    primary = next((key for key in live if key.primary), None) if engine == "InnoDB" else None
    left = sorted(sorted(live, key=lambda key: key.name, reverse=True), key=_worth)
    for key in list(left):
        cover = next((one for one in reversed(left) if one is not key and _covers(one, key, primary)), None)
        if cover is not None:
            left.remove(key)
            yield _double(key, cover, primary)


def _worth(key: Key) -> tuple[bool, bool, int]:
    """The least worth keeping goes first: of two that do the same the longer, or the later by name."""
    return key.primary, key.unique, -len(key.parts)


def _covers(cover: Key, key: Key, primary: Key | None) -> bool:
    """A unique index guards something; only a unique one of the same columns does the same."""
    if key.primary or cover.kind != key.kind:
        return False
    if key.unique:
        return cover.unique and cover.parts == key.parts
    if key.kind != "BTREE":
        return cover.parts == key.parts
    return is_prefix(bare(key, primary), cover.parts)


def _double(key: Key, cover: Key, primary: Key | None) -> IndexFinding:
    remedy = _drop(key)
    if key.parts == cover.parts:
        why = f"{cover.name} has the same columns" + (" and is unique" if cover.unique > key.unique else "")
        return _about(key, Finding.DUPLICATE, Severity.WARN, with_=cover.name, why=why, remedy=remedy)
    if bare(key, primary) == bare(cover, primary):
        why = f"{cover.name} does the same: InnoDB appends the primary key to it by itself"
        return _about(key, Finding.DUPLICATE, Severity.WARN, with_=cover.name, why=why, remedy=remedy)
    why = f"its columns lead {cover.name}, which serves the same searches"
    return _about(key, Finding.REDUNDANT, Severity.NOTICE, with_=cover.name, why=why, remedy=remedy)


# ---- one index, one table ----------------------------------------------------------------------------


def _by_itself(keys: Iterable[Key], looked: Looked) -> Iterator[IndexFinding]:
    for key in keys:
        if not key.visible:
            word = "ignored" if looked.mariadb else "invisible"
            yield _about(
                key,
                Finding.INVISIBLE,
                Severity.INFO,
                why=f"it is {word}: every write keeps it up to date and no search uses it",
                remedy=f"{_drop(key)}, when nobody missed it; or {_shown(key, looked.mariadb)}",
            )
        if key.disabled:
            yield _about(
                key,
                Finding.INVALID,
                Severity.WARN,
                why="its keys are disabled: it is not kept up to date and no search uses it",
                remedy=_alter(key.pair, "ENABLE KEYS"),
            )


def _shown(key: Key, mariadb: bool, *, hide: bool = False) -> str:
    words = ("NOT IGNORED", "IGNORED") if mariadb else ("VISIBLE", "INVISIBLE")
    return _alter(key.pair, "ALTER", "INDEX", quote_ident(key.name, "mysql"), words[hide])


def _or_its_cover(one: IndexFinding) -> IndexFinding:
    return msgspec.structs.replace(one, why=f"{one.why}; nobody read that one: drop one of them, not both")


def _unused(keys: Iterable[Key], looked: Looked, spared: AbstractSet[str]) -> Iterator[IndexFinding]:
    """An index that guards uniqueness or a foreign key works without being read; full-text searches are
    not counted.
    """
    if looked.usage is None:
        return
    young = looked.usage.seconds is not None and looked.usage.seconds < _A_WEEK
    for key in keys:
        works = key.unique or not key.visible or key.disabled or key.kind == "FULLTEXT"
        if works or key.name in spared or (*key.pair, key.name) not in looked.usage.unread:
            continue
        if any(_leads(one.columns, key) for one in looked.foreign if one.table == key.pair):
            continue
        found = _about(
            key,
            Finding.UNUSED,
            Severity.INFO if young else Severity.NOTICE,
            why="nobody read it while its table was read" + _how_long(looked.usage),
            remedy=f"{_shown(key, looked.mariadb, hide=True)}, and drop it when nobody missed it; "
            "mind replicas, whose reads are not counted here",
        )
        yield msgspec.structs.replace(found, scans=0, since=looked.usage.since)


def _how_long(usage: Usage) -> str:
    if usage.seconds is None:
        return " since userstat was switched on"
    hours = usage.seconds / 3600
    return (
        f", in the {hours / 24:.0f} days since the server started"
        if hours >= 48
        else (f", but the server started only {hours:.0f} h ago: a weekly report may need it")
    )


def _without_primary(pair: Pair, keys: Sequence[Key], engine: str | None) -> Iterator[IndexFinding]:
    if engine is None or any(key.primary for key in keys):
        return
    instead = next((key.name for key in keys if key.unique and not key.nullable and _whole(key)), "")
    if engine == "InnoDB" and not instead:
        severity = Severity.WARN
        why = (
            "InnoDB clusters it by a hidden number that all such tables share, and a replica searches the "
            "whole table for each row that is changed"
        )
    elif engine == "InnoDB":
        severity = Severity.INFO
        why = f"InnoDB clusters it by {instead} instead; Group Replication and many tools want a primary key"
    else:
        severity, why = Severity.INFO, "rows have no identity: a replica searches for each that is changed"
    yield IndexFinding(
        finding=Finding.NO_PRIMARY_KEY,
        severity=severity,
        schema=pair[0],
        table=pair[1],
        with_=instead,
        why=why,
        remedy=_alter(pair, "ADD PRIMARY KEY (…)"),
    )


def _whole(key: Key) -> bool:
    """InnoDB takes for its clustered index none of prefixes or expressions."""
    return all(part.length is None and not part.expression for part in key.parts)


def _storage(pair: Pair, engine: str | None) -> Iterator[IndexFinding]:
    if engine in _ENGINES:
        severity, why = _ENGINES[engine]
        yield IndexFinding(
            finding=Finding.NOT_INNODB,
            severity=severity,
            schema=pair[0],
            table=pair[1],
            definition=f"ENGINE={engine}",
            why=f"{engine}: {why}",
            remedy=_alter(pair, "ENGINE = InnoDB"),
        )


def _scanned(pair: Pair, usage: Usage | None) -> Iterator[IndexFinding]:
    if usage is not None and pair in usage.scanned:
        yield IndexFinding(
            finding=Finding.SEQUENTIAL_SCANS,
            severity=Severity.NOTICE,
            schema=pair[0],
            table=pair[1],
            scans=usage.scanned[pair],
            since=usage.since,
            why=f"{usage.scanned[pair]} of its rows were read without an index",
            remedy="find the statement (sys.statements_with_full_table_scans), then " + _create(pair, "…"),
        )


def _foreign(
    constraints: Iterable[Foreign], by_table: Mapping[Pair, Sequence[Key]]
) -> Iterator[IndexFinding]:
    """InnoDB makes such an index by itself; MariaDB lets it be dropped while foreign_key_checks is off."""
    for one in constraints:
        keys = by_table.get(one.table)
        if keys is None or any(_leads(one.columns, key) for key in keys):
            continue
        yield IndexFinding(
            finding=Finding.NO_INDEX_ON_FOREIGN_KEY,
            severity=Severity.WARN,
            schema=one.table[0],
            table=one.table[1],
            name=one.name,
            definition=f"FOREIGN KEY ({', '.join(quote_ident(column, 'mysql') for column in one.columns)})",
            why="each change to the referenced table reads this one whole, and locks its rows",
            remedy=_create(one.table, ",".join(one.columns)),
        )


def _leads(columns: tuple[str, ...], key: Key) -> bool:
    """Names of columns know no case."""
    lead = [column.lower() for column in key.columns[: len(columns)]]
    return key.kind == "BTREE" and lead == [column.lower() for column in columns]


def _sized(one: IndexFinding, looked: Looked) -> IndexFinding:
    name = one.name if one.definition and one.name else PRIMARY
    size = (looked.sizes or {}).get((one.schema, one.table, name))
    return one if size is None else msgspec.structs.replace(one, bytes=size)
