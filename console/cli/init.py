"""`init`: from nothing to a first target: found, tried, its logins made and recorded, written, looked at."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from console.cli import init_answers as ask
from console.cli import init_logins as logins
from console.cli import output
from console.cli.context import Services
from console.cli.finding import candidates
from console.cli.init_answers import Access, Answers, InitOptions
from console.cli.secret import ready
from console.config import Audit, Config, find, parse
from console.dispatch.effect import Run
from console.dispatch.policy import check_policy
from console.errors import (
    AuditMissing,
    AuditUnavailable,
    LoginRefused,
    PrivilegeMissing,
    Refused,
    TlsRefused,
    UsageError,
)
from console.keyrings import VAULT, Keyring, current
from console.model.access import Purpose
from console.model.config_text import TargetText, whole, with_target
from console.model.found import Candidate, proposed_name
from console.model.login import EngineKind, Login
from console.model.target import Target
from console.model.tls import TlsMode
from console.new_file import read_trusted, write_again, write_new, write_over
from console.present.table import Tone
from console.secret_store import KeyringStore
from console.secrets import LENT, Entry, Secret, lent

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")  # it is typed to confirm, and part of entries' names


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """The config as it is: `text` None where there is none, or none that counts (--force)."""

    path: Path
    config: Config
    text: str | None


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered. `admin` None: the logins are there already, as `access` has them."""

    text: TargetText
    access: Mapping[Purpose, Access]
    admin: Access | None = None
    host: str = ""

    @property
    def names(self) -> dict[Purpose, str]:
        return {purpose: one.login.user for purpose, one in self.access.items()}


async def init(services: Services, options: InitOptions) -> int:
    if options.find:
        return _show_found(candidates(), options.as_json)
    before = _before(services, options)
    services.pin(before.config.keyring)
    answers = Answers(options)
    chosen, met = await _ask(answers, before)
    text, config = _written(before, chosen, options)
    check_policy(config.policy, config.all_targets(), services.actions)
    services.use(config)
    missing = before.text is None or await _no_ledger(config)
    for line in _summary(before, chosen, config, ledger_made=missing):
        output.note(line)
    if not await answers.go_on("go on"):
        raise Refused("not approved; nothing was written and nothing was made")
    made = await _ledger(config) if missing else []
    await _keep(chosen)
    runs = await _make(services, config, chosen, answers)
    _write(before, text, options)
    return await _finish(services, before.path, chosen, (met, made, runs), as_json=options.as_json)


def _show_found(seen: tuple[Candidate, ...], as_json: bool) -> int:
    if as_json:
        output.document({"schema": "dbdeck/found/1", "rows": [ask.as_document(one) for one in seen]})
    for one in () if as_json else seen:
        output.line(ask.words(one))
    if not seen:
        output.note("no server was found: neither in files of psql or mysql, nor listening here")
    return 0


# ---- what there is -------------------------------------------------------------------------------


def _before(services: Services, options: InitOptions) -> Before:
    """Raises ConfigError for a config that is there and cannot be read: it is not written over."""
    path = find(services.config_path)
    if not path.exists() or options.force:
        _refuse_place(path)
        audit = Audit(url=options.ledger or Audit().url, password=options.ledger_password)
        section = Keyring(backend=options.keyring or VAULT)
        return Before(path=path, config=Config(audit=audit, keyring=section), text=None)
    for flag, given in (("--ledger", options.ledger), ("--keyring", options.keyring)):
        if given:
            raise UsageError(
                f"{path} is there and says it already; {flag} was not taken, and nothing was written",
                f"leave {flag} away to add a target, or --force to write a new config",
            )
    from console.config import load

    return Before(path=path, config=load(path), text=read_trusted(path, ""))


def _refuse_place(path: Path) -> None:
    """Raises UsageError where the config could not be written in the end."""
    folder = next(one for one in path.absolute().parents if one.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(
            f"{folder} takes no file of yours; nothing was written", "name another with --config"
        )
    if path.exists() and not os.access(path, os.R_OK):
        raise UsageError(f"{path} cannot be read, so it cannot be kept; nothing was written")


# ---- the answers ---------------------------------------------------------------------------------


async def _ask(answers: Answers, before: Before) -> tuple[Chosen, logins.Met]:
    options = answers.options
    one = await ask.server(answers, () if options.host and options.engine and options.port else candidates())
    name = await _name(answers, before, one)
    where = await ask.environment(answers)
    mode = await ask.tls(answers, one)
    wants = options.create
    if wants is None and options.monitor_password is not None:
        wants = False
    question = "make dbdeck's logins now, with an administrator's login"
    create = await answers.yes(question, "--create or --no-create", wants, default=True)
    text = TargetText(
        name=name,
        engine=one.engine,
        host=one.host,
        port=one.port,
        database=one.database,
        environment=where,
        tls=mode,
        ca=options.ca or one.ca,
        monitor=Login(user="-"),
    )
    if create:
        chosen = await _made_logins(answers, one, text)
    else:
        chosen = await _own_logins(answers, one, text)
    return await _met(answers, chosen)


async def _name(answers: Answers, before: Before, one: Candidate) -> str:
    taken = before.config.targets
    proposed = proposed_name(one, taken)
    name = await answers.text("a name for it, as -t takes it", "--name", answers.options.name, proposed)
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a target; nothing was written",
            "letters, digits and . _ - after the first",
        )
    if name in taken:
        raise UsageError(
            f"{before.path} has a target {name} already; nothing was written",
            "choose another with --name, or change that one in the file",
        )
    return name


async def _made_logins(answers: Answers, one: Candidate, text: TargetText) -> Chosen:
    options = answers.options
    admin = await ask.administrator(answers, one)
    who = logins.names(options.monitor, options.operator, read_only=options.read_only)
    host = options.from_host
    if one.engine is EngineKind.MYSQL:
        host = await answers.text("from which host may dbdeck log in (% is any)", "--from-host", host, "%")
    access = {
        purpose: Access(login=Login(user=user, password=f"keyring:dbdeck/{text.name}/{user}"))
        for purpose, user in who.items()
    }
    return Chosen(text=_with_logins(text, access), access=access, admin=admin, host=host)


async def _own_logins(answers: Answers, one: Candidate, text: TargetText) -> Chosen:
    options = answers.options
    monitor = await ask.own_login(answers, one, "--monitor", options.monitor, options.monitor_password)
    access = {Purpose.MONITOR: _to_keep(monitor, text.name)}
    acts = bool(options.operator) or (
        answers.asks
        and not options.read_only
        and await answers.yes("is there a login that may act, too", "--operator", None, default=False)
    )
    if acts:
        bare = msgspec.structs.replace(one, user="")
        operator = await ask.own_login(
            answers, bare, "--operator", options.operator, options.operator_password
        )
        access[Purpose.OPERATOR] = _to_keep(operator, text.name)
    return Chosen(text=_with_logins(text, access), access=access)


def _to_keep(one: Access, name: str) -> Access:
    """A password that no reference leads to goes into the keyring, and the config names it there."""
    if one.secret is None:
        return one
    reference = f"keyring:dbdeck/{name}/{one.login.user}"
    return msgspec.structs.replace(one, login=msgspec.structs.replace(one.login, password=reference))


def _with_logins(text: TargetText, access: Mapping[Purpose, Access]) -> TargetText:
    operator = access.get(Purpose.OPERATOR)
    return msgspec.structs.replace(
        text, monitor=access[Purpose.MONITOR].login, operator=operator.login if operator else None
    )


async def _met(answers: Answers, chosen: Chosen) -> tuple[Chosen, logins.Met]:
    """Tried before anything is made: where TLS is not there, or the password is wrong, a person is asked
    again. Raises what the last try raised.
    """
    passwords = ask.PASSWORD_TRIES
    for _ in range(ask.TRIES):
        try:
            met, target = await _meet(chosen, answers.options.admin_host)
        except TlsRefused as refused:
            chosen = await _other_tls(answers, chosen, refused)
        except LoginRefused as refused:
            passwords -= 1
            if not passwords or not answers.asks or _reference_given(answers.options, chosen):
                raise
            chosen = await _other_password(answers, chosen, refused)
        else:
            logins.tell(met, target, admin=chosen.admin is not None)
            output.note("its logins, as they would be made by hand (docs/privileges.md says what for):")
            for line in _statements(chosen, met):
                output.note(f"  {line}")
            return chosen, met
    raise UsageError(
        f"it was tried {ask.TRIES} times, and no TLS mode and password fitted; nothing was written",
        "see docs/tls-and-secrets.md",
    )


async def _meet(chosen: Chosen, admin_host: str) -> tuple[logins.Met, Target]:
    target, held = _trial(chosen, chosen.admin or chosen.access[Purpose.MONITOR], admin_host)
    await _open_for(target)
    return await logins.meet(target, held), target


async def _other_tls(answers: Answers, chosen: Chosen, refused: TlsRefused) -> Chosen:
    if not answers.asks:
        raise TlsRefused(f"{refused.message}; nothing was written", f"{refused.hint}: --tls, --ca") from None
    output.complaint(refused)
    mode = await answers.choice("TLS", "--tls", None, tuple(TlsMode), TlsMode.REQUIRE)
    return msgspec.structs.replace(chosen, text=msgspec.structs.replace(chosen.text, tls=TlsMode(mode)))


def _reference_given(options: InitOptions, chosen: Chosen) -> bool:
    """Whoever named where the password is wants that one, and no other."""
    return (options.admin_password if chosen.admin else options.monitor_password) is not None


async def _other_password(answers: Answers, chosen: Chosen, refused: LoginRefused) -> Chosen:
    """As if it had been typed in the first place."""
    output.complaint(refused)
    one = chosen.admin or chosen.access[Purpose.MONITOR]
    typed = await answers.password(one.login.user)
    again = Access(login=msgspec.structs.replace(one.login, password=None), secret=typed)
    if chosen.admin:
        return msgspec.structs.replace(chosen, admin=again)
    access = {**chosen.access, Purpose.MONITOR: _to_keep(again, chosen.text.name)}
    return msgspec.structs.replace(chosen, access=access, text=_with_logins(chosen.text, access))


def _statements(chosen: Chosen, met: logins.Met) -> list[str]:
    who = logins.names("", "", read_only=False) | chosen.names
    return logins.wanted(met.server, who, chosen.host or None)


def _trial(chosen: Chosen, one: Access, admin_host: str) -> tuple[Target, Mapping[str, Secret]]:
    login, held = one.lent("trial")
    target = _target(chosen.text)
    host = admin_host if chosen.admin else ""
    return logins.as_admin(target, login, host), held


def _target(text: TargetText) -> Target:
    return parse(whole(text, ledger="sqlite:///~/x", ledger_password=None, journal="~/j", backend=VAULT,
                       vault="~/v")).target(text.name)  # fmt: skip


async def _open_for(target: Target) -> None:
    from console.cli.unlock import unlock

    if target.monitor.password and not target.monitor.password.startswith(f"keyring:{LENT}/"):
        await unlock(target.monitor.password)


# ---- what it comes to ----------------------------------------------------------------------------


def _written(before: Before, chosen: Chosen, options: InitOptions) -> tuple[str, Config]:
    """The config's text, and what it is when it is loaded. Raises ConfigError, and nothing was written."""
    if before.text is None:
        text = whole(
            chosen.text,
            ledger=before.config.audit.url,
            ledger_password=options.ledger_password,
            journal=before.config.audit.journal,
            backend=before.config.keyring.backend or VAULT,
            vault=before.config.keyring.vault,
        )
    else:
        text = with_target(before.text, chosen.text, str(before.path))
    config = parse(text, str(before.path))
    if before.text is not None:
        _same_but_for(before.config, config, chosen.text.name)
        config = msgspec.structs.replace(config, policy=before.config.policy)
    return text, config


def _same_but_for(before: Config, after: Config, name: str) -> None:
    """Raises UsageError where putting a target in changed anything else: the file is its owner's."""
    rest = {key: value for key, value in after.targets.items() if key != name}
    kept = msgspec.structs.replace(after, targets=rest, policy=before.policy)
    if kept != before or name not in after.targets:
        raise UsageError("the target could not be put into the config as text; nothing was written")


def _summary(before: Before, chosen: Chosen, config: Config, *, ledger_made: bool) -> Iterator[str]:
    yield f"config: {before.path} ({'a new one' if before.text is None else 'this target is added'})"
    lost = before.text is not None and ledger_made
    absent = " (the config names it, and there is none: it is made now)" if lost else ""
    yield f"ledger: {config.audit.url}{absent}; journal: {config.audit.journal}"
    pinned = current()
    yield f"keyring: {pinned.name if pinned else 'none'}"
    made = "is made now" if chosen.admin else "is there already"
    for purpose, user in chosen.names.items():
        yield f"{purpose}: {user}, {made}"
    if Purpose.OPERATOR not in chosen.access:
        yield "operator: none: the target is read-only"


async def _no_ledger(config: Config) -> bool:
    """Of a config that is there. One that cannot be reached or read is told by what needs it."""
    from console.cli.context import ledger

    try:
        async with ledger(config, write=False):
            return False
    except AuditMissing:
        return True
    except (AuditUnavailable, PrivilegeMissing):
        return False


async def _ledger(config: Config) -> list[str]:
    """As `audit init` makes it."""
    from console.audit.ledger import install
    from console.cli.unlock import unlock
    from console.secrets import resolve

    await unlock(config.audit.password)
    password = await asyncio.to_thread(resolve, config.audit.password) if config.audit.password else None
    made = await install(config.audit.url, password=password)
    for line in made:
        output.note(line)
    return made


async def _keep(chosen: Chosen) -> None:
    """The vault is made where it is needed; what was typed, or read from a file, is stored in the keyring."""
    pinned = current()
    secrets = [one for one in chosen.access.values() if one.secret is not None]
    if pinned is None or not (secrets or chosen.admin):
        return
    if pinned.vault is not None:
        await ready(pinned.vault)
    store = KeyringStore(pinned)
    for one in secrets:
        entry = (one.login.password or "").removeprefix("keyring:")
        if one.secret is not None:
            await store.put(entry, Entry(password=one.secret).sealed())
            output.note(f"{entry}: stored in {store.name}")


async def _make(services: Services, config: Config, chosen: Chosen, answers: Answers) -> dict[str, Run]:
    if chosen.admin is None:
        return {}
    login, held = chosen.admin.lent("admin")
    admin = logins.as_admin(config.target(chosen.text.name), login, answers.options.admin_host)
    with lent(held):
        return await logins.create(services, config, admin, chosen.names, chosen.host, answers)


def _free(path: Path) -> Path:
    """A name for what is replaced: no earlier one is lost."""
    names = (f"{path.name}.old{f'.{n}' if n > 1 else ''}" for n in count(1))
    return next(place for place in map(path.with_name, names) if not place.exists())


def _write(before: Before, text: str, options: InitOptions) -> None:
    path = before.path
    if before.text is not None:
        write_again(path, before.text, text)
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if options.force and path.exists():
        old = _free(path)
        write_over(old, path.read_bytes())
        output.note(f"the config that was there is kept as {old}")
        write_over(path, text.encode())
        return
    write_new(path, text)


async def _finish(
    services: Services,
    path: Path,
    chosen: Chosen,
    done: tuple[logins.Met, list[str], dict[str, Run]],
    *,
    as_json: bool,
) -> int:
    """Doctor on what was written, and what to do next."""
    from console.cli import doctor

    name = chosen.text.name
    met, made, runs = done
    reports = await doctor.reports(services, (name,), "")
    following = [f"dbdeck show locks -t {name}", "dbdeck", "dbdeck doctor"]
    if as_json:
        document: dict[str, Any] = {
            "schema": "dbdeck/init/1",
            "config": str(path),
            "target": name,
            "server": {"label": met.server.label, "tls": met.server.tls, "flavor": met.server.flavor},
            "logins": {str(purpose): user for purpose, user in chosen.names.items()},
            "statements": _statements(chosen, met),
            "ledger_made": made,
            "created": logins.documents(runs),
            "doctor": doctor.documents(reports),
            "next": following[0],
        }
        output.document(document)
    else:
        output.line(f"{path}: {name} was written", Tone.GOOD)
        doctor.show(reports)
        output.line(f"next: {following[0]}   (or `dbdeck` alone, for the console)", Tone.GOOD)
    return doctor.worst(reports)
