"""What a shell completes: names of actions, targets, runbooks, subjects; and it says nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from console.cli.complete import _field, target_names
from console.cli.main import cli

CONFIG = """
audit: {url: "sqlite:///nowhere/audit.db"}
targets:
  # a comment
  orders-prod:
    engine: postgres
    monitor: {user: m, password: "keyring:dbdeck/orders-prod/m"}
  orders-dev: {engine: postgres, monitor: {user: m}}
  "billing":
    engine: mysql
    monitor: {user: m, password: "command:touch /tmp/never"}
ui: {}
"""


def asked(words: str, config: Path, *, at: str | None = None, shell: str = "bash") -> tuple[str, str, int]:
    """(stdout, stderr, exit code) of what a shell's script would run."""
    split = words.split(" ")
    environ = {
        **os.environ,
        "DBDECK_CONFIG": str(config),
        "_DBDECK_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": at or str(len(split) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "console"],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout, done.stderr, done.returncode


def completed(words: str, config: Path) -> list[str]:
    """The plain words, of a bash that completes the last of `words`."""
    out, err, code = asked(words, config)
    assert err == ""
    assert code == 0
    return [line.removeprefix("plain,") for line in out.splitlines() if line.startswith("plain,")]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


@pytest.mark.parametrize("command", ["plan", "apply", "actions", "policy explain"])
def test_actions_are_completed_by_their_names(command: str, config: Path) -> None:
    assert completed(f"dbdeck {command} session.t", config) == ["session.terminate", "session.terminate_idle"]


@pytest.mark.parametrize(
    "command", ["-t", "show locks -t", "doctor -t", "plan x --target", "audit compare -t"]
)
def test_targets_are_completed_from_the_config(command: str, config: Path) -> None:
    assert completed(f"dbdeck {command} o", config) == ["orders-prod", "orders-dev"]
    assert completed(f"dbdeck {command} ", config) == ["orders-prod", "orders-dev", "billing"]


def test_the_config_is_the_one_that_is_named_before_on_the_line(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("targets:\n    elsewhere:\n        engine: postgres\n")
    assert completed(f"dbdeck -c {other} show locks -t ", config) == ["elsewhere"]
    assert completed(f"dbdeck show -c {other} locks -t ", config) == ["elsewhere"]


def test_subjects_are_completed(config: Path) -> None:
    assert completed("dbdeck show tra", config) == ["transactions"]


def test_runbooks_are_completed_those_of_the_configs_folders_too(config: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "a.yaml").write_text("apiVersion: runbook/v1\nid: our-own\ntitle: Ours, with a comma\n")
    config.write_text(f"{CONFIG}runbooks:\n  folders: [{own}]\n")
    for command in ("run", "plan", "show", "lint"):
        assert completed(f"dbdeck runbook {command} our", config) == ["our-own"]
    assert "lock-storm" in completed("dbdeck runbook run lock", config)


def test_a_file_is_left_to_the_shell(config: Path) -> None:
    for words in ("dbdeck -c ", "dbdeck apply ./pl", "dbdeck plan x --out ", "dbdeck init --ca "):
        assert asked(words, config)[0].startswith("file,")


@pytest.mark.parametrize(
    "text",
    ["targets: [", "targets: {a: b}\nmonitor: [", "\x00", "targets: 5", "", "- targets", "&a targets: *a"],
)
def test_a_config_with_faults_completes_nothing_and_says_nothing(text: str, config: Path) -> None:
    config.write_text(text)
    assert asked("dbdeck show locks -t ", config)[1:] == ("", 0)


def test_no_config_completes_nothing_and_says_nothing(tmp_path: Path) -> None:
    assert asked("dbdeck show locks -t ", tmp_path / "none.yaml") == ("\n", "", 0)


def test_a_pipe_as_config_is_not_read_away(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert asked("dbdeck show locks -t ", pipe) == ("\n", "", 0)


@pytest.mark.parametrize("words", ["dbdeck plan 'unfinished", "dbdeck nothing -t ", 'dbdeck "', "dbdeck -t "])
def test_a_line_that_is_none_says_nothing(words: str, config: Path) -> None:
    assert asked(words, config)[1:] == ("", 0)


def test_a_shell_that_tells_nothing_hears_nothing(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_DBDECK_COMPLETE", "bash_complete")
    done = subprocess.run([sys.executable, "-m", "console"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_name_that_could_not_stand_on_a_line_is_left_out() -> None:
    assert target_names('targets:\n  "a b":\n    engine: x\n  c:\n    engine: y\n') == ["c"]
    assert target_names('{targets: {"a b": {}, c: {}}}') == ["c"]


@pytest.mark.parametrize("name", ["evil$(id)", "a;b", "ev`id`", "a&b", "a*", "a|b", "-t"])
def test_a_name_that_a_shell_would_act_on_is_left_out(name: str, config: Path, tmp_path: Path) -> None:
    assert target_names(f"targets:\n  {name}:\n    engine: x\n  c:\n    engine: y\n") == ["c"]
    own = tmp_path / "own"
    own.mkdir()
    (own / "a.yaml").write_text(f"apiVersion: runbook/v1\nid: {name}\ntitle: x\n")
    config.write_text(f"{CONFIG}runbooks:\n  folders: [{own}]\n")
    assert name not in completed("dbdeck runbook run ", config)


def test_a_field_with_very_many_blanks_is_read_at_once() -> None:
    start = time.monotonic()
    assert _field(f"id: a{' ' * 100_000}x#\ntitle: 'b'  # c\n", "id").startswith("a")
    assert _field("id: x\ntitle: 'b'  # c\n", "title") == "b"
    assert time.monotonic() - start < 1.0


def test_a_config_in_one_line_is_parsed() -> None:
    assert target_names('{"targets": {"a": {"engine": "postgres"}, "b": {}}}') == ["a", "b"]


@given(st.lists(st.from_regex(r"[a-z][a-z0-9._-]{0,12}", fullmatch=True), unique=True, min_size=1))
def test_every_name_of_a_config_in_blocks_is_found_without_parsing_it(names: list[str]) -> None:
    blocks = "".join(f"   {name}:\n      engine: postgres # x: y\n      labels: {{a: b}}\n" for name in names)
    assert target_names(f"audit: {{}}\ntargets:   # ours\n{blocks}drills:\n   no: yes\n") == names


def test_every_parameter_for_a_target_an_action_or_a_file_is_completed() -> None:
    """By their names and words of help: a new option that nobody thought of completing is seen here."""
    plain = []
    for path, command in _commands(cli, ()):
        for one in command.params:
            word = one.metavar or ""
            if (one.name in ("target", "action") or "FILE" in word) and not _has_completion(one):
                plain.append(" ".join((*path, one.name or "")))
    assert plain == []


def _has_completion(one: click.Parameter) -> bool:
    return one._custom_shell_complete is not None


def _commands(command: click.Command, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            found += _commands(child, (*path, name))
    return found


def test_a_tab_is_answered_in_a_fraction_of_a_second(config: Path) -> None:
    """With a thousand targets; the least of three, in seconds of a processor: other work goes on beside."""
    blocks = "".join(f"  t{i}:\n    engine: postgres\n    monitor: {{user: m}}\n" for i in range(1000))
    config.write_text(f"targets:\n{blocks}")
    best = 9.0
    for _ in range(3):
        began = _children_seconds()
        assert len(completed("dbdeck show locks -t t99", config)) == 11
        best = min(best, _children_seconds() - began)
    assert best < 1.0


def _children_seconds() -> float:
    used = os.times()
    return used.children_user + used.children_system


def test_zsh_is_answered_in_its_form(config: Path) -> None:
    out, err, _ = asked("dbdeck show locks -t ord", config, shell="zsh")
    assert (out.split("\n")[:3], err) == (["plain", "orders-prod", "_"], "")


def test_fish_which_tells_the_word_instead_of_its_number_is_answered_in_its_form(config: Path) -> None:
    out, err, _ = asked("dbdeck show locks -t ord", config, at="ord", shell="fish")
    assert (out.split(), err) == (["plain,orders-prod", "plain,orders-dev"], "")


@pytest.mark.parametrize(
    ("shell", "script", "line"),
    [
        (
            "zsh",
            "share/zsh/site-functions/_dbdeck",
            "compdef() {{ }}; compadd() {{ print -l -- $completions }}; source {script}; "
            "words=(dbdeck show locks -t ord) CURRENT=5; _dbdeck_completion",
        ),
        (
            "fish",
            "share/fish/vendor_completions.d/dbdeck.fish",
            "source {script}; complete -C 'dbdeck show locks -t ord'",
        ),
        (
            "bash",
            "share/bash-completion/completions/dbdeck",
            "source {script}; COMP_WORDS=(dbdeck show locks -t ord) COMP_CWORD=4; _dbdeck_completion dbdeck; "
            'echo "${{COMPREPLY[*]}}"',
        ),
    ],
)
def test_the_shell_itself_completes_with_the_script_that_is_installed(
    shell: str, script: str, line: str, config: Path, tmp_path: Path
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    binary = tmp_path / "bin" / "dbdeck"
    binary.parent.mkdir()
    binary.write_text(f'#!/bin/sh\nexec {sys.executable} -m console "$@"\n')
    binary.chmod(0o700)
    environ = {
        **os.environ,
        "PATH": f"{binary.parent}:{os.environ['PATH']}",
        "DBDECK_CONFIG": str(config),
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [shell, "-c", line.format(script=Path(script).resolve())],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (sorted(done.stdout.split()), done.stderr) == (["orders-dev", "orders-prod"], "")


def test_the_arguments_of_the_action_on_the_line_are_completed(config: Path) -> None:
    found = completed("dbdeck plan setting.set ", config)
    assert (found[:2], "scope=" in found) == (["name=", "value="], True), "what is required stands first"
    assert completed("dbdeck apply setting.set name=work_mem va", config) == ["value="]
    assert "name=" not in completed("dbdeck apply setting.set name=work_mem ", config)
    assert completed("dbdeck apply table.vacuum table=a tab", config) == ["table="], "it may be repeated"
    for words in ("dbdeck plan no.such ", "dbdeck apply ./plan.json "):
        assert (completed(words, config), asked(words, config)[1:]) == ([], ("", 0))


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("dbdeck plan table.vacuum full=", ["full=true", "full=false"]),  # zsh, fish
        ("dbdeck plan table.vacuum full = t", ["true"]),  # bash splits at the sign
        ("dbdeck plan table.vacuum full =", ["true", "false"]),
        ("dbdeck plan table.vacuum index_cleanup=o", ["index_cleanup=off", "index_cleanup=on"]),
        ("dbdeck plan table.vacuum truncate=", ["truncate=true", "truncate=false"]),
        ("dbdeck plan account.create purpose=m", ["purpose=monitor"]),
        ("dbdeck plan account.create account=", []),
    ],
)
def test_values_are_completed_where_there_are_few(words: str, values: list[str], config: Path) -> None:
    assert completed(words, config) == values


def test_runs_and_actions_are_completed_from_this_machines_journals(config: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    journal.mkdir()
    config.write_text(f"audit: {{url: 'sqlite:///none/a.db', journal: {journal}}}\ntargets: {{}}\n")
    run, action = ("11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000")
    body = json.dumps({"action": "session.cancel", "target": "orders-prod"})
    rows = [
        {"row": {"action_id": run, "kind": "run", "body": "{}"}},
        {"row": {"action_id": action, "kind": "intent", "body": body}},
    ]
    torn = '{"row":{"action_id":"3333'  # its process died
    odd = [
        {"row": {"action_id": "$(touch${IFS}owned)", "kind": "intent", "body": body}},
        {"row": {"action_id": str(UUID(int=1)), "kind": "intent", "body": "null"}},
        {"row": {"action_id": None, "kind": "run", "body": "{}"}},
    ]
    lines = [json.dumps(row, separators=(",", ":")) for row in [*rows, *odd]]
    (journal / "a.ndjson").write_text("\n".join([*lines, torn]))
    os.mkfifo(journal / "b.ndjson")  # nobody ever writes into it
    for words in ("runbook status ", "runbook approve 1", "runbook export "):
        assert completed(f"dbdeck {words}", config) == [run]
    for words in ("audit show ", "apply --resume ", "audit reconcile --action 2", "audit prove "):
        assert completed(f"dbdeck {words}", config) == [action]
    assert f"{action}\nsession.cancel on orders-prod" in asked("dbdeck audit show ", config, shell="zsh")[0]


def test_of_a_long_journal_the_newest_ids_are_offered(config: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    journal.mkdir()
    config.write_text(f"audit: {{url: 'sqlite:///none/a.db', journal: {journal}}}\ntargets: {{}}\n")
    body = json.dumps({"action": "a\nplain\nINJECTED", "target": "t", "long": "x" * 2000})
    rows = [{"row": {"action_id": str(UUID(int=n)), "kind": "intent", "body": body}} for n in range(400)]
    (journal / "a.ndjson").write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
    assert completed("dbdeck audit show ", config)[0] == str(UUID(int=399))
    assert "INJECTED" not in asked("dbdeck audit show ", config, shell="zsh")[0].splitlines()


def test_bash_adds_no_space_after_the_name_of_an_argument() -> None:
    script = CliRunner().invoke(cli, ["completion", "bash"]).output
    assert "[[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n    return 0\n" in script
