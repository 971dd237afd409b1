"""The expressions of runbooks: pure, total, over JSON data, with a third truth value.

    a.b  a["b"]  a[0]  ==  !=  <  <=  >  >=  in  not in  and  or  not  + - * /  x if c else y  [a, b]  f(x)

There are no objects, attributes, methods or loops, so nothing can be reached but the names given. What is
not known yet is UNKNOWN, and stays so through everything that needs it: a condition over it is neither true
nor false. null compares as in SQL: ordering and arithmetic with it are UNKNOWN, `== null` tells.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from console.runbook.functions import FUNCTIONS
from console.runbook.grammar import (
    MOST_CHARACTERS,
    Binary,
    Call,
    Choice,
    Item,
    Literal,
    Name,
    Node,
    Several,
    Unary,
    parse,
)
from console.runbook.values import (
    MOST_NUMBER,
    MOST_TEXT,
    UNKNOWN,
    AtLeast,
    Cut,
    ExpressionError,
    compare,
    compare_least,
    equal,
    equal_least,
    is_cut,
    is_number,
    kind_of,
    seen_of,
)

MOST_STEPS: Final = 10_000
Names: TypeAlias = Mapping[str, Any]


def evaluate(text: str, names: Names, steps: int = MOST_STEPS) -> Any:
    """The value, or UNKNOWN. Raises ExpressionError for a fault of the expression or of its data, and where
    it takes more `steps`; a row of a list that is looked through is one.

    A number of which only the least is known is not known; what it decides is decided before.
    """
    found = _evaluated(text, names, steps)
    return UNKNOWN if isinstance(found, AtLeast) else found


def _evaluated(text: str, names: Names, steps: int) -> Any:
    return bounded(_Work(names, steps).value(parse(text)))


def condition(text: str, names: Names, steps: int = MOST_STEPS) -> bool | None:
    """True, False, or None where it is not known. Raises ExpressionError where it is no truth value."""
    return truth(evaluate(text, names, steps))


def truth(value: Any) -> bool | None:
    if value is UNKNOWN or value is None:
        return None
    if isinstance(value, bool):
        return value
    raise ExpressionError(f"a condition is true or false, not {kind_of(value)}")


def bounded(value: Any) -> Any:
    """Raises ExpressionError for text or a list that is larger than anybody needs."""
    if isinstance(value, str) and len(value) > MOST_TEXT:
        raise ExpressionError(f"the result is longer than {MOST_TEXT} characters")
    if is_number(value) and not -MOST_NUMBER <= value <= MOST_NUMBER:  # also what is not a number
        raise ExpressionError("the result is larger than any number here may be")
    return value


class _Work:
    """One evaluation, with its budget."""

    def __init__(self, names: Names, steps: int) -> None:
        self._names = names
        self._left = self._most = steps

    def spend(self, steps: int = 1) -> None:
        self._left -= steps
        if self._left < 0:
            raise ExpressionError(f"it takes more than {self._most} steps")

    def value(self, node: Node) -> Any:
        self.spend()
        work: Callable[[Any], Any] = self._work[type(node)]
        return work(node)

    @property
    def _work(self) -> Mapping[type, Callable[[Any], Any]]:
        return {
            Literal: lambda node: node.value,
            Name: self._name,
            Item: lambda node: item(self.value(node.of), self.value(node.key)),
            Several: self._several,
            Call: lambda node: self._call(node.function, node.arguments),
            Unary: lambda node: self._unary(node.operator, self.value(node.operand)),
            Binary: lambda node: self._binary(node.operator, node.left, node.right),
            Choice: self._choice,
        }

    def _name(self, node: Name) -> Any:
        if node.name not in self._names:
            raise ExpressionError(f"there is no {node.name!r} here")
        return self._names[node.name]

    def _several(self, node: Several) -> Any:
        found = [self.value(one) for one in node.items]
        return UNKNOWN if any(_is_unsure(one) or is_cut(one) for one in found) else found

    def _choice(self, node: Choice) -> Any:
        decided = truth(self.value(node.condition))
        if decided is None:
            return UNKNOWN
        return self.value(node.then if decided else node.otherwise)

    def _call(self, name: str, arguments: tuple[Node, ...]) -> Any:
        if name in ("exists", "coalesce"):
            return self._lazily(name, arguments)
        found = [self.value(one) for one in arguments]
        if any(_is_unsure(one) for one in found):
            return UNKNOWN
        self.spend(sum(len(one) for one in found if isinstance(one, list | dict)))
        return bounded(FUNCTIONS[name].work(*found))

    def _lazily(self, name: str, arguments: tuple[Node, ...]) -> Any:
        """The two that ask whether there is something: a field that is missing is an answer for them."""
        for one in arguments:
            try:
                found = self.value(one)
            except Missing:
                found = None
            if found is UNKNOWN:
                return UNKNOWN
            if found is not None:
                return True if name == "exists" else found
        return False if name == "exists" else None

    def _unary(self, operator: str, found: Any) -> Any:
        if operator == "not":
            decided = truth(found)
            return UNKNOWN if decided is None else not decided
        if _is_unsure(found) or found is None:
            return UNKNOWN
        return -_number(found, operator)

    def _binary(self, operator: str, left: Node, right: Node) -> Any:
        if operator in ("and", "or"):
            return self._logic(operator, left, right)
        a, b = self.value(left), self.value(right)
        if a is UNKNOWN or b is UNKNOWN:
            return UNKNOWN
        if operator in ("==", "!="):
            same = self._same(a, b)
            return UNKNOWN if same is UNKNOWN else same is (operator == "==")
        if operator == "in":
            return contains(a, b, self.spend)
        return UNKNOWN if a is None or b is None else _joined(operator, a, b)

    def _same(self, a: Any, b: Any) -> Any:
        if isinstance(a, AtLeast) or isinstance(b, AtLeast):
            return equal_least(a, b)
        same_kind = any(isinstance(a, kind) and isinstance(b, kind) for kind in (list, dict))
        if same_kind and (is_cut(a) or is_cut(b)):
            return UNKNOWN
        return equal(a, b, self.spend)

    def _logic(self, operator: str, left: Node, right: Node) -> Any:
        """Kleene: `false and UNKNOWN` is false. The right side is not looked at where the left decides."""
        decides = operator == "or"
        first = truth(self.value(left))
        if first is decides:
            return decides
        second = truth(self.value(right))
        if second is decides:
            return decides
        return UNKNOWN if first is None or second is None else not decides


def _joined(operator: str, a: Any, b: Any) -> Any:
    if isinstance(a, AtLeast) or isinstance(b, AtLeast):
        return _joined_least(operator, a, b)
    if operator in ("<", "<=", ">", ">="):
        return compare(operator, a, b)
    return bounded(_ARITHMETIC[operator](a, b))


def _joined_least(operator: str, a: Any, b: Any) -> Any:
    """Where one side is AtLeast: what grows with it is at least as well, all else is not known."""
    if operator in ("<", "<=", ">", ">="):
        return compare_least(operator, a, b)
    if operator == "+":
        both = [one.least if isinstance(one, AtLeast) else _number(one, "+") for one in (a, b)]
        return AtLeast(bounded(sum(both)))
    if isinstance(a, AtLeast) and operator == "-" and not isinstance(b, AtLeast):
        return AtLeast(bounded(a.least - _number(b, "-")))
    return UNKNOWN


def _is_unsure(value: Any) -> bool:
    return value is UNKNOWN or isinstance(value, AtLeast)


class Missing(ExpressionError):
    """A field or place that the data does not have."""


def item(of: Any, key: Any) -> Any:
    """Raises Missing for what is not there, ExpressionError for what has no parts."""
    if of is UNKNOWN or _is_unsure(key):
        return UNKNOWN
    if isinstance(of, dict):
        return _field(of, key)
    if isinstance(of, list):
        return _place(of, key)
    if of is None:
        raise Missing("null has no parts")
    raise ExpressionError(f"{kind_of(of)} has no parts")


def _field(of: dict[str, Any], key: Any) -> Any:
    if not isinstance(key, str):
        raise ExpressionError(f"a field has a name, not {kind_of(key)}")
    if key not in of:
        has = ", ".join(map(str, of)) or "none"
        raise Missing(f"it has no field {key!r}; it has: {has}"[:MOST_CHARACTERS])
    if key in ("rows", "count") and is_cut(of):
        return seen_of(of) if key == "rows" else AtLeast(len(of["rows"]))
    return of[key]


def _place(of: list[Any], key: Any) -> Any:
    if isinstance(key, bool) or not isinstance(key, int):
        raise ExpressionError(f"a place in a list is a whole number, not {kind_of(key)}")
    if isinstance(of, Cut) and key >= len(of):
        return UNKNOWN
    if not 0 <= key < len(of):
        raise Missing(f"there is no place {key} in a list of {len(of)}")
    return of[key]


def contains(value: Any, inside: Any, spend: Callable[[int], None]) -> Any:
    if isinstance(value, AtLeast):
        return UNKNOWN
    if isinstance(inside, list):
        found = any(equal(value, one, spend) for one in inside)
        return UNKNOWN if not found and isinstance(inside, Cut) else found
    if value is None or inside is None:
        return UNKNOWN
    if isinstance(value, str) and isinstance(inside, str | dict):
        return value in inside
    raise ExpressionError(
        f"`in` looks into a list, a text or a mapping, not for {kind_of(value)} in {kind_of(inside)}"
    )


def _number(value: Any, operator: str) -> Any:
    if not is_number(value):
        raise ExpressionError(f"`{operator}` is for numbers, not for {kind_of(value)}")
    return value


def _plus(a: Any, b: Any) -> Any:
    if isinstance(a, str) and isinstance(b, str):
        return a + b
    return _number(a, "+") + _number(b, "+")


def _divide(a: Any, b: Any) -> Any:
    if _number(b, "/") == 0:
        raise ExpressionError("division by zero")
    return _number(a, "/") / b


_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": _plus,
    "-": lambda a, b: _number(a, "-") - _number(b, "-"),
    "*": lambda a, b: _number(a, "*") * _number(b, "*"),
    "/": _divide,
}


# ---- display ---------------------------------------------------------------------------------

_SHOWN = re.compile(r"\{\{(?P<expression>.{0,600}?)\}\}", re.DOTALL)


def shown_in(text: str) -> list[str]:
    """The expressions between `{{` and `}}` of a text that people read."""
    return [match["expression"].strip() for match in _SHOWN.finditer(text)]


def _as_it_is(text: str) -> str:
    return text


def fill(text: str, names: Names, steps: int = MOST_STEPS, shown: Callable[[str], str] = _as_it_is) -> str:
    """A text for people; what is not known yet says so. Never for anything that is sent to a server.

    `shown` makes each value fit for where the text is drawn.
    """
    return _SHOWN.sub(lambda match: shown(_word(match["expression"].strip(), names, steps)), text)


def _word(expression: str, names: Names, steps: int) -> str:
    try:
        found = _evaluated(expression, names, steps)
    except ExpressionError as error:
        return f"({expression}: {error.message})"
    if isinstance(found, AtLeast):
        return f"at least {found.least}"
    if found is UNKNOWN:
        return f"({expression}: known at run time)"
    return _read(found)


def _read(found: object) -> str:
    """In a sentence: the items of a list side by side, and `?` for what is null."""
    if isinstance(found, str):
        return found
    if found is None:
        return "?"
    if isinstance(found, list) and not any(isinstance(one, list | dict) for one in found):
        return ", ".join(_read(one) for one in found) or "none"
    return msgspec.json.encode(found).decode()
