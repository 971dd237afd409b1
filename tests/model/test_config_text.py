"""The config as text: what is written is what is read, and what was there stays, comments and all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.config import parse
from console.errors import DbdeckError, UsageError
from console.model.config_text import TargetText, scalar, target_lines, whole, with_target
from console.model.target import EngineKind, Environment, Login, TlsMode
from console.strict_yaml import read_yaml

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True)
LOGINS = st.builds(
    Login, user=TEXTS, password=st.none() | st.builds(lambda name: f"keyring:dbdeck/{name}", TEXTS)
)
TARGETS = st.builds(
    TargetText,
    name=NAMES,
    engine=st.sampled_from(EngineKind),
    host=TEXTS,
    port=st.integers(1, 65535),
    environment=st.sampled_from(Environment),
    monitor=LOGINS,
    operator=st.none() | LOGINS,
    database=st.just("") | TEXTS,
    tls=st.none() | st.sampled_from(TlsMode),
    ca=st.just("") | TEXTS,
)
ONE = TargetText(
    name="new",
    engine=EngineKind.POSTGRES,
    host="db1",
    port=5432,
    environment=Environment.PROD,
    monitor=Login(user="m", password="keyring:dbdeck/new/m"),
)
HOW = dict(ledger="sqlite:///~/a.db", ledger_password=None, journal="~/j", backend="vault", vault="~/v")  # noqa: C408


@given(TEXTS)
def test_a_scalar_is_read_as_it_was_written(text: str) -> None:
    assert read_yaml(f"k: {scalar(text)}\n", "f")[0] == {"k": text}


@given(TARGETS)
def test_a_target_is_read_as_it_was_written(one: TargetText) -> None:
    entry = parse(whole(one, **HOW)).targets[one.name]  # type: ignore[arg-type]
    assert (entry.engine, entry.host, entry.port, entry.environment) == (
        one.engine, one.host, one.port, one.environment)  # fmt: skip
    assert (entry.monitor, entry.operator) == (one.monitor, one.operator)
    assert (entry.database or "", entry.ca or "") == (one.database, one.ca)
    assert one.tls is None or entry.tls is one.tls


BEFORE = [
    "",
    "# mine\n",
    "targets: {}\n",
    "targets: {}   # none yet\n\ntheme: dbdeck\n",
    "targets:\n  a: {engine: mysql, monitor: {user: m}}\n",
    "targets:\n  a: {engine: mysql, monitor: {user: m}}",
    "targets:\n    a:\n        engine: mysql\n        monitor: {user: m}\n        # a\n\n# theme\ntheme: x\n",
    "theme: x\ntargets:\n  # first\n  a: {engine: mysql, monitor: {user: m}}  # why\n\n\nkeys: {}\n",
    "theme: x\r\ntargets:\r\n  a: {engine: mysql, monitor: {user: m}}\r\n",
    "theme: x\nkeyring: {backend: vault}\n# the end\n",
    "# targets:\n#   a: no\ntheme: 'targets:'\n",
]


@pytest.mark.parametrize("before", BEFORE)
@given(one=TARGETS)
def test_a_target_is_added_and_every_line_stays(before: str, one: TargetText) -> None:
    was = parse(before or "{}")
    if one.name in was.targets:
        return
    text = with_target(before, one, "f")
    now = parse(text)
    assert list(now.targets) == [*was.targets, one.name]
    assert {name: now.targets[name] for name in was.targets} == was.targets
    assert (now.theme, now.keyring) == (was.theme, was.keyring)
    kept = [line for line in before.splitlines() if not line.startswith("targets:")]
    left = iter(text.splitlines())
    assert all(line in left for line in kept), "in their order"


@given(st.lists(TARGETS, min_size=1, max_size=4, unique_by=lambda one: one.name))
def test_one_after_the_other(several: list[TargetText]) -> None:
    text = whole(several[0], **HOW)  # type: ignore[arg-type]
    for one in several[1:]:
        text = with_target(text, one, "f")
    assert list(parse(text).targets) == [one.name for one in several]


@pytest.mark.parametrize(
    "text", ["targets: {a: {engine: mysql, monitor: {user: m}}}\n", "{targets: {}}\n", '"targets": {}\n']
)
def test_what_stands_in_one_line_is_left_to_its_author(text: str) -> None:
    with pytest.raises(UsageError, match="nothing was changed") as refused:
        with_target(text, ONE, "f")
    assert "a line of its own" in refused.value.hint


def test_no_yaml_is_told_with_its_line() -> None:
    with pytest.raises(DbdeckError, match="line 2"):
        with_target("a: 1\nb: *x\n", ONE, "f")


def test_comments_go_beside_what_they_explain() -> None:
    lines = target_lines(ONE)
    assert lines[0] == "  new:"
    assert (
        '    monitor: {user: m, password: "keyring:dbdeck/new/m"}  # who looks; it can end nothing' in lines
    )
    assert "read-only" in lines[-1]
