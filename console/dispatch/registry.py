"""Every action by name. Keys, palette, completion, help and `dbdeck actions` are read from here."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from console.dispatch import wrong_argument
from console.dispatch.action import Action
from console.errors import UsageError

_SHOWN = 60  # characters of a word that is no argument: a whole file may have been pasted


class Registry:
    """Raises ValueError when two actions have one name. A function that gives them is asked when needed.

    `one` gives an action by its name: nobody waits for all of them who wants that one.
    """

    def __init__(
        self,
        actions: Iterable[Action[Any]] | Callable[[], Iterable[Action[Any]]],
        one: Callable[[str], Action[Any] | None] | None = None,
    ) -> None:
        self._given = actions
        self._one = one
        self._single: dict[str, Action[Any]] = {}
        if not callable(actions):
            self.load()

    @cached_property
    def _actions(self) -> dict[str, Action[Any]]:
        found: dict[str, Action[Any]] = {}
        for action in self._given() if callable(self._given) else self._given:
            if action.name in found:
                raise ValueError(f"two actions are called {action.name}")
            found[action.name] = action
        return found

    def load(self) -> None:
        """Have them now, for when they are needed at once."""
        _ = self._actions

    def __iter__(self) -> Iterator[Action[Any]]:
        return iter(self._actions.values())

    def get(self, name: str) -> Action[Any]:
        """Raises UsageError with the nearest name."""
        if self._one is not None and name not in self._single and (found := self._one(name)) is not None:
            self._single[name] = found
        if name in self._single:
            return self._single[name]
        if name in self._actions:
            return self._actions[name]
        near = difflib.get_close_matches(name, self._actions, n=1)
        raise UsageError(
            f"there is no action {name!r}; nothing was executed",
            f"did you mean {near[0]}?" if near else "`dbdeck actions` lists them",
        )


def parse_args(action: Action[Any], given: Mapping[str, object]) -> msgspec.Struct:
    """The typed arguments of an action from what a person wrote (strings are converted).

    Raises UsageError that names the argument, what it should be, and the ones there are.
    """
    fields = {field.encode_name: field for field in msgspec.structs.fields(action.Args)}
    for name in given:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            raise UsageError(
                f"{action.name} has no argument {name!r}; nothing was executed",
                f"did you mean {near[0]}?" if near else f"it takes: {', '.join(fields)}",
            )
    for name, value in given.items():
        _refuse_no_text(action, name, value)
    try:
        parsed: msgspec.Struct = msgspec.convert(dict(given), action.Args, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"{wrong_argument.words(action.Args, given, error)}; nothing was executed",
            f"`dbdeck actions {action.name}` has all its arguments",
        ) from None
    return parsed


def _refuse_no_text(action: Action[Any], name: str, value: object) -> None:
    """NUL, and lone surrogates, as which bytes of the command line that are no text arrive: no server takes
    them in a name, and no ledger in a row.
    """
    for one in value if isinstance(value, list | tuple) else (value,):
        if isinstance(one, str) and ("\0" in one or one.encode("utf-8", "replace").decode() != one):
            raise UsageError(
                f"{action.name}: {name}= is no text of Unicode without NUL; nothing was executed"
            )


def words(text: str) -> dict[str, object]:
    """`pairs` of a line as a person types it, with a shell's quotes. Raises UsageError."""
    try:
        return pairs(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"{error}; nothing was executed", "quote values with spaces: 'name=a b'") from None


def pairs(words: Sequence[str]) -> dict[str, object]:
    """key=value words; a repeated key makes a list. Raises UsageError for a word without `=`."""
    given: dict[str, object] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            shown = word if len(word) <= _SHOWN else f"{word[:_SHOWN]}…"
            raise UsageError(f"{shown!r} is not key=value; nothing was executed")
        if key not in given:
            given[key] = value
        else:
            earlier = given[key]
            given[key] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]
    return given
