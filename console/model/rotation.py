"""How often passwords are to change, whose are left alone, and what a new one looks like."""

from __future__ import annotations

import math
import string
from fnmatch import fnmatchcase
from typing import Annotated

import msgspec

from console.model.hooks import AccountRule

# No character that a DSN, .pgpass, an ini file or a shell takes for something else.
ALPHABET = string.ascii_letters + string.digits + "_-"
LEAST_BITS = 96
_SECONDS = {"h": 3600.0, "d": 86400.0, "w": 604800.0}

Length = Annotated[int, msgspec.Meta(ge=12, le=256)]
Every = Annotated[str, msgspec.Meta(pattern=r"^(never|[1-9][0-9]{0,3}[hdw])$")]


class PasswordRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is drawn for a new password: `length` characters of `alphabet`.

    `max_length` is what the longest password may have that whoever uses it can take: 32 for the source
    of a MySQL replica. `exclude` are characters never drawn.
    """

    length: Length = 32
    max_length: Length = 256
    exclude: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a rule that contradicts itself or makes weak passwords."""
        if self.length > self.max_length:
            raise ValueError(f"length {self.length} is more than max_length {self.max_length}")
        if self.bits < LEAST_BITS:
            raise ValueError(
                f"{self.length} of {len(self.alphabet)} characters are {self.bits:.0f} bits, "
                f"less than {LEAST_BITS}"
            )

    @property
    def alphabet(self) -> str:
        return "".join(char for char in ALPHABET if char not in self.exclude)

    @property
    def bits(self) -> float:
        return self.length * math.log2(max(len(self.alphabet), 1))


class TargetRotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for one target; what is not written holds as for all."""

    every: Every | None = None
    exclude: tuple[str, ...] | None = None
    password: PasswordRule | None = None
    accounts: dict[str, AccountRule] = {}


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for the accounts of one target. `every` is in seconds; None is no cadence."""

    every: float | None = None
    exclude: tuple[str, ...] = ()
    password: PasswordRule = PasswordRule()
    accounts: dict[str, AccountRule] = {}

    def excludes(self, name: str, host: str | None = None) -> bool:
        """A pattern is a user's name, which means all of its hosts, or user@host."""
        words = (name,) if host is None else (name, f"{name}@{host}")
        return any(fnmatchcase(word, glob) for word in words for glob in self.exclude)


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`every` is a number with h, d or w, or never. `exclude` are shell patterns of accounts."""

    every: Every = "never"
    exclude: tuple[str, ...] = ()
    password: PasswordRule = PasswordRule()
    targets: dict[str, TargetRotation] = {}

    def of(self, target: str) -> Rule:
        own = self.targets.get(target, TargetRotation())
        return Rule(
            every=seconds(own.every or self.every),
            exclude=self.exclude if own.exclude is None else own.exclude,
            password=own.password or self.password,
            accounts=own.accounts,
        )


def seconds(every: str) -> float | None:
    """`90d` in seconds; None for never."""
    return None if every == "never" else int(every[:-1]) * _SECONDS[every[-1]]
