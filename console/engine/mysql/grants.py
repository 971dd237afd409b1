"""What SHOW GRANTS says a login may do to a table. MySQL manual 8.2.2 and 15.7.1.6, MariaDB "GRANT"."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from console.engine.port import Need
from console.engine.queries import quote_ident

_NAME = r"(?:`(?:[^`]|``)+`|\*)"
_GRANT = re.compile(rf"GRANT (?P<privileges>.+?) ON (?:TABLE )?(?P<schema>{_NAME})\.(?P<name>{_NAME}) TO ")


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """`schema` and `name` as they stand there; `*` is any. A schema's `_` and `%` are wildcards."""

    privileges: frozenset[str]
    schema: str
    name: str

    def covers(self, need: Need) -> frozenset[str]:
        """The privileges it gives on what is needed."""
        if self.schema != "*" and not _like(self.schema, need.schema, wild=self.name == "*"):
            return frozenset()
        return self.privileges if self.name in ("*", need.name) else frozenset()


def parse(lines: Sequence[str]) -> tuple[list[Grant], bool]:
    """The grants on tables, and whether there are roles, whose grants are not shown."""
    found, roles = [], False
    for line in lines:
        match = _GRANT.match(line)
        if match is None:
            roles = roles or " ON " not in line
            continue
        words = re.sub(r"\([^)]*\)", "", match["privileges"]).split(",")
        found.append(
            Grant(
                privileges=frozenset(word.strip().upper() for word in words),
                schema=_bare(match["schema"]),
                name=_bare(match["name"]),
            )
        )
    return found, roles


def lacking(lines: Sequence[str], needs: Sequence[Need], account: str) -> tuple[str, ...]:
    """What is needed and certainly not granted, with the GRANT that would."""
    grants, roles = parse(lines)
    if roles:
        return ()
    said = []
    for need in needs:
        if need.sessions_of and _of(account) in need.sessions_of:
            continue  # its own
        held = frozenset[str]().union(*(grant.covers(need) for grant in grants))
        if held & {*need.enough, "ALL PRIVILEGES"}:
            continue
        missing = [one for one in need.privileges if one not in held]
        if missing:
            table = _shown(need)
            rights = ", ".join(missing)
            said.append(f"{rights} on {table}: GRANT {rights} ON {table} TO {account};")
    return tuple(said)


def _of(account: str) -> str:
    """The user of an account as it is written in a statement."""
    return account.rpartition("@")[0][1:-1].replace("''", "'")


def _shown(need: Need) -> str:
    if need.schema == "*":
        return "*.*"
    name = "*" if need.name == "*" else quote_ident(need.name, "mysql")
    return f"{quote_ident(need.schema, 'mysql')}.{name}"


def _bare(quoted: str) -> str:
    return quoted if quoted == "*" else quoted[1:-1].replace("``", "`")


def _like(pattern: str, text: str, *, wild: bool) -> bool:
    """LIKE of a database's name; beside a table's name there are no wildcards."""
    if not wild:
        return pattern == text
    parts = re.split(r"(\\.|[%_])", pattern)
    regex = "".join(
        _LIKE.get(part) or re.escape(part[1:] if part.startswith("\\") else part) for part in parts
    )
    return re.fullmatch(regex, text, re.IGNORECASE | re.DOTALL) is not None


_LIKE = {"%": ".*", "_": "."}


def covers(grants: Sequence[Grant], schema: str, rights: Sequence[str], *, table: str = "") -> bool:
    """Whether one of these rights is held on all of a database, or on one table of it."""
    need = Need(schema=schema, name=table or "*")
    for grant in grants:
        whole = grant.name == "*" or (table and grant.name == table)
        if whole and not grant.covers(need).isdisjoint({*rights, "ALL PRIVILEGES", "ALL"}):
            return True
    return False
