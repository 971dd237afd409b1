"""Which statements could have made a difference: by their verb and the names in them. Pure.

Deliberately coarse: a statement that names an object and is of a kind that can change it explains its change.
What a server shows differs from what was said to it in too many ways to compare more, but for passwords and
plain values, which are compared (`effect_match`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from console.model.effect_changes import owners_of, parts, table_of, unquoted
from console.model.effects import Change, How

_TOKEN = re.compile(r"""'((?:[^'\\]|''|\\.)*)'|"((?:[^"]|"")*)"|`((?:[^`]|``)*)`|(\w[\w$]*)""", re.DOTALL)
_VERB = re.compile(r"\b(?:or replace|if not exists|if exists|unique|fulltext|spatial|concurrently|online) ")
_SPACE = re.compile(r"\s+")
_CCNEW = re.compile(r"_cc(?:new|old)\d*$")  # what REINDEX CONCURRENTLY leaves, manual "REINDEX"

ACCOUNT = r"(?:create|alter|drop|rename) (?:role|user|group)\b|set password\b|set default role\b"
RIGHTS = r"(?:grant|revoke)\b"
DEFAULTS = r"alter default privileges\b"
GONE = r"drop (?:role|user|group|owned)\b|reassign owned\b"
SCHEMA = r"drop (?:schema|database)\b"
OBJECT = r"(?:create|alter|drop)\b"
SERVER = r"alter system\b|set (?:global|persist|persist_only)\b|set @@|reset persist\b"
ENTRY = r"alter (?:role|user|database)\b"
INDEX = r"(?:create|alter|drop|rename)\b"
REBUILD = r"reindex\b"  # leaves an invalid index behind, or makes one valid; never another definition
SLOT = r".*(?:pg_drop_replication_slot|replication_slot)|(?:create|alter|drop) subscription\b"
PREPARED = r"(?:rollback|commit) prepared\b|xa (?:rollback|commit)\b"


class Claim(NamedTuple):
    """A statement fits whose text begins so, and that has all of these names."""

    verb: str
    names: frozenset[str]


Statements = list[tuple[str, tuple[str, ...]]]


def claims(change: Change) -> tuple[Claim, ...]:
    """The statements that could have made this difference."""
    return tuple(Claim(verb, _folded(names)) for verb, names in _claims(change) if any(names))


def _claims(change: Change) -> Statements:
    made = _BY_KIND.get(change.kind)
    if made is not None:
        return made(change)
    who = (unquoted(change.name),)
    return [(OBJECT, who), (RIGHTS, who)]


def _of_account(change: Change) -> Statements:
    names = _accounts(change.name, hosts=change.kind != "role")
    return [(verb, (one,)) for one in names for verb in (ACCOUNT, RIGHTS, GONE)]


def _of_membership(change: Change) -> Statements:
    member, group = owners_of(change)
    both = (member, group)
    return [(RIGHTS, both), (ACCOUNT, both), (GONE, (member,)), (GONE, (group,))]


def _of_server(change: Change) -> Statements:
    return [(SERVER, parts(change.name))]


def _of_slot(change: Change) -> Statements:
    return [(SLOT, (change.name,))]


def _of_prepared(change: Change) -> Statements:
    """An xid of MySQL is `X'6162',X'',1`, of MariaDB `'ab','',1` as well; dbdeck writes the former."""
    found = _XID.match(change.name)
    if found is None:
        return [(PREPARED, (change.name,))]
    name = found[2] if found[1] else found[2].encode().hex()
    return [(PREPARED, (name,)), (PREPARED, (found[2],))]


_XID = re.compile(r"([Xx]?)'([^']*)',")


def _accounts(name: str, *, hosts: bool) -> tuple[str, ...]:
    """MySQL's `app@10.%` is called app in statements; a role of PostgreSQL may have an @ in its name."""
    bare = unquoted(name)
    user, sign, _ = bare.rpartition("@")
    quoted = bare != name
    return (bare, user) if hosts and sign and user and not quoted else (bare,)


def _rights(change: Change) -> Statements:
    """The object is told by its last part; `grant … on all tables in schema x` names only the schema."""
    what, _, who = change.name.rpartition(" to ")
    return [claim for one in _accounts(who, hosts=True) for claim in _rights_of(change, what, one)]


def _rights_of(change: Change, what: str, grantee: str) -> Statements:
    on = [one for one in tokens(what) if one not in _NOT_NAMES]
    last = parts(what.partition("(")[0].rpartition(" ")[2])
    schema = last[:1]
    found = [(GONE, (grantee,)), (ACCOUNT, (grantee,)), (SCHEMA, schema)]
    if change.kind == "default privilege":
        return [*found, (DEFAULTS, (grantee,))]
    if what.startswith(("privileges on", "proxy on", "`")):  # MySQL
        found += [(RIGHTS, (grantee, *on))]
        return found + ([(RIGHTS, (grantee,))] if not on else [])
    found += [(RIGHTS, (grantee, *last[-1:])), (RIGHTS, (grantee, "all", *schema)), (OBJECT, last[-1:])]
    return found


_NOT_NAMES = frozenset({"privileges", "proxy", "on", "table", "function", "procedure", "%"})


def _entry(change: Change) -> Statements:
    scope, _, setting = change.name.rpartition(": ")
    role, _, database = scope.partition("database ")
    owner = tuple(unquoted(one) for one in (role.removeprefix("role ").strip(), database.strip()) if one)
    found = [(ENTRY, (*owner, *parts(setting))), (ENTRY, (*owner, "reset", "all"))]
    return found + [(f"{GONE}|{SCHEMA}", (one,)) for one in owner]


def _index(change: Change) -> Statements:
    """By its own name or by its table's; MySQL's PRIMARY is nobody's name."""
    names = parts(change.name)
    table = parts(table_of(change.after or change.before))[-1:]
    own = () if names[-1].upper() == "PRIMARY" else names[-1:]
    base = tuple(_CCNEW.sub("", one) for one in own)
    found = [(INDEX, table), (INDEX, own), *((SCHEMA, (one,)) for one in names[:-1])]
    rebuilt = change.kind == "invalid index" or (table_of(change.after) != "" and change.how is How.CHANGED)
    return [*found, *((REBUILD, one) for one in (table, own, base))] if rebuilt else found


_BY_KIND: Mapping[str, Callable[[Change], Statements]] = {
    "role": _of_account,
    "user": _of_account,
    "password": _of_account,
    "membership": _of_membership,
    "grant": _rights,
    "default privilege": _rights,
    "setting": _entry,
    "server setting": _of_server,
    "persisted setting": _of_server,
    "index": _index,
    "invalid index": _index,
    "slot": _of_slot,
    "prepared transaction": _of_prepared,
}


# ---- statements -----------------------------------------------------------------------------------------


def fits(statement: str, wanted: Iterable[Claim]) -> bool:
    """Whether one of the claims is this statement's. One with several parts is taken as each of them."""
    return any(_one(part, claim) for part in split(statement) for claim in wanted)


def _one(statement: str, claim: Claim) -> bool:
    return claim.names <= tokens(statement) and re.match(claim.verb, verb_of(statement)) is not None


@lru_cache(maxsize=4096)
def tokens(statement: str) -> frozenset[str]:
    """Every name, literal and word of it, in small letters, and what literals have in them as words."""
    found: set[str] = set()
    for literal, quoted, ticked, bare in _TOKEN.findall(statement):
        if literal:
            text = literal.replace("''", "'")
            found |= {text.casefold(), *(one.casefold() for one in re.findall(r"\w+", text))}
        else:
            found.add((quoted.replace('""', '"') or ticked.replace("``", "`") or bare).casefold())
    return frozenset(found)


@lru_cache(maxsize=4096)
def verb_of(statement: str) -> str:
    """Its beginning in small letters, without the words that may stand between a verb and its object."""
    text = _SPACE.sub(" ", re.sub(r"^(?:\s|/\*.*?\*/|--[^\n]*\n)+", "", statement, flags=re.DOTALL))[:2000]
    return _VERB.sub(" ", text.casefold()).replace("  ", " ").replace("@@global.", "global ").strip()


@lru_cache(maxsize=4096)
def split(statement: str) -> tuple[str, ...]:
    """At semicolons outside of quotes: a migration's step may hold several."""
    found, begun = [], 0
    for sign in re.finditer(r"'(?:[^'\\]|''|\\.)*'|\"[^\"]*\"|`[^`]*`|;", statement, re.DOTALL):
        if sign[0] == ";":
            found.append(statement[begun : sign.start()])
            begun = sign.end()
    found.append(statement[begun:])
    return tuple(one for one in found if one.strip())


_PIDS = re.compile(
    r"\ba\.pid = (\d+)|pg_stat_get_activity\((\d+)\)|\bprocesslist_id = (\d+)|\bt\.id = (\d+)|"
    r"\bkill (?:connection |query id |query |hard |soft )*(\d+)|pg_(?:terminate|cancel)_backend\((\d+)\)",
    re.IGNORECASE,
)
_ENDS = re.compile(r"pg_terminate_backend|pg_cancel_backend|\bkill\b", re.IGNORECASE)


def ends_sessions(statement: str) -> frozenset[int] | None:
    """The sessions that a statement ends or cancels; None for one that ends nobody, empty where it does not
    name whom.
    """
    if not _ENDS.search(statement):
        return None
    return frozenset(int(one) for found in _PIDS.findall(statement) for one in found if one)


def _folded(names: Iterable[str]) -> frozenset[str]:
    return frozenset(one.casefold() for one in names if one)
