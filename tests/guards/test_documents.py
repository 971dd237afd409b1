"""What the documents say is what the code does: config, exit codes, keys, commands, checks."""

from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import click
import msgspec
import pytest
import yaml
from textual.binding import Binding

import actions
import console.tui
from console.cli.main import cli
from console.config import Config, load
from console.errors import Exit
from console.model import keymap
from tests.guards.markdown import codes, rows, section
from tests.guards.markdown import commands as shown
from tests.guards.sources import ROOT, read

EXAMPLE = ROOT / "config.example.yaml"
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(p.relative_to(ROOT).as_posix() for p in sorted((ROOT / "docs").rglob("*.md"))),
)

# ---- the config ------------------------------------------------------------------------------


def _struct(kind: Any) -> tuple[str, type[msgspec.Struct]] | None:
    """The struct inside a field's type, with how a path to it goes on: `.NAME`, `[]` or nothing."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return "", kind
    inner = get_args(kind)
    for one in inner[-1:] if get_origin(kind) is dict else inner:
        if (found := _struct(one)) is not None:
            return {dict: ".NAME", tuple: "[]"}.get(get_origin(kind), "") + found[0], found[1]
    return None


def config_keys(kind: type[msgspec.Struct] = Config, at: str = "") -> Iterator[str]:
    """Every key the config may have: `audit.url`, `targets.NAME.host`, `policy.freeze[].start`."""
    for field in msgspec.structs.fields(kind):
        path = f"{at}.{field.encode_name}".lstrip(".")
        found = _struct(field.type)
        if found is None:
            yield path
        else:
            yield from config_keys(found[1], path + found[0])


def _written(values: Any, kind: type[msgspec.Struct] = Config, at: str = "") -> Iterator[str]:
    """The keys of a file that was read, named in the same way."""
    for field in msgspec.structs.fields(kind):
        if field.encode_name not in values:
            continue
        path, value = f"{at}.{field.encode_name}".lstrip("."), values[field.encode_name]
        found = _struct(field.type)
        if found is None:
            yield path
            continue
        several = value.values() if found[0] == ".NAME" else value if found[0] == "[]" else [value]
        for one in several:
            yield from _written(one, found[1], path + found[0])


def test_the_example_config_loads() -> None:
    config = load(EXAMPLE)
    assert {target.engine for target in config.all_targets()} == {"postgres", "mysql"}


def test_the_example_config_shows_every_key() -> None:
    assert set(config_keys()) - set(_written(yaml.safe_load(read(EXAMPLE.name)))) == set()


def test_the_example_config_shows_the_defaults() -> None:
    example, default = load(EXAMPLE), Config()
    known = msgspec.structs.replace(example.audit.checkpoints, anchors=())
    assert msgspec.structs.replace(example.audit, password=None, checkpoints=known) == default.audit
    assert (example.thresholds, example.theme) == (default.thresholds, default.theme)


def test_every_key_of_the_example_config_has_a_comment() -> None:
    """At its end, or on the line above."""
    lines = read(EXAMPLE.name).splitlines()
    pairs = zip(["", *lines], lines, strict=False)
    keys = [(above, line) for above, line in pairs if re.match(r"\s*(- )?[\w.-]+:", line)]
    assert [line for above, line in keys if "#" not in line and not above.strip().startswith("#")] == []


def test_the_config_page_explains_every_key() -> None:
    explained = {codes(row[0])[0] for row in rows(read("docs/config.md")) if codes(row[0])}
    assert explained == set(config_keys())


# ---- exit codes ------------------------------------------------------------------------------


@pytest.mark.parametrize("document", ["README.md", "docs/cli.md"])
def test_the_table_of_exit_codes_is_whole(document: str) -> None:
    table = section(read(document), "Exit codes")
    listed = [int(code) for row in rows(table) for code in re.findall(r"\d+", row[0])]
    assert sorted(listed) == sorted(Exit)


# ---- keys ------------------------------------------------------------------------------------

_SYMBOLS = {
    "question_mark": "?", "slash": "/", "right_square_bracket": "]", "left_square_bracket": "[",
}  # fmt: skip


def _classes() -> Iterator[type]:
    for found in pkgutil.walk_packages(console.tui.__path__, "console.tui."):
        module = importlib.import_module(found.name)
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == found.name and "BINDINGS" in vars(kind):
                yield kind


def bindings() -> dict[str, Binding]:
    """By id, because that is what `keys` of the config names."""
    listed = [binding for kind in _classes() for binding in vars(kind)["BINDINGS"]]
    assert all(isinstance(binding, Binding) and binding.id for binding in listed), "a binding has no id"
    found = {binding.id: binding for binding in listed}
    assert len(found) == len(listed), "two bindings have one id"
    return found


def _keys(binding: Binding) -> tuple[str, ...]:
    return tuple(_SYMBOLS.get(key, key) for key in binding.key.split(","))


def _listed(document: str) -> dict[str, tuple[str, ...]]:
    """id -> keys, by the tables whose last column is an id."""
    table = section(read(document), "Keys")
    return {codes(row[-1])[0]: codes(row[0]) for row in rows(table)}


def test_the_page_of_keys_is_whole() -> None:
    assert _listed("docs/keys.md") == {name: _keys(binding) for name, binding in bindings().items()}


def test_the_keys_of_the_readme_are_right() -> None:
    found = bindings()
    listed = _listed("README.md")
    assert listed == {name: _keys(found[name]) for name in listed if name in found}
    shown = {
        name for name, binding in found.items() if binding.show and name.startswith(("app", "pane", "locks"))
    }
    assert shown - set(listed) == set()


# ---- commands and actions --------------------------------------------------------------------


EVERYWHERE = ("--config", "--master-key-fd")


def commands(group: click.Group = cli, at: str = "dbdeck") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{at} {name}")
        else:
            yield f"{at} {name}", command


@pytest.mark.parametrize(
    ("name", "command"), commands(), ids=lambda part: part if isinstance(part, str) else ""
)
def test_every_command_and_option_is_explained(name: str, command: click.Command) -> None:
    text = section(read("docs/cli.md"), f"`{name}`")
    options = [max(one.opts, key=len) for one in command.params if isinstance(one, click.Option)]
    assert [option for option in options if option not in text and option not in EVERYWHERE] == []


def test_the_options_of_every_command_are_explained_once() -> None:
    opening = read("docs/cli.md").partition("###")[0]
    assert [option for option in EVERYWHERE if option not in opening] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_it_shows_exists(document: str) -> None:
    """With options before a command's name, which -c allows, taken away."""
    known = {name.removeprefix("dbdeck ") for name, _ in commands()} | {"audit", ""}
    for words in shown(read(document), "dbdeck"):
        rest = words[3:] if words[1:2] == ["-c"] else words[1:]
        named = list(itertools.takewhile(str.isalpha, rest))
        assert {" ".join(named[:2]), " ".join(named[:1])} & known, words


def test_every_action_is_explained() -> None:
    text = read("docs/cli.md")
    assert [action.name for action in actions.ALL if f"`{action.name}`" not in text] == []


# ---- the project -----------------------------------------------------------------------------


def test_the_changelog_has_an_unreleased_section() -> None:
    assert "- " in section(read("CHANGELOG.md"), "[Unreleased]")


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    extras = [line for group in project["optional-dependencies"].values() for line in group]
    wanted = {re.split(r"[<>=\[ ]", line)[0] for line in (*project["dependencies"], *extras)}
    reasons = {
        codes(row[0])[0]: row[1] for row in rows(section(read("CONTRIBUTING.md"), "Why each dependency"))
    }
    assert wanted == set(reasons)
    assert all(len(reason.split()) > 5 for reason in reasons.values())


def test_the_commit_hooks_run_what_make_check_runs() -> None:
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", read("Makefile"), re.MULTILINE)
    assert recipe
    checks = [line.strip().replace("$(BIN)/", ".venv/bin/") for line in recipe[1].splitlines()]
    hooks = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == checks


def test_the_workflow_runs_the_make_targets() -> None:
    workflow = yaml.safe_load(read(".github/workflows/ci.yml"))
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert {"make check", "make test"} <= set(steps)


def test_the_config_knows_every_binding_and_its_keys() -> None:
    assert {name: binding.key for name, binding in bindings().items()} == dict(keymap.DEFAULTS)


def test_no_default_is_a_fault() -> None:
    assert list(keymap.faults(keymap.DEFAULTS)) == []
