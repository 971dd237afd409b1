"""How a script is run: by the server's own client, unprivileged, in the enclosure, to its first error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO, NamedTuple, Protocol

import msgspec

from actions import postgres_tools
from actions.migration_locks import strongest
from actions.restoring import Restored, Site
from console.dispatch.enclosure import Enclosure, Work
from console.errors import ActionFailed
from console.programs import Heard

APPLICATION = "migration"
_WORDS_MOST = 400


class Ended(NamedTuple):
    """`error` empty: it came to its end. `locks`: the strongest by relation, as its transaction ended."""

    error: str = ""
    line: int | None = None
    locks: dict[str, str] = {}


class Ran(NamedTuple):
    """A script to run: an open file, and how."""

    database: str
    file: IO[bytes]
    what: str
    one_transaction: bool


class Client(Protocol):
    async def ready(self, site: Site, enclosure: Enclosure, restored: Restored) -> None:
        """Raises ActionFailed where there is no client."""
        ...

    async def run(self, given: Ran) -> Ended: ...


# ---- PostgreSQL ------------------------------------------------------------------------------------

# Of an index its table is told, too; new relations are nobody's yet, and the caller leaves them out.
_PROBE = """
\\pset format unaligned
\\pset tuples_only on
\\o {path}
select coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(
         n.nspname || '.' || coalesce(t.relname || ' (' operator(pg_catalog.||) c.relname || ')', c.relname),
         l.mode)), '[]')
  from pg_catalog.pg_locks l
  join pg_catalog.pg_class c on c.oid = l.relation
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_index x on x.indexrelid = c.oid
  left join pg_catalog.pg_class t on t.oid = x.indrelid
 where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation' and l.granted
   and n.nspname !~ '^pg_';
"""
_ERROR = re.compile(r"^psql:[^:]*:(\d+): (?:ERROR|FATAL|error):\s+(.*)", re.MULTILINE)


class Psql:
    def __init__(self) -> None:
        self._enclosure: Enclosure
        self._site: Site
        self._restored: Restored
        self._program = ""
        self._probes = 0

    async def ready(self, site: Site, enclosure: Enclosure, restored: Restored) -> None:
        engine = await enclosure.reading(restored.target)
        major = (await engine.identity()).version_num // 10000
        found = await postgres_tools.find(site.rule.binaries, major, ("psql",), same=False)
        if found is None:
            raise ActionFailed(f"there is no psql of PostgreSQL {major} or newer; no script was run")
        site.tools["psql"] = f"{found.major}.{found.minor}"
        self._program = str(enclosure.usable(found.folder) / "psql")
        self._site, self._enclosure, self._restored = site, enclosure, restored

    async def run(self, given: Ran) -> Ended:
        target = self._restored.target
        argv = [
            *(self._program, "-X", "-q", "-b", "-h", target.host, "-p", str(target.port)),
            *("-U", target.monitor.user, "-d", given.database),
            *("-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse", "-v", "SHOW_CONTEXT=never"),
        ]
        answer = None
        if given.one_transaction:
            answer, probe = self._probe()
            argv += ["--single-transaction", "-f", "-", "-f", str(probe)]
        else:
            argv += ["-f", "-"]
        env = {"PGAPPNAME": APPLICATION, "PGOPTIONS": "-c statement_timeout=0 -c lock_timeout=0"}
        heard = await self._site.unless_stopped(
            self._enclosure.run(Work(argv, given.what, env=env, stdin=given.file))
        )
        if heard.code == 0:
            return Ended(locks=strongest(_read(answer)) if answer is not None else {})
        line, words = error_of(heard)
        return Ended(words, line)

    def _probe(self) -> tuple[Path, Path]:
        """Where the answer will be, and the script that asks."""
        self._probes += 1
        if self._probes == 1:
            self._enclosure.folder("migration")
        folder = self._enclosure.root / "migration"
        answer = folder / f"locks-{self._probes}.json"
        return answer, self._enclosure.write(folder / f"probe-{self._probes}.sql", _PROBE.format(path=answer))


def _read(path: Path) -> list[tuple[str, str]]:
    """A file of the copy's own user: it is read, and no link is followed."""
    if path.is_symlink() or not path.is_file():
        return []
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[tuple[str, str]])
    except (OSError, msgspec.DecodeError):
        return []


def error_of(heard: Heard) -> tuple[int | None, str]:
    """(line, words) of the first error; psql stops at it."""
    found = _ERROR.search(heard.complaint)
    if found is None:
        return None, heard.why[:_WORDS_MOST]
    return int(found[1]), found[2][:_WORDS_MOST]


# What a transaction block cannot hold, or what ends one (PostgreSQL manual, part VI); a CALL may commit.
_ALONE = re.compile(
    r"(?:^|;)\s*(?:begin|start\s+transaction|commit|end|rollback|abort|savepoint|prepare\s+transaction|call|vacuum|"
    r"alter\s+system|(?:create|drop|alter)\s+(?:database|tablespace|subscription)|cluster\s*;|"
    r"reindex\s*(?:\([^)]*\)\s*)?(?:database|system|schema)|discard\s+all)\b"
    r"|\bconcurrently\b|\\|\bfrom\s+stdin\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(
    r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$([A-Za-z_]\w*|)\$.*?\$\1\$", re.DOTALL
)
_ENDS_BLOCK = re.compile(r"\b(?:commit|rollback)\b", re.IGNORECASE)


def fits_one_transaction(text: str) -> str:
    """Why a script of PostgreSQL is not run as one transaction; empty where it can be. In doubt it is not:
    psql runs it as it stands then, and locks are those that are seen.
    """
    found = _ALONE.search(_QUOTED.sub(" ", text))
    if found is not None:
        return f"it has {' '.join(found[0].strip('; ').split()) or 'a command of psql'}"
    if any(_ENDS_BLOCK.search(one[0]) for one in _QUOTED.finditer(text) if one[0].startswith("$")):
        return "a block of it may end the transaction"
    return ""
