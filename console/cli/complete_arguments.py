"""The arguments of a chosen action at a Tab: their names, and the values of those that have few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def arguments(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Only the module of the action on the line is loaded for it; whatever is wrong, the command tells."""
    from click.shell_completion import CompletionItem

    given = [str(one) for one in context.params.get("arguments") or ()]
    try:
        fields = _fields(context, str(context.params.get("action") or ""))
        found = list(_words(fields, given, incomplete))
    except Exception:  # noqa: BLE001 - no such action, or a plan in a file
        return []
    return [CompletionItem(word) for word in found]


def _fields(context: click.Context, action: str) -> Sequence[Any]:
    import msgspec.inspect

    found = msgspec.inspect.type_info(context.obj.registry().get(action).Args)
    return found.fields  # type: ignore[attr-defined,no-any-return]


def _words(fields: Sequence[Any], given: Sequence[str], incomplete: str) -> Iterator[str]:
    """bash takes `name=va` as the three words `name`, `=` and `va`, and only the last one is replaced."""
    key, equals, begun = incomplete.partition("=")
    if equals:
        yield from (f"{key}={one}" for one in _values(fields, key) if one.startswith(begun))
    elif given[-1:] == ["="]:
        yield from (one for one in _values(fields, given[-2]) if one.startswith(incomplete))
    elif given and _is_name(fields, given[-1]) and not incomplete:
        yield from _values(fields, given[-1])
    else:
        known = {one.partition("=")[0] for one in given}
        missing = [one for one in fields if one.encode_name not in known or one.encode_name == "table"]
        missing.sort(key=lambda one: not one.required)
        yield from (f"{one.encode_name}=" for one in missing if one.encode_name.startswith(incomplete))


def _is_name(fields: Sequence[Any], word: str) -> bool:
    return any(one.encode_name == word for one in fields)


def _values(fields: Sequence[Any], name: str) -> list[str]:
    """None where anything may stand there."""
    found = next((one.type for one in fields if one.encode_name == name), None)
    return [value for kind in getattr(found, "types", (found,)) for value in _of(kind) if value]


def _of(kind: Any) -> list[str]:
    import msgspec.inspect

    match kind:
        case msgspec.inspect.BoolType():
            return ["true", "false"]
        case msgspec.inspect.LiteralType():
            return [str(one) for one in kind.values]
        case msgspec.inspect.EnumType():
            return [str(one.value) for one in kind.cls]
        case _:
            return []
