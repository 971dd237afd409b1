"""Who else needs the password of an account: hooks that hand a new one on, as the config has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, NamedTuple

import msgspec

from console.model.tls import TlsMode

POOLER_PORT = 6432
_SECONDS = {"s": 1.0, "m": 60.0}

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Timeout = Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,2}[sm]$")]
Argv = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


class PgpassHook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lines of a `.pgpass`. `host` and `port` None: those of the target; a unix socket is `localhost`.

    `database` `*`: the lines for every database. A line is made where there is none.
    """

    path: str
    host: str | None = None
    port: Port | None = None
    database: str = "*"


class MyCnfHook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`password` in one section of an option file."""

    path: str
    section: Annotated[str, msgspec.Meta(pattern=r"^[\w.-]+$")] = "client"


class Pooler(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A way to PgBouncer, to log in to a database through it. `host` may be the folder of a unix socket."""

    host: str
    database: str
    port: Port = POOLER_PORT
    tls: TlsMode = TlsMode.VERIFY_FULL
    ca: str | None = None

    @property
    def address(self) -> str:
        between = "/.s.PGSQL." if self.host.startswith("/") else ":"
        return f"{self.host}{between}{self.port}"


class PoolerAdmin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may RELOAD: one of its `admin_users`. `password` is a reference; None sends none (peer)."""

    host: str
    user: str
    password: str | None = None
    port: Port = POOLER_PORT
    tls: TlsMode = TlsMode.VERIFY_FULL
    ca: str | None = None

    @property
    def way(self) -> Pooler:
        """Its admin console is a database of this name."""
        return Pooler(host=self.host, database="pgbouncer", port=self.port, tls=self.tls, ca=self.ca)


class PgbouncerHook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The verifier in PgBouncer's `userlist`, a RELOAD, and a login through it."""

    userlist: str
    admin: PoolerAdmin
    verify: Pooler


class ExecHook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program, not a line for a shell. It reads the secret from its standard input, as one line."""

    argv: Argv
    timeout: Timeout = "30s"

    @property
    def seconds(self) -> float:
        return int(self.timeout[:-1]) * _SECONDS[self.timeout[-1]]


class Hook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the kinds. `name` is what `hook=` takes. `covers` are shell patterns of the dependents that
    `show accounts` lists and that this hook supplies: no plan warns of those.
    """

    name: str = ""
    covers: tuple[str, ...] = ()
    pgpass: PgpassHook | None = None
    my_cnf: MyCnfHook | None = None
    pgbouncer: PgbouncerHook | None = None
    exec: ExecHook | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The keys that are written; a hook has exactly one."""
        return tuple(kind for kind in KINDS if getattr(self, kind) is not None)


KINDS: Mapping[str, tuple[str, ...]] = {  # the engines that have such a thing
    "pgpass": ("postgres",),
    "my_cnf": ("mysql",),
    "pgbouncer": ("postgres",),
    "exec": ("postgres", "mysql"),
}


class AccountRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for one account. `entry` is its SERVICE/NAME in the keyring, where that is another one."""

    entry: str | None = None
    hooks: tuple[Hook, ...] = ()


class Named(NamedTuple):
    """`label` is unique within the account: the name, or the kind, with a number from the second on."""

    label: str
    hook: Hook


def named(hooks: Sequence[Hook]) -> tuple[Named, ...]:
    taken = {hook.name for hook in hooks}
    found = []
    for hook in hooks:
        label, number = hook.name or hook.kinds[0], 1
        while not hook.name and label in taken:
            number += 1
            label = f"{hook.kinds[0]}-{number}"
        taken.add(label)
        found.append(Named(label, hook))
    return tuple(found)


def covered(hooks: Sequence[Hook], dependent: str) -> bool:
    return any(fnmatchcase(dependent, glob) for hook in hooks for glob in hook.covers)


class Fault(NamedTuple):
    """What is wrong at a place below the account's rule."""

    path: tuple[str | int, ...]
    message: str
    hint: str = ""


def faults(rule: AccountRule, engine: str) -> Iterator[Fault]:
    """What the types of the config do not say."""
    names: set[str] = set()
    for number, hook in enumerate(rule.hooks):
        at: tuple[str | int, ...] = ("hooks", number)
        if len(hook.kinds) != 1:
            yield Fault(at, f"a hook is exactly one of {', '.join(KINDS)}", "write two hooks for two kinds")
            continue
        kind = hook.kinds[0]
        if engine not in KINDS[kind]:
            fitting = ", ".join(one for one, engines in KINDS.items() if engine in engines)
            yield Fault((*at, kind), f"there is no {kind} for {engine}", f"for it there are: {fitting}")
        if hook.name in names:
            yield Fault((*at, "name"), f"two hooks of this account are called {hook.name!r}")
        names.update({hook.name} - {""})
        yield from (Fault((*at, kind, *fault.path), *fault[1:]) for fault in _paths(hook))


def _paths(hook: Hook) -> Iterator[Fault]:
    for file in (hook.pgpass, hook.my_cnf):
        if file is not None and not _absolute(file.path):
            yield _relative("path", file.path)
    if hook.pgbouncer is not None and not _absolute(hook.pgbouncer.userlist):
        yield _relative("userlist", hook.pgbouncer.userlist)
    if hook.exec is not None and not _absolute(hook.exec.argv[0]):
        yield _relative("argv", hook.exec.argv[0])


def _absolute(path: str) -> bool:
    return path.startswith(("/", "~/"))


def _relative(key: str, path: str) -> Fault:
    return Fault((key,), f"{path!r} is a relative path", "write it from / or ~/ on")
