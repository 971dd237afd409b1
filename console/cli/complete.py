"""What a shell completes beside commands and options: names of actions, targets and runbooks, and files.

It is asked at every Tab. So it connects to nothing, opens no keyring, loads no driver and no action but the
one whose arguments are asked for, and says nothing where it cannot know: no error, no question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path

    from click.shell_completion import CompletionItem

    from console.cli.context import Services

VARIABLE = "_DBDECK_COMPLETE"  # that the scripts of shells set
MOST_BYTES = 512 * 1024  # of a file that is looked at; more is no config and no runbook (console.strict_yaml)
_BARE = re.compile(r"\w[\w.@+-]*")  # goes on a command line as it is: shells take words from here unquoted
_KEY = re.compile(rf"( +)([\"']?)({_BARE.pattern})\2\s*:(?:\s|$)")
_NO_SPACE = {  # fish adds none by itself
    "bash": [("    return 0\n", "    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n    return 0\n")],
    "zsh": [
        (
            "        compadd -U -V unsorted -a completions\n",
            "        if [[ ${completions[1]} == *= ]]; then\n"
            "            compadd -S '' -U -V unsorted -a completions\n"
            "        else\n"
            "            compadd -U -V unsorted -a completions\n"
            "        fi\n",
        )
    ],
}
_Found = Iterable[tuple[str, str | None]]  # a word, and what is said of it
_Complete = Callable[[click.Context, click.Parameter, str], list["CompletionItem"]]


def _quiet(names: Callable[[Services], _Found]) -> _Complete:
    """Those that go on with what is typed. Whatever is wrong is told by the command, not at a Tab."""

    @wraps(names)
    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            return [
                CompletionItem(word, help=said)
                for word, said in names(context.obj)
                if word.startswith(incomplete)
            ]
        except Exception:  # noqa: BLE001 - a config that cannot be read, a folder that is gone
            return []

    return complete


@_quiet
def actions(services: Services) -> _Found:
    return ((name, None) for name in services.actions())


@_quiet
def targets(services: Services) -> _Found:
    """Of the config as text: one with a fault elsewhere still has them."""
    from console.config import find

    text = _text(find(services.config_path))
    return ((name, None) for name in target_names(text))


def journal_folder(services: Services) -> Path:
    """Where this machine's journals are, by the config as text. Raises for one that is no YAML."""
    from pathlib import Path

    from console.config import Audit, find
    from console.strict_yaml import read_yaml

    audit = read_yaml(_text(find(services.config_path)), "")[0].get("audit") or {}
    return Path(audit.get("journal") or Audit().journal).expanduser()


def script(shell: str, command: click.Command) -> str | None:
    """What a shell evaluates; None for one that click does not know. After `name=` no space is added."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        return None
    text = found(command, {}, "dbdeck", VARIABLE).source()
    for before, after in _NO_SPACE.get(shell, ()):
        text = text.replace(before, after)
    return text


@_quiet
def runbooks(services: Services) -> _Found:
    """Those that are shipped, and those of the config's folders."""
    return _runbooks(services)


def files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The shell looks for them."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def actions_or_files(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return actions(context, parameter, incomplete) or files(context, parameter, incomplete)


def runbooks_or_files(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return runbooks(context, parameter, incomplete) or files(context, parameter, incomplete)


def target_names(text: str) -> list[str]:
    """Keys below `targets:`. Lines are enough for a config in blocks; any other is parsed."""
    names: list[str] = []
    inside, depth = False, 0
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not line.startswith(" "):
            inside = bool(re.fullmatch(r"targets\s*:\s*(#.*)?", line))
        elif inside:
            depth = depth or len(line) - len(line.lstrip())
            found = _KEY.match(line)
            if found and len(found[1]) == depth:
                names.append(found[3])
    return names or _parsed(text)


def _parsed(text: str) -> list[str]:
    if "targets" not in text:
        return []
    from console.strict_yaml import read_yaml

    values, _ = read_yaml(text, "")
    return [name for name in values["targets"] if isinstance(name, str) and _BARE.fullmatch(name)]


def _runbooks(services: Services) -> Iterator[tuple[str, str | None]]:
    seen: set[str] = set()
    for text in _documents(services):
        name, title = _field(text, "id"), _field(text, "title")
        if name and name not in seen and _BARE.fullmatch(name):
            seen.add(name)
            yield name, title or None


def _documents(services: Services) -> Iterator[str]:
    from console.config import find

    yield from (text for _, text in services.runbooks())
    config = _text(find(services.config_path))
    if "runbooks" not in config:
        return
    from pathlib import Path

    from console.errors import ConfigError
    from console.strict_yaml import read_yaml

    try:
        folders = read_yaml(config, "")[0]["runbooks"]["folders"]
    except (ConfigError, KeyError, TypeError):
        return
    for folder in folders:
        yield from (_text(one) for one in sorted(Path(folder).expanduser().glob("*.yaml")))


def _field(text: str, name: str) -> str:
    found = re.search(rf"^{name}:(.*)$", text, re.MULTILINE)
    return found[1].partition(" #")[0].strip().strip("\"'") if found else ""


def _text(path: Path) -> str:
    """Nothing of what is no file: a pipe would be read away from who is meant to read it."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(MOST_BYTES).decode("utf-8", "replace")
