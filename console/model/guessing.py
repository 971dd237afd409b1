"""Guesses at stored verifiers, offline: no login, no lock-out, nothing in the server's log.

Pure but for the clock. A password that was guessed is used, compared and forgotten; what comes out says
what kind of password it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import chain, islice

import msgspec

from console.model.accounts import Key, label
from console.model.verifiers import Verifier, VerifierKind, matches

SECONDS = 30.0
_ENDINGS = ("1", "12", "123", "1234", "12345", "123456", "01", "!", "1!", "123!", "@123", "#123", "_123",
            "pw", "_pw", "-pw", "pass", "_pass", "password", "2023", "2024", "2025", "2026",
            "2027")  # fmt: skip
_PLAIN_FORMS, _FIRST_WORDS = 5, 40
_PREFIXES = ("my", "new", "123")


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What a server keeps for an account; `verifier` None is malformed, and no password fits it.

    `which` tells two of one account apart.
    """

    name: str
    host: str | None = None
    verifier: Verifier | None
    which: str = ""

    @property
    def key(self) -> Key:
        return self.name, self.host

    @property
    def checkable(self) -> bool:
        known = self.verifier is not None and self.verifier.kind.checkable
        return known and self.verifier is not None and self.verifier.kind is not VerifierKind.EMPTY


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """An account whose password was guessed; `how` says what it is, not which."""

    key: Key
    how: str
    which: str = ""


class Guesses(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: `tried` of `of` guesses in `seconds`. `shared` are groups of accounts of which is
    known that they have one password; `unchecked` those on which nothing can be tried.
    """

    hits: tuple[Hit, ...] = ()
    shared: tuple[tuple[Key, ...], ...] = ()
    tried: int = 0
    of: int = 0
    seconds: float = 0.0
    unchecked: tuple[tuple[Key, str], ...] = ()
    malformed: tuple[Key, ...] = ()

    @property
    def complete(self) -> bool:
        return self.tried >= self.of


@cache
def common() -> tuple[str, ...]:
    """The shipped list, the likeliest first."""
    text = (files("console.model") / "common_passwords.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


def own_words(name: str) -> Iterator[tuple[str, str]]:
    """(guess, what it is) made of an account's name, the likeliest first; each once."""
    said = {
        name: "the account's name",
        name.lower(): "the account's name in small letters",
        name.upper(): "the account's name in capitals",
        name.capitalize(): "the account's name",
        name[::-1]: "the account's name backwards",
        name * 2: "the account's name twice",
    }
    for form in dict.fromkeys((name, name.lower(), name.capitalize())):
        said |= dict.fromkeys((form + end for end in _ENDINGS), "the account's name with digits or a word")
    said |= dict.fromkeys((start + name for start in _PREFIXES), "a word or digits with the account's name")
    yield from said.items() if name else ()


def guess(
    stored: Sequence[Stored],
    words: Sequence[str],
    *,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.monotonic,
    stop: Callable[[], bool] = lambda: False,
) -> Guesses:
    """Try names and well-known words on every account, one guess on each before the second on any.

    A word that fits one account is then tried on all others. Blocking, for `seconds` at most and what one
    guess takes (about 3 ms; far more where iterations were raised).
    """
    clues = [_Clues(one, words) for one in stored if one.checkable]
    start = clock()
    hits, tried = _rounds(clues, lambda: stop() or clock() - start >= seconds)
    return Guesses(
        hits=tuple(hit for hit, _ in hits),
        shared=shared(stored, hits),
        tried=tried,
        of=tried + sum(one.left for one in clues if not one.solved),
        seconds=clock() - start,
        unchecked=tuple((one.key, _why(one)) for one in stored if not _tried_or_plain(one)),
        malformed=tuple(one.key for one in stored if one.verifier is None),
    )


def _candidates(name: str, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The likeliest first: the name as it is, the beginning of the list, the name with endings, the rest."""
    own = own_words(name)
    known = ((word, "a well-known password") for word in words)
    return chain(islice(own, _PLAIN_FORMS), islice(known, _FIRST_WORDS), own, known)


class _Clues:
    """What is left to be tried on one verifier. Words come lazily: there may be thousands of accounts."""

    def __init__(self, stored: Stored, words: Sequence[str]) -> None:
        self.stored = stored
        self.solved = False
        self._more: list[tuple[str, str]] = []
        self._words = _candidates(stored.name, words)
        self.left = sum(1 for _ in own_words(stored.name)) + len(words)

    def add(self, word: str, how: str) -> None:
        self._more.append((word, how))
        self.left += 1

    def next(self) -> tuple[str, str] | None:
        self.left = max(self.left - 1, 0)
        return self._more.pop() if self._more else next(self._words, None)


def _rounds(clues: Sequence[_Clues], over: Callable[[], bool]) -> tuple[list[tuple[Hit, str]], int]:
    """The hits, each with its password, and how many guesses were tried."""
    hits: list[tuple[Hit, str]] = []
    tried = 0
    todo = list(clues)
    while todo:
        for one in todo:
            if one.solved or (found := one.next()) is None:
                continue
            if over():
                one.left += 1
                return hits, tried
            tried += 1
            word, how = found
            if one.stored.verifier is not None and matches(one.stored.verifier, word):
                one.solved = True
                hits.append((Hit(key=one.stored.key, how=how, which=one.stored.which), word))
                _pass_on(clues, word, one.stored.key)
        todo = [one for one in todo if one.left and not one.solved]
    return hits, tried


def _pass_on(clues: Iterable[_Clues], word: str, key: Key) -> None:
    for other in clues:
        if not other.solved:
            other.add(word, f"the password of {label(*key)}")


def shared(stored: Iterable[Stored], hits: Iterable[tuple[Hit, str]]) -> tuple[tuple[Key, ...], ...]:
    """Groups of accounts that have one password: by equal verifiers, which without a salt (native,
    ed25519) or copied as a whole mean equal passwords, and by what was guessed.
    """
    groups: dict[object, dict[Key, None]] = {}
    for one in stored:
        if one.checkable and one.verifier is not None:
            groups.setdefault((one.verifier.kind, one.verifier.reveal()), {})[one.key] = None
    for hit, word in hits:
        groups.setdefault(word, {})[hit.key] = None
    return tuple(sorted({tuple(sorted(group, key=str)) for group in groups.values() if len(group) > 1}))


def _tried_or_plain(one: Stored) -> bool:
    plain = (VerifierKind.EMPTY, VerifierKind.EXTERNAL)
    return one.checkable or one.verifier is None or one.verifier.kind in plain


def _why(one: Stored) -> str:
    return str(one.verifier.kind) if one.verifier is not None else ""
