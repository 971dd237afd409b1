"""The grammar of expressions: text -> a tree of a few kinds of nodes, by a parser of our own.

Nothing of Python's own syntax is used, so there is nothing in it to be switched off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec

from console.runbook.functions import FUNCTIONS
from console.runbook.values import ExpressionError

MOST_CHARACTERS: Final = 500
MOST_DEPTH: Final = 32


class Literal(msgspec.Struct, frozen=True, tag=True):
    value: Any


class Name(msgspec.Struct, frozen=True, tag=True):
    name: str


class Item(msgspec.Struct, frozen=True, tag=True):
    of: Node
    key: Node


class Several(msgspec.Struct, frozen=True, tag=True):
    items: tuple[Node, ...]


class Call(msgspec.Struct, frozen=True, tag=True):
    function: str
    arguments: tuple[Node, ...]


class Unary(msgspec.Struct, frozen=True, tag=True):
    operator: str
    operand: Node


class Binary(msgspec.Struct, frozen=True, tag=True):
    operator: str
    left: Node
    right: Node


class Choice(msgspec.Struct, frozen=True, tag=True):
    condition: Node
    then: Node
    otherwise: Node


Node: TypeAlias = Literal | Name | Item | Several | Call | Unary | Binary | Choice


# ---- reading ---------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>\d{1,18}(?:\.\d{1,18})?)(?![\w.])
      | (?P<text>"(?:[^"\\\n]|\\["\\nt])*"|'(?:[^'\\\n]|\\['\\nt])*')
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign>==|!=|<=|>=|[<>+\-*/()\[\],.])
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t"}
_WORDS: Final[Mapping[str, object]] = {"true": True, "false": False, "null": None}
_RESERVED = frozenset({"and", "or", "not", "in", "if", "else", *_WORDS})
_POWER = {"or": 2, "and": 3, "==": 5, "!=": 5, "<": 5, "<=": 5, ">": 5, ">=": 5, "in": 5, "not in": 5,
          "+": 6, "-": 6, "*": 7, "/": 7}  # fmt: skip
_CHOICE, _NOT, _SIGN, _COMPARISON = 1, 4, 8, 5


class _Reader:
    """A Pratt parser: one token ahead, its own count of depth."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        found = self._expression(0)
        if self._kind != "end":
            raise self._wrong("an operator or the end")
        return found

    @property
    def _kind(self) -> str:
        return self._tokens[self._at][0]

    @property
    def _text(self) -> str:
        return self._tokens[self._at][1]

    def _next(self) -> str:
        text = self._text
        self._at += 1
        return text

    def _expect(self, text: str) -> None:
        if self._kind == "text" or self._text != text:
            raise self._wrong(repr(text))
        self._at += 1

    def _wrong(self, wanted: str) -> ExpressionError:
        _, text, at = self._tokens[self._at]
        return ExpressionError(f"at character {at + 1}: {wanted} is wanted, not {text or 'the end'!r}")

    def _expression(self, power: int) -> Node:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise ExpressionError(f"nested more than {MOST_DEPTH} deep")
        left = self._prefix()
        while (operator := self._operator()) is not None:
            strength = _CHOICE if operator == "if" else _POWER[operator]
            if strength <= power:
                break
            left = self._infix(operator, strength, left)
        self._depth -= 1
        return left

    def _operator(self) -> str | None:
        kind, text, _ = self._tokens[self._at]
        if kind == "word" and text == "not" and self._tokens[self._at + 1][:2] == ("word", "in"):
            return "not in"
        known = text in _POWER or text == "if"
        return text if kind in ("word", "sign") and known else None

    def _infix(self, operator: str, strength: int, left: Node) -> Node:
        self._at += 2 if operator == "not in" else 1
        if operator == "if":
            condition = self._expression(_CHOICE)
            self._expect("else")
            return Choice(condition, left, self._expression(0))
        right = self._expression(strength)
        if strength == _COMPARISON and _is_comparison(left):
            raise ExpressionError("comparisons are not chained: write `a < b and b < c`")
        if operator == "not in":
            return Unary("not", Binary("in", left, right))
        return Binary(operator, left, right)

    def _prefix(self) -> Node:
        kind, text, _ = self._tokens[self._at]
        if kind == "number":
            self._at += 1
            return self._tail(Literal(float(text) if "." in text else int(text)))
        if kind == "text":
            self._at += 1
            return self._tail(Literal(_unquoted(text)))
        if kind == "word":
            return self._word(self._next())
        if kind == "sign" and text in "-([":
            return self._bracket(self._next())
        raise self._wrong("a value")

    def _word(self, word: str) -> Node:
        if word == "not":
            return Unary("not", self._expression(_NOT))
        if word in _WORDS:
            return Literal(_WORDS[word])
        if word in _RESERVED:
            self._at -= 1
            raise self._wrong("a value")
        if self._kind == "sign" and self._text == "(":
            self._at += 1
            return self._tail(_call(word, self._list(")")))
        return self._tail(Name(word))

    def _bracket(self, sign: str) -> Node:
        if sign == "-":
            return Unary("-", self._expression(_SIGN))
        if sign == "[":
            return self._tail(Several(self._list("]")))
        inner = self._expression(0)
        self._expect(")")
        return self._tail(inner)

    def _list(self, end: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not (self._kind == "sign" and self._text == end):
            if found:
                self._expect(",")
            found.append(self._expression(0))
        self._at += 1
        return tuple(found)

    def _tail(self, node: Node) -> Node:
        length = 0
        while self._kind == "sign" and self._text in (".", "["):
            length += 1
            if length > MOST_DEPTH:
                raise ExpressionError(f"nested more than {MOST_DEPTH} deep")
            if self._next() == ".":
                if self._kind != "word":
                    raise self._wrong("the name of a field")
                node = Item(node, Literal(self._next()))
            else:
                node = Item(node, self._expression(0))
                self._expect("]")
        return node


def _is_comparison(node: Node) -> bool:
    """Written without parentheses: `not in` is a comparison too; one in parentheses is refused as well."""
    return isinstance(node, Binary) and _POWER[node.operator] == _COMPARISON


def _tokens(text: str) -> list[tuple[str, str, int]]:
    if len(text) > MOST_CHARACTERS:
        raise ExpressionError(f"longer than {MOST_CHARACTERS} characters")
    found, at = [], 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            bad = text[at:].lstrip()[:1]
            raise ExpressionError(f"at character {at + 1}: {bad!r} has no meaning here")
        found.append((match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        at = match.end()
    return [*found, ("end", "", end), ("end", "", end)]


def _unquoted(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), text[1:-1])


def _call(name: str, arguments: tuple[Node, ...]) -> Call:
    known = FUNCTIONS.get(name)
    if known is None:
        raise ExpressionError(f"there is no function {name}; there are: {', '.join(FUNCTIONS)}")
    if not known.least <= len(arguments) <= known.most:
        wanted = f"{known.least}" if known.least == known.most else f"{known.least} to {known.most}"
        raise ExpressionError(f"{name} takes {wanted} arguments, not {len(arguments)}")
    return Call(name, arguments)


@lru_cache(maxsize=2048)
def parse(text: str) -> Node:
    """Raises ExpressionError, which says where."""
    return _Reader(text).whole()


def names_in(text: str) -> frozenset[str]:
    """The names an expression reads. Raises ExpressionError."""
    return frozenset(path[0] for path in paths_in(text))


def paths_in(text: str) -> frozenset[tuple[str, ...]]:
    """The names with the fields read of them, as far as those are written out: `roots.rows` of
    `roots.rows[i].pid`. Raises ExpressionError.
    """
    found: set[tuple[str, ...]] = set()
    _collect(parse(text), found)
    return frozenset(found)


def _collect(node: Node, found: set[tuple[str, ...]]) -> None:
    path = _path(node)
    if path is not None:
        found.add(path)
        return
    for child in _children(node):
        _collect(child, found)


def _path(node: Node) -> tuple[str, ...] | None:
    if isinstance(node, Name):
        return (node.name,)
    if isinstance(node, Item) and isinstance(node.key, Literal) and isinstance(node.key.value, str):
        above = _path(node.of)
        return None if above is None else (*above, node.key.value)
    return None


def _children(node: Node) -> tuple[Node, ...]:
    match node:
        case Item(of, key):
            return (of, key)
        case Several(items) | Call(_, items):
            return items
        case Unary(_, operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Choice(condition, then, otherwise):
            return (condition, then, otherwise)
        case _:
            return ()
