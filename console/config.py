"""The config file: strict YAML -> typed values. Every fault names its line and what would be right.

Strict means: no aliases, no tags, no duplicate keys, only true and false as booleans, no unknown
key. A literal password is refused.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Set
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec

from console.errors import ConfigError
from console.keyrings import Keyring, check
from console.model.anchors import Checkpoints, anchor_fault
from console.model.backups import Drills, source_fault
from console.model.hooks import faults
from console.model.keymap import faults as key_faults
from console.model.policy import Policy
from console.model.rotation import Rotation
from console.model.target import EngineKind, Environment, Login, Target, TlsMode
from console.new_file import read_trusted
from console.secrets import parse_reference, split_name
from console.strict_yaml import START, Path_, Places, explain, nearest, read_yaml

_DEFAULT_PORT = {EngineKind.POSTGRES: 5432, EngineKind.MYSQL: 3306}
_DEFAULT_DATABASE = {EngineKind.POSTGRES: "postgres", EngineKind.MYSQL: ""}


class Audit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the ledger is. `password` is a reference; the URL never holds one. `checkpoints` sign it."""

    url: str = "sqlite:///~/.local/state/dbdeck/audit.db"
    journal: str = "~/.local/state/dbdeck/journal"
    password: str | None = None
    checkpoints: Checkpoints = Checkpoints()


class TargetEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    engine: EngineKind
    monitor: Login
    operator: Login | None = None
    host: str = "localhost"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    database: str | None = None
    environment: Environment = Environment.PROD
    tls: TlsMode = TlsMode.VERIFY_FULL
    ca: str | None = None
    log: str | None = None
    labels: dict[str, str] = {}


class Alert(StrEnum):
    """How the terminal calls when a lock storm begins or a deadlock happened; the screen says it always."""

    SCREEN = "screen"
    BELL = "bell"
    NOTIFICATION = "notification"  # OSC 9, with the bell for terminals that do not know it


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`refresh`: seconds between polls. `budget`: percent of the time that a view may spend on asking its
    server: where answers take long, it asks less often. `watch`: seconds an effect's consequences are
    followed at most.

    `storm_waiters`: so many sessions waiting for locks are a storm, called out as `alert` says.
    `unread_wal`: GB of WAL that a replication slot may keep while nobody reads from it.
    `ended`: how the end of a job calls that took at least `long` seconds. `title`: the terminal's title
    tells what runs.
    """

    refresh: Annotated[float, msgspec.Meta(ge=0.2, le=3600)] = 2.0
    budget: Annotated[float, msgspec.Meta(ge=1, le=100)] = 20.0
    watch: Annotated[float, msgspec.Meta(ge=0, le=600)] = 30.0
    storm_waiters: Annotated[int, msgspec.Meta(ge=1)] = 20
    unread_wal: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    alert: Alert = Alert.SCREEN
    long: Annotated[float, msgspec.Meta(ge=0, le=86400)] = 10.0
    ended: Alert = Alert.BELL
    title: bool = True


class Ui(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ascii`: nothing but ASCII is drawn, whatever the locale is."""

    ascii: bool = False


class Runbooks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`folders` hold documents of one's own, `*.yaml`, beside those that are shipped."""

    folders: tuple[str, ...] = ()


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. `keys` maps a binding's id to the keys that trigger it. `policy_file` holds what would
    stand in `policy`, where who acts should not be able to change it.
    """

    audit: Audit = Audit()
    keyring: Keyring = Keyring()
    targets: dict[str, TargetEntry] = {}
    policy: Policy = Policy()
    policy_file: str = ""
    thresholds: Thresholds = Thresholds()
    rotation: Rotation = Rotation()
    drills: Drills = Drills()
    runbooks: Runbooks = Runbooks()
    theme: str = "dbdeck"
    ui: Ui = Ui()
    keys: dict[str, str] = {}

    def all_targets(self) -> tuple[Target, ...]:
        return tuple(self.target(name) for name in self.targets)

    def replicas_of(self, name: str) -> tuple[Target, ...]:
        """The targets whose label `replica_of` names this one."""
        return tuple(
            _target(one, entry, self.rotation, self.drills)
            for one, entry in self.targets.items()
            if entry.labels.get("replica_of") == name
        )

    def target(self, name: str) -> Target:
        """Raises ConfigError with the nearest name."""
        if name in self.targets:
            found = _target(name, self.targets[name], self.rotation, self.drills)
            return msgspec.structs.replace(found, replicas=self.replicas_of(name))
        near = difflib.get_close_matches(name, self.targets, n=1)
        raise ConfigError(
            f"the config has no target {name!r}",
            f"did you mean {near[0]}?" if near else f"it has: {', '.join(self.targets) or 'none'}",
        )

    @property
    def journal(self) -> Path:
        return Path(self.audit.journal).expanduser()


def _target(name: str, entry: TargetEntry, rotation: Rotation, drills: Drills) -> Target:
    return Target(
        name=name,
        engine=entry.engine,
        monitor=entry.monitor,
        operator=entry.operator,
        host=str(Path(entry.host).expanduser()) if entry.host.startswith("~") else entry.host,
        port=entry.port if entry.port is not None else _DEFAULT_PORT[entry.engine],
        database=entry.database if entry.database is not None else _DEFAULT_DATABASE[entry.engine],
        environment=entry.environment,
        tls=entry.tls,
        ca=str(Path(entry.ca).expanduser()) if entry.ca else None,
        log=str(Path(entry.log).expanduser()) if entry.log else None,
        labels=entry.labels,
        rotation=rotation.of(name),
        drills=drills.of(name),
    )


def find(given: str | None) -> Path:
    """--config, else $DBDECK_CONFIG, else $XDG_CONFIG_HOME/dbdeck/config.yaml."""
    if given or os.environ.get("DBDECK_CONFIG"):
        return Path(given or os.environ["DBDECK_CONFIG"]).expanduser()
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "dbdeck" / "config.yaml"


def is_unmade(given: str | None) -> bool:
    """Nobody named a config, and the usual one was never made."""
    return not given and not os.environ.get("DBDECK_CONFIG") and not find(None).exists()


def load(path: Path) -> Config:
    """Raises ConfigError naming file, line, key and the nearest valid key."""
    try:
        text = read_trusted(path, "")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no config file {path}",
            "`dbdeck init` makes one; name another with --config, or try `dbdeck demo`",
        ) from None
    config = parse(text, str(path))
    if not config.policy_file:
        return config
    if config.policy != Policy():
        raise ConfigError(f"{path}: there are rules in policy and in policy_file", "keep them in one place")
    return msgspec.structs.replace(config, policy=load_policy(Path(config.policy_file).expanduser()))


def load_policy(path: Path) -> Policy:
    """A policy in a file of its own. Raises ConfigError naming file, line and key."""
    try:
        values, places = read_yaml(read_trusted(path, "the policy "), str(path))
    except FileNotFoundError:
        raise ConfigError(f"there is no policy {path}; nothing is allowed without it") from None
    try:
        return msgspec.convert(values, Policy)
    except msgspec.ValidationError as error:
        raise explain(str(error), Policy, places, str(path)) from None


def parse(text: str, name: str = "config") -> Config:
    values, places = read_yaml(text, name)
    _refuse_literal_passwords(values, places, name)
    try:
        config = msgspec.convert(values, Config)
    except msgspec.ValidationError as error:
        raise explain(str(error), Config, places, name) from None
    _refuse_keyring(config.keyring, places, name)
    for section in ("rotation", "drills"):
        _refuse_rules_of_nobody(config, section, places, name)
    _refuse_anchors(config, places, name)
    _refuse_sources(config, places, name)
    _refuse_hooks(config, places, name)
    for binding, fault, hint in key_faults(config.keys) if config.keys else ():  # looking takes a while
        place = places.get(("keys", binding), START)
        raise ConfigError(f"{name}, {place}: keys.{binding}: {fault}", hint)
    return config


def _refuse_rules_of_nobody(config: Config, section: str, places: Places, name: str) -> None:
    """A rule for a target that does not exist protects nothing."""
    for target in getattr(config, section).targets:
        if target not in config.targets:
            near = difflib.get_close_matches(target, config.targets, n=1)
            raise ConfigError(
                f"{name}, {places.get((section, 'targets', target), START)}: "
                f"{section}.targets names {target!r}, which is no target",
                f"did you mean {near[0]}?" if near else f"it has: {', '.join(config.targets) or 'none'}",
            )


def _refuse_anchors(config: Config, places: Places, name: str) -> None:
    """What the types do not say of anchors of checkpoints."""
    for place, one in enumerate(config.audit.checkpoints.anchors):
        fault = anchor_fault(one)
        if fault:
            path = ("audit", "checkpoints", "anchors", place)
            raise ConfigError(f"{name}, {places.get(path, START)}: audit.checkpoints.anchors: {fault}")


def _refuse_sources(config: Config, places: Places, name: str) -> None:
    """What the types do not say of sources of backups."""
    for target, own in config.drills.targets.items():
        for source, one in own.sources.items():
            fault = source_fault(one, config.targets[target].engine)
            if fault:
                place = ("drills", "targets", target, "sources", source)
                raise ConfigError(f"{name}, {places.get(place, START)}: {'.'.join(place)}: {fault}")


def _refuse_hooks(config: Config, places: Places, name: str) -> None:
    """What the types do not say of accounts and their hooks."""
    for target, own in config.rotation.targets.items():
        entries: set[str] = set()
        for account, rule in own.accounts.items():
            at = ("rotation", "targets", target, "accounts", account)
            found = [
                *faults(rule, config.targets[target].engine),
                *_entry_faults(rule.entry, entries),
            ]
            for path, message, hint in found[:1]:
                place = nearest((*at, *path), places)
                dotted = ".".join(str(part) for part in place)
                raise ConfigError(f"{name}, {places.get(place, START)}: {dotted}: {message}", hint)
            entries.update([rule.entry] if rule.entry else [])


def _entry_faults(entry: str | None, taken: Set[str]) -> Iterator[tuple[Path_, str, str]]:
    """The name of an entry that is none, holds another one, or is another account's."""
    if entry is None:
        return
    try:
        split_name(entry)
    except ConfigError as error:
        yield ("entry",), error.message, error.hint
    if "#" in entry:
        yield ("entry",), "an entry has no # in its name: what is pending is kept under such a one", ""
    if entry in taken:
        yield ("entry",), f"{entry} is another account's already", "each account has its own password"


# ---- faults in words -------------------------------------------------------------------------


def _refuse_literal_passwords(values: Any, places: Places, name: str) -> None:
    """Before anything else, so that no later message can repeat a password that stands in the file."""
    for path, value in _scalars(values, ()):
        if (path[-1] == "password" or path[-2:] == ("checkpoints", "key")) and value is not None:
            try:
                parse_reference(str(value))
            except ConfigError as error:
                raise ConfigError(f"{name}, {places.get(path, START)}: {error.message}", error.hint) from None
        if path[-1] in ("url", "ledger") and re.match(r"[a-z]+://[^/@]*:[^/@]+@", str(value)):
            raise ConfigError(
                f"{name}, {places.get(path, START)}: the URL holds a password",
                "take it out and write `password: keyring:…`, `env:…` or `file:…` beside the url",
            )


def _refuse_keyring(keyring: Keyring, places: Places, name: str) -> None:
    """Backends that are none, or that lose or show what they hold."""
    try:
        if keyring.backend is not None:
            check(keyring.backend)
    except ConfigError as error:
        place = places.get(("keyring", "backend"), START)
        raise ConfigError(f"{name}, {place}: {error.message}", error.hint) from None


def _scalars(value: Any, path: Path_) -> list[tuple[Path_, Any]]:
    if isinstance(value, dict):
        return [pair for key, child in value.items() for pair in _scalars(child, (*path, key))]
    if isinstance(value, list):
        return [pair for i, child in enumerate(value) for pair in _scalars(child, (*path, i))]
    return [(path, value)] if path else []


def json_schema() -> dict[str, Any]:
    """For editors: `dbdeck schema config`."""
    return msgspec.json.schema(Config)
