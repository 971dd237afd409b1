"""The fields of a struct in words, for help and reference pages: type, what is allowed, default."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

import msgspec
from msgspec import inspect

_DURATION = {inspect.StrType, inspect.FloatType}
_PLAIN: dict[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.DateTimeType: "time with its UTC offset",
    inspect.DateType: "date",
    inspect.AnyType: "anything",
}


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """`default` is None where the field is required, and empty where nothing stands for it."""

    name: str
    type: str
    default: str | None


def fields(struct: type[msgspec.Struct]) -> tuple[Field, ...]:
    """In the order in which they are declared, the required ones first."""
    info = inspect.type_info(struct)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{struct.__name__} is no struct")
    found = [
        Field(name=one.encode_name, type=kind(one.type), default=None if one.required else default(one))
        for one in info.fields
    ]
    return tuple(sorted(found, key=lambda one: one.default is not None))


def explained(struct: type[msgspec.Struct]) -> tuple[str, ...]:
    """What the docstrings of the struct and of those that it goes on from say, its own first."""
    return tuple(
        " ".join(said.split())
        for one in struct.__mro__
        if one is not msgspec.Struct
        and issubclass(one, msgspec.Struct)
        and (said := vars(one).get("__doc__"))
    )


def default(field: inspect.Field) -> str:
    value = field.default
    if field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    if value is None or isinstance(value, msgspec.Struct) or value in ("", (), [], {}):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value.value if isinstance(value, Enum) else value)


def kind(of: inspect.Type) -> str:
    """A type in words, with its bounds; null is left out, as a default says it."""
    if isinstance(of, inspect.Metadata):
        return kind(of.type)
    if isinstance(of, inspect.UnionType):
        return _union(of.types)
    if isinstance(of, inspect.StrType | inspect.IntType | inspect.FloatType):
        return _scalar(of)
    return _PLAIN.get(type(of)) or _made_of(of)


def _made_of(of: inspect.Type) -> str:
    match of:
        case inspect.LiteralType(values=values):
            return _one_of(values)
        case inspect.EnumType(cls=cls):
            return _one_of([one.value for one in cls])
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return f"list of {kind(item)}"
        case inspect.DictType(value_type=value):
            return f"mapping of names to {kind(value)}"
        case inspect.StructType(cls=cls):
            return cls.__name__
    return "value"


def _scalar(of: inspect.StrType | inspect.IntType | inspect.FloatType) -> str:
    if isinstance(of, inspect.StrType):
        return f"text that fits `{of.pattern}`" if of.pattern else "text"
    name = "integer" if isinstance(of, inspect.IntType) else "number"
    return " ".join([name, *_bounds(of)])


def _bounds(of: inspect.IntType | inspect.FloatType) -> Iterator[str]:
    """The greatest number that JSON's readers take is no bound of ours."""
    if of.gt is not None:
        yield f"above {of.gt}"
    most = of.le if of.le is not None and of.le < (1 << 63) - 1 else None
    if of.ge is not None:
        yield f"from {of.ge}" if most is not None else f"of at least {of.ge}"
    if most is not None:
        yield f"to {most}" if of.ge is not None else f"of at most {most}"


def _union(types: Sequence[inspect.Type]) -> str:
    """`str | float` is how arguments take durations; a value or several of it is one that may be repeated."""
    known = [one for one in types if not isinstance(one, inspect.NoneType)]
    if {type(one) for one in known} == _DURATION:
        return "duration, like `90s`, `10m`, or seconds"
    several = [one for one in known if isinstance(one, inspect.VarTupleType)]
    if len(known) == 2 and len(several) == 1:
        return f"{kind(several[0].item_type)}; may be repeated"
    return " or ".join(dict.fromkeys(kind(one) for one in known))


def _one_of(values: Sequence[Any]) -> str:
    return " ".join(f"`{one}`" for one in values if one != "")
