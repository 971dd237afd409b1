"""The questions of `init`: each is a flag, and asked where there is a terminal and the flag was not given."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from console.cli import output
from console.cli.finding import login_path, option_text, small
from console.cli.unlock import ask, ask_line, interactive
from console.errors import ConfigError, UsageError
from console.model import found, option_file
from console.model.found import Candidate, Held
from console.model.login import EngineKind, Login
from console.model.login_path import text_of
from console.model.target import Environment
from console.model.tls import TlsMode
from console.new_file import read_trusted
from console.present.units import clean
from console.secrets import LENT, Secret, parse_reference
from console.wire.tls import is_local

ADMINS = {EngineKind.POSTGRES: "postgres", EngineKind.MYSQL: "root"}
TRIES = 5
_ANSWERS = {"y": True, "yes": True, "n": False, "no": False}
PASSWORD_TRIES = 3  # some servers lock an account soon after


class InitOptions(msgspec.Struct, frozen=True, kw_only=True):
    """As they were given; None and empty are not."""

    find: bool = False
    name: str = ""
    engine: str | None = None
    host: str = ""
    port: int | None = None
    database: str = ""
    environment: str | None = None
    tls: str | None = None
    ca: str = ""
    create: bool | None = None
    admin: str = ""
    admin_password: str | None = None
    admin_host: str = ""
    monitor: str = ""
    monitor_password: str | None = None
    operator: str = ""
    operator_password: str | None = None
    read_only: bool = False
    from_host: str = ""
    ledger: str = ""
    ledger_password: str | None = None
    keyring: str = ""
    reason: str = ""
    yes: bool = False
    force: bool = False
    as_json: bool = False


class Answers:
    """`asks`: a person is there, and did not say --yes."""

    def __init__(self, options: InitOptions) -> None:
        self.options = options
        self.asks = interactive() and not options.yes

    async def text(self, question: str, flag: str, given: str | None, default: str | None) -> str:
        """Raises UsageError naming the flag where nobody can be asked and there is nothing to go by."""
        if given:
            return given
        if not self.asks:
            if default is None:
                raise missing(question, flag)
            return default
        for _ in range(TRIES):
            typed = await ask_line(f"{question}{f' [{default}]' if default else ''}: ")
            if typed or default is not None:
                return typed or (default or "")
        raise missing(question, flag)

    async def choice(
        self, question: str, flag: str, given: str | None, of: Collection[str], default: str, shown: str = ""
    ) -> str:
        """`shown` instead of all there are, where those are many."""
        for _ in range(TRIES):
            typed = await self.text(f"{question} ({shown or ', '.join(of)})", flag, given, default)
            if typed in of:
                return typed
            if given or not self.asks:
                break
            output.note(f"{clean(typed)!r} is none of them")
        raise UsageError(f"{flag} is one of {', '.join(of)}; nothing was written")

    async def yes(self, question: str, flag: str, given: bool | None, default: bool) -> bool:
        if given is not None:
            return given
        if not self.asks:
            raise missing(question, flag)
        while True:
            typed = (await ask_line(f"{question}? [{'Y/n' if default else 'y/N'}] ")).lower()
            if typed in _ANSWERS:
                return _ANSWERS[typed]
            if not typed:
                return default
            output.note(f"{clean(typed)!r} is neither yes nor no")

    async def go_on(self, question: str) -> bool:
        """Approval: --yes gives it, and without a terminal nothing else does."""
        if self.options.yes:
            return True
        return await self.yes(question, "--yes", None, True)

    async def password(self, of: str) -> Secret | None:
        """None where nothing was typed: none is sent then."""
        typed = await ask(f"password of {clean(of)} (Enter: none is sent): ")
        return None if typed == Secret("") else typed


def missing(question: str, flag: str) -> UsageError:
    return UsageError(
        f"init wants to know: {question}? and there is no terminal to ask at; nothing was written",
        f"give it with {flag}",
    )


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """A login, and its password where no reference leads to it; what the config names is in `login`."""

    login: Login
    secret: Secret | None = None

    def lent(self, name: str) -> tuple[Login, Mapping[str, Secret]]:
        """The login as it can be used now, with what has to be lent for it."""
        if self.secret is None:
            return self.login, {}
        return msgspec.structs.replace(self.login, password=f"keyring:{LENT}/{name}"), {name: self.secret}


async def server(answers: Answers, seen: tuple[Candidate, ...]) -> Candidate:
    """Which server. A host that was given is that, with what is known of it."""
    options = answers.options
    if options.host or options.engine:
        return _given(options, seen)
    if not answers.asks:
        raise missing("which server", "--engine postgres|mysql --host HOST [--port N]")
    for number, one in enumerate(seen, 1):
        output.note(f"  {number}. {words(one)}")
    output.note(f"  {len(seen) + 1}. another one")
    numbers = [str(number + 1) for number in range(len(seen) + 1)]
    shown = f"1 to {len(numbers)}"
    typed = int(await answers.choice("which server", "--host", None, numbers, "1", shown))
    if typed <= len(seen):
        return seen[typed - 1]
    engine = EngineKind(await answers.choice("engine", "--engine", None, tuple(EngineKind), "postgres"))
    host = await answers.text("host (a name, an address, or a socket's folder)", "--host", None, "localhost")
    port = await answers.text("port", "--port", None, str(found.PORTS[engine]))
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise UsageError(f"{port!r} is no port; nothing was written")
    return Candidate(engine=engine, host=host, port=int(port), by="your word")


def words(one: Candidate) -> str:
    name = "PostgreSQL" if one.engine is EngineKind.POSTGRES else "MySQL or MariaDB"
    who = f" as {one.user}" if one.user else ""
    database = f", database {one.database}" if one.database else ""
    return clean(f"{name} at {one.address}{who}{database}  ({one.by})")


def _given(options: InitOptions, seen: tuple[Candidate, ...]) -> Candidate:
    """Without a host it is this machine's. Raises UsageError where it does not tell the engine."""
    fits = [
        one
        for one in seen
        if (one.host == options.host if options.host else is_local(one.host) or one.host.startswith("/"))
        and (options.port is None or one.port == options.port)
        and (not options.engine or one.engine == options.engine)
    ]
    if options.engine is None and len({one.engine for one in fits}) != 1:
        raise missing(f"the engine at {options.host}", "--engine postgres|mysql")
    engine = EngineKind(options.engine) if options.engine else fits[0].engine
    bare = Candidate(
        engine=engine, host=options.host or "localhost", port=options.port or found.PORTS[engine], by="flags"
    )
    known = [
        one for one in fits if one.port == bare.port or (options.port is None and (one.user or one.name))
    ]
    known.sort(key=lambda one: (one.user != (options.monitor or options.admin), one.port != bare.port))
    best = known[0] if known else bare
    return msgspec.structs.replace(best, database=options.database or best.database)


async def tls(answers: Answers, one: Candidate) -> TlsMode | None:
    """None for a unix socket, which has none."""
    if one.host.startswith("/"):
        return None
    default = one.tls or (TlsMode.OFF if is_local(one.host) else TlsMode.VERIFY_FULL)
    question = "TLS" if not is_local(one.host) else "TLS (it is this machine)"
    return TlsMode(await answers.choice(question, "--tls", answers.options.tls, tuple(TlsMode), default))


async def environment(answers: Answers) -> Environment:
    given = answers.options.environment
    return Environment(
        await answers.choice("environment", "--environment", given, tuple(Environment), Environment.PROD)
    )


async def administrator(answers: Answers, one: Candidate) -> Access:
    options = answers.options
    user = await answers.text("administrator's login", "--admin USER", options.admin, ADMINS[one.engine])
    return await _access(answers, one, user, options.admin_password)


async def own_login(answers: Answers, one: Candidate, flag: str, user: str, reference: str | None) -> Access:
    """A login that is there already."""
    default = one.user or None
    name = await answers.text(f"the login of the {flag.strip('-')}", f"{flag} USER", user, default)
    return await _access(answers, one, name, reference)


async def _access(answers: Answers, one: Candidate, user: str, reference: str | None) -> Access:
    if reference is not None:
        parse_reference(reference)
        return Access(login=Login(user=user, password=reference))
    if one.user == user:
        if one.password or one.served:
            return Access(login=Login(user=user, password=one.password))
        if one.held is not None:
            return Access(login=Login(user=user), secret=held(one.held, one.engine))
    secret = await answers.password(user) if answers.asks else None
    return Access(login=Login(user=user), secret=secret)


def held(place: Held, engine: EngineKind) -> Secret | None:
    """What stands in the file, as it is now. Raises ConfigError for one that everybody may write, and for a
    login path file that mysql would not read.
    """
    path = Path(place.path)
    if engine is EngineKind.POSTGRES:
        values = found.services(read_trusted(path, "")).get(place.section, {})
    else:
        text = _login_path(path) if path == login_path(os.environ, Path.home()) else _options(path)
        values = option_file.options(text, "client") | option_file.options(text, place.section)
    word = values.get("password")
    return Secret(word) if word else None


def _options(path: Path) -> str:
    def read(one: Path) -> str:
        return read_trusted(one, "") if one.is_file() else ""

    return option_text(path, read)


def _login_path(path: Path) -> str:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = text_of(small(path))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {path}: {error}; nothing was written") from None
    if mode & 0o077:
        raise ConfigError(
            f"{path} has mode {mode:04o}, and mysql does not read it so; nothing was written",
            f"chmod 0600 {shlex.quote(str(path))}",
        )
    return text


def as_document(one: Candidate) -> dict[str, Any]:
    """Without where a password would be read."""
    return {
        "engine": one.engine,
        "host": one.host,
        "port": one.port,
        "database": one.database or None,
        "user": one.user or None,
        "name": one.name or None,
        "tls": one.tls,
        "found": one.by,
    }
