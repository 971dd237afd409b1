"""Hostile expressions and documents in one process with little memory: a program, run by test_hostile.

Prints one JSON document: how many cases, the slowest, how much memory they took, and what was wrong.
"""

from __future__ import annotations

import json
import random
import re
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from console.errors import ConfigError
from console.runbook.expression import evaluate, fill
from console.runbook.functions import FUNCTIONS
from console.runbook.lint import lint
from console.runbook.loader import Library, parse
from console.runbook.values import UNKNOWN, ExpressionError
from console.strict_yaml import read_yaml
from tests.runbook.documents import HEAD, READS, TODAY, WHOLE, Catalogue, registry

MEMORY = 64 * 1024 * 1024
HANGS = 20  # seconds of one case, after which the process is ended by a signal
Case = Callable[[], None]
NAMES: dict[str, Any] = {
    "n": 3,
    "t": "orders",
    "yes": True,
    "nothing": None,
    "later": UNKNOWN,
    "rows": [{"id": 1, "age": 5, "ok": True}, {"id": 2, "age": None, "ok": False}],
    "answer": {"rows": [{"id": 1}], "count": 1, "truncated": True},
}
SIGNS = "( ) [ ] , . + - * / == != < <= > >= = ! and or not in if else true false null % ; # $ ` @ ** //"
VALUES = (
    "0 1 -7 2.5 1e9 999999999999999999 'a' \"b\" ' \" \\ \\' __class__ lambda import .id [0] ['id'] { } {{ }}"
)
PIECES = (
    *(*NAMES, *FUNCTIONS, *SIGNS.split(), *VALUES.split()),
    *("\x00", "\n", "\ud800", "\u202e", "\U0001f600", "x" * 90, "(" * 40, "[" * 40, "not " * 40),
)


class Wrong(Exception):
    """A case that did not go as it should."""


def want(holds: object, *about: object) -> None:
    if not holds:
        raise Wrong(str(about)[:400])


# ---- expressions with a known value --------------------------------------------------------------


def number(r: random.Random, depth: int) -> tuple[str, float]:
    if depth == 0 or r.random() < 0.2:
        value = r.choice([0, 1, 2, 7, 40, 2.5])
        return (str(value), value) if r.random() < 0.7 else ("n", 3)
    (a, x), (b, y) = number(r, depth - 1), number(r, depth - 1)
    condition, holds = truth(r, depth - 1)
    ways: list[tuple[str, float]] = [
        (f"({a} + {b})", x + y),
        (f"({a} - {b})", x - y),
        (f"({a} * {b})", x * y),
        (f"-{a}" if not a.startswith("-") else f"-({a})", -x),
        (f"({a} if {condition} else {b})", x if holds else y),
        (f"count([{a}, {b}])", 2),
        (f"max([{a}, {b}])", max(x, y)),
        (f"sum([{a}, {b}])", x + y),
        (f"coalesce(nothing, {a})", x),
        (f"[{a}, {b}][1]", y),
    ]
    return r.choice(ways)


def truth(r: random.Random, depth: int) -> tuple[str, bool]:
    if depth == 0 or r.random() < 0.2:
        texts = [("t == 'orders'", True), ("'x' in t", False)]
        return r.choice([("true", True), ("false", False), ("yes", True), *texts])
    (a, x), (b, y) = number(r, depth - 1), number(r, depth - 1)
    (p, v), (q, w) = truth(r, depth - 1), truth(r, depth - 1)
    ways: list[tuple[str, bool]] = [
        (f"({a} < {b})", x < y),
        (f"({a} >= {b})", x >= y),
        (f"({a} == {b})", x == y),
        (f"({a} != {b})", x != y),
        (f"({a} in [{b}])", x == y),
        (f"({p} and {q})", v and w),
        (f"({p} or {q})", v or w),
        (f"(not {p})", not v),
        (f"any([{p}, {q}])", v or w),
        (f"all([{p}, {q}])", v and w),
    ]
    return r.choice(ways)


def right_value(r: random.Random) -> None:
    text, value = r.choice([number, truth])(r, r.randint(1, 4))
    try:
        found = evaluate(text, NAMES)
    except ExpressionError as error:
        want(re.search("longer|nested|larger", error.message), text, error.message)
        return
    want(found == value and isinstance(found, bool) is isinstance(value, bool), text, value, found)


# ---- expressions that are none -------------------------------------------------------------------


def hostile_expression(r: random.Random) -> None:
    if r.random() < 0.5:
        text = r.choice(["", " "]).join(r.choices(PIECES, k=r.randint(1, 30)))
    else:
        text = mutated(r, r.choice([number, truth])(r, 3)[0])
    fill("{{" + text + "}}", NAMES)
    try:
        found = evaluate(text, NAMES)
    except ExpressionError as error:
        want(0 < len(error.message) < 2000, text, error.message)
        return
    plain = isinstance(found, bool | int | float | str | list | dict | None)
    want(found is UNKNOWN or plain, text, found)


def mutated(r: random.Random, text: str) -> str:
    for _ in range(r.randint(1, 3)):
        at = r.randrange(len(text) + 1)
        cut = at + r.choice([0, 0, 1, 3, 20])
        text = text[:at] + r.choice([*PIECES, "", "", text[: r.randint(0, 60)]]) + text[cut:]
    return text


# ---- YAML ----------------------------------------------------------------------------------------


def data(r: random.Random, depth: int) -> Any:
    if depth and r.random() < 0.7:
        inner = [data(r, depth - 1) for _ in range(r.randint(0, 5))]
        return inner if r.random() < 0.5 else {f"k{i} {r.randint(0, 9)}": one for i, one in enumerate(inner)}
    texts = ["", "on", "1", "null", "a: b", "- x", "{{", "# x", "é\n\t'\""]
    return r.choice([None, True, False, 0, -3, 10**17, 2.5, *texts])


def right_data(r: random.Random) -> None:
    value = {"a": data(r, 5)}
    text = json.dumps(value, ensure_ascii=r.random() < 0.5, indent=r.choice([None, 2]))
    found, places = read_yaml(text, "f")
    want(found == value and ("a",) in places, value, found)


SMALL = (
    HEAD.format(id="small")
    + "steps:\n  - {id: q, kind: query, read: locks, save: s}\n  - {id: n, kind: check}\n"
)
SHIPPED = sorted((Path(__file__).parents[2] / "runbooks").glob("*.yaml"))[:3]
DOCUMENTS = (WHOLE, SMALL, *(path.read_text() for path in SHIPPED))
PARTS = (
    "&a *a !!python/object:os.system !x <<: - : { } [ ] | > --- ... \x00 \x07 \ufeff \ud800 ' \" # null \\"
)
LONG = ("9" * 400, "9" * 400 + ".0", "x" * 9000, "a: " * 60, "[" * 60, "{a: " * 60)
WORDS = (
    *PARTS.split(" "),
    *LONG,
    "? ",
    "- ",
    "%YAML 1.1\n",
    "\t",
    "on: yes",
    "id: q",
    "kind: call",
    "steps: []",
)
PATTERNS = [
    r"(a+)+$",
    r"(a|a)*b",
    r"(a*)*b",
    r"(.*){9}x",
    r"a*a*a*a*a*b",
    r"(?=a+)+",
    r"(a)\\1*",
    r"[a-z]+b",
    r"a{9999999999}",
]


def hostile_document(r: random.Random) -> None:
    lines = r.choice(DOCUMENTS).split("\n")
    for _ in range(r.randint(1, 3)):
        at = r.randrange(len(lines))
        line, word = lines[at], r.choice(WORDS)
        ways = [
            [],
            [line, line],
            [r.choice(lines), line],
            [" " * r.randint(0, 9) + line.strip()],
            [line.partition(":")[0] + ": " + word],
            [line[: r.randrange(len(line) + 1)] + word],
        ]
        lines[at : at + 1] = r.choice(ways)
        lines = lines or [""]
    judged("\n".join(lines))


def judged(text: str) -> None:
    """Read, and where it can be read judged: every fault with its line."""
    try:
        loaded = parse(text, "f")
    except ConfigError as error:
        want(re.match(r"f, line \d+, column \d+: .", error.message, re.DOTALL), error.message)
        return
    findings = lint(loaded, Library([loaded]), Catalogue(registry(), READS), TODAY)
    want(all(re.match(r"f, line \d+, column \d+$", one.place) for one in findings), findings)


def large_documents() -> Iterator[str]:
    """What costs most: each is a whole document."""
    head = HEAD.format(id="large")
    rows = ", ".join(["{a: 1}"] * 500)
    note = "{id: n%d, kind: note, text: x}"
    yield "- a\n" * 120_000
    yield "[" + "1," * 250_000
    yield "{" + "".join(f"k{n}: 1, " for n in range(40_000)) + "}"
    yield "a: " + "x" * 500_000
    yield 'a: "' + "\\x41" * 120_000 + '"'
    yield "#" * 600_000
    yield "\n" * 500_000
    yield "? " * 200_000
    yield "a: |\n" + "  x\n" * 120_000
    yield "x: &a [" + "*a," * 1000 + "]"
    yield head + "steps:\n" + "".join(f"  - {note % n}\n" for n in range(3000))
    yield head + "steps:\n" + "".join(f"  - {{id: n{n}, kind: check, when: nope{n}}}\n" for n in range(3000))
    yield head + "steps:\n  - {id: n, kind: note, text: '" + "{{" * 3900 + "'}\n"
    yield head + "steps:\n  - {id: n, kind: note, text: '" + "{{ a }}" * 1100 + "'}\n"
    params = "".join(f"  p{n}: {{type: text}}\n" for n in range(3000))
    yield head + "params:\n" + params + "steps: [%s]" % (note % 1)
    for pattern in PATTERNS:
        param = f'{{type: text, pattern: "{pattern}", default: "{"a" * 190}"}}'
        yield head + f"params: {{p: {param}}}\nsteps: [{note % 1}]"
    inner = ", ".join(note % n for n in range(9))
    loop = f"{{id: e, kind: for_each, in: s, as: x, max: 500, steps: [{inner}]}}"
    steps = f"steps:\n  - {{id: q, kind: query, read: locks, save: s}}\n  - {loop}\n"
    fixture = f"  - {{name: a, answers: {{q: [{rows}]}}, path: [], result: ok}}\n"
    yield head + steps + "tests:\n" + fixture * 5
    inner = note % 1
    for n in range(30):
        inner = f"{{id: b{n}, kind: branch, cases: [{{if: 'true', steps: [{inner}]}}]}}"
    yield head + f"steps: [{inner}]"


def cases(r: random.Random, number_of: int) -> Iterator[tuple[str, Case]]:
    for n, text in enumerate(large_documents()):
        yield f"large document {n}", lambda text=text: judged(text)  # type: ignore[misc]
    kinds = (right_value,) * 7 + (hostile_expression,) * 9 + (right_data,) + (hostile_document,) * 3
    for n in range(number_of):
        kind, seed = kinds[n % len(kinds)], r.random()
        yield f"{kind.__name__} {seed}", lambda kind=kind, seed=seed: kind(random.Random(seed))  # type: ignore[misc]


def main(seed: int, number_of: int) -> None:
    judged(WHOLE)  # everything is imported, and what is kept for good is kept
    right_value(random.Random(1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    wrong: list[str] = []
    slowest = ("", 0.0)
    done = 0
    for name, case in cases(random.Random(seed), number_of):
        signal.setitimer(signal.ITIMER_PROF, HANGS)
        began = time.process_time()
        try:
            case()
        except Exception as error:  # noqa: BLE001 - whatever it is, it should not have come out
            wrong.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
        spent = time.process_time() - began
        slowest = max(slowest, (name, spent), key=lambda one: one[1])
        done += 1
    signal.setitimer(signal.ITIMER_PROF, 0)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    told = {"cases": done, "slowest": slowest, "kB": grown, "wrong": wrong[:20]}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
