"""The commands as click knows them, for the page and for the man page."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click
import msgspec

from console.cli.main import cli

EVERYWHERE = ("config", "master_key_fd", "help", "version")


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """`words` as they are typed, with the name of their value; `default` is empty where there is none."""

    words: str
    help: str
    default: str


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """`name` with those of its groups; `usage` without the options; `said` is its help, a paragraph each."""

    name: str
    usage: str
    said: tuple[str, ...]
    options: tuple[Option, ...]


def commands(group: click.Group = cli, at: str = "dbdeck") -> Iterator[Command]:
    """In alphabetical order, those of groups in their place; groups themselves do nothing."""
    for name in sorted(group.commands):
        command, full = group.commands[name], f"{at} {name}"
        if isinstance(command, click.Group):
            yield from commands(command, full)
        elif not command.hidden:
            yield described(command, full)


def described(command: click.Command, name: str) -> Command:
    given = [one.make_metavar(click.Context(command)) for one in _arguments(command)]
    return Command(
        name=name,
        usage=" ".join([name, "[OPTION]…", *given]),
        said=tuple(" ".join(part.split()) for part in inspect.cleandoc(command.help or "").split("\n\n")),
        options=tuple(_option(one) for one in _options(command) if one.name not in EVERYWHERE),
    )


def everywhere() -> tuple[Option, ...]:
    """The options of every command, and those of `dbdeck` alone."""
    context = click.Context(cli, **cli.context_settings)
    found = [one for one in cli.get_params(context) if isinstance(one, click.Option)]
    return tuple(_option(one) for one in found)


def _arguments(command: click.Command) -> list[click.Argument]:
    return [one for one in command.params if isinstance(one, click.Argument)]


def _options(command: click.Command) -> list[click.Option]:
    return [one for one in command.params if isinstance(one, click.Option) and not one.hidden]


def _option(one: click.Option) -> Option:
    value = "" if one.is_flag else f" {one.metavar or one.make_metavar(click.Context(cli))}"
    default = one.default if isinstance(one.default, str | int | float) and not one.is_flag else ""
    more = f"{'; may be repeated' if one.multiple else ''}{'; required' if one.required else ''}"
    return Option(
        words=f"{', '.join(sorted(one.opts, key=len))}{value}",
        help=f"{one.help or ''}{more}",
        default=str(default),
    )
