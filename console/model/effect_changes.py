"""Two looks at a server -> what differs, each once. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from console.model.effects import HIDDEN, KEYED, LOG, Change, How, Look, plain

_RENAMED = ("invalid index", "index")  # one that becomes valid, or the other way round, is one change
_ACCOUNTS = ("role", "user")
_OWNED = ("membership", "grant", "default privilege", "setting", "password")
_ON = re.compile(r" on (\S.*)$", re.DOTALL)


def compared_kinds(before: Look, now: Look) -> tuple[str, ...]:
    """Those that both looks have seen."""
    kinds = {*before.marks, *now.marks} - {*before.unseen, *now.unseen}
    return tuple(sorted(kinds))


def blind_spots(before: Look, now: Look) -> tuple[str, ...]:
    """What cannot be compared though this look has seen it, in sentences."""
    said = [
        f"{kind}: the look before had not seen it ({why})"
        for kind, why in before.unseen.items()
        if kind not in now.unseen and kind != LOG
    ]
    said += [f"{kind}: some are hidden from this login: {why}" for kind, why in now.partial.items()]
    said += [
        f"{kind}: the look before saw another part of it, so what was made and dropped is not known"
        for kind in sorted({*before.partial} ^ {*now.partial})
        if kind not in {*before.unseen, *now.unseen}
    ]
    if before.key != now.key and _any_keyed(before) and _any_keyed(now):
        said.append(
            "passwords and values of settings that are texts: the key of fingerprints is another one by now"
        )
    return tuple(said)


def _any_keyed(look: Look) -> bool:
    return any(mark.startswith(KEYED) for marks in look.marks.values() for mark in marks.values())


def changes(before: Look, now: Look) -> tuple[Change, ...]:
    """In the order of kinds and names. What an account that came or went took along is told with it."""
    found: list[Change] = []
    for kind in compared_kinds(before, now):
        whole = (kind in before.partial) == (kind in now.partial)
        same_key = before.key == now.key
        had, has = before.marks.get(kind, {}), now.marks.get(kind, {})
        found += _of_kind(kind, had, has, whole=whole, same_key=same_key)
    return _folded(_joined(found))


def _of_kind(
    kind: str, had: Mapping[str, str], has: Mapping[str, str], *, whole: bool, same_key: bool
) -> Iterator[Change]:
    for name in sorted({*had, *has}):
        before, after = had.get(name), has.get(name)
        if before is None or after is None:
            if whole and HIDDEN not in (before, after):
                how = How.MADE if before is None else How.DROPPED
                yield Change(kind=kind, name=name, how=how, before=before or "", after=after or "")
        elif _differ(before, after, same_key=same_key):
            yield Change(kind=kind, name=name, how=How.CHANGED, before=before, after=after)


def _differ(before: str, after: str, *, same_key: bool) -> bool:
    """A mark that hides what it is, or was made with another key, tells nothing."""
    if HIDDEN in (before[:1], after[:1]):
        return False
    if KEYED in (before[:1], after[:1]) and not same_key:
        return False
    return before != after


def _joined(found: Iterable[Change]) -> list[Change]:
    """An index that became valid is neither made nor dropped."""
    by_name: dict[str, list[Change]] = {}
    rest: list[Change] = []
    for one in found:
        (by_name.setdefault(one.name, []) if one.kind in _RENAMED else rest).append(one)
    for name, same in by_name.items():
        hows = {one.how: one for one in same}
        if len(same) == 2 and {How.MADE, How.DROPPED} == set(hows):
            rest.append(_valid(name, hows[How.DROPPED], hows[How.MADE]))
        else:
            rest += same
    return sorted(rest, key=lambda one: (one.kind, one.name))


def _valid(name: str, gone: Change, made: Change) -> Change:
    words = {"index": "=valid", "invalid index": "=invalid"}
    table = table_of(made.after)
    on = f" on {table}" if table else ""
    return Change(
        kind="index", name=name, how=How.CHANGED, before=words[gone.kind] + on, after=words[made.kind] + on
    )


def _folded(found: Iterable[Change]) -> tuple[Change, ...]:
    """What belongs to an account that came or went goes with it; so does its password where the account
    changed: that of one that may not log in is not seen.
    """
    found = list(found)
    accounts = {unquoted(one.name): place for place, one in enumerate(found) if one.kind in _ACCOUNTS}
    along: dict[int, list[str]] = {}
    kept = []
    for place, one in enumerate(found):
        owner = next((at for at in _owners(one, accounts) if _goes_with(one, found[at])), None)
        if owner is None:
            kept.append(place)
        else:
            words = f": {plain(one.after)}" if plain(one.after) else ""
            along.setdefault(owner, []).append(f"{one.kind} {one.name}{words}")
    return tuple(msgspec.structs.replace(found[place], with_it=tuple(along.get(place, ()))) for place in kept)


def _owners(one: Change, accounts: Mapping[str, int]) -> list[int]:
    return [accounts[who] for who in owners_of(one) if who in accounts] if one.kind in _OWNED else []


def _goes_with(one: Change, account: Change) -> bool:
    if account.how is How.CHANGED:
        return one.kind == "password" and one.how is not How.CHANGED
    return one.how is account.how


# ---- what names say -----------------------------------------------------------------------------------


def owners_of(change: Change) -> tuple[str, ...]:
    """The accounts that an object belongs to, by its name."""
    name = change.name
    if change.kind == "membership":
        member, _, group = name.partition(" in ")
        return unquoted(member), unquoted(group)
    if change.kind in ("grant", "default privilege"):
        return (unquoted(name.rpartition(" to ")[2]), *_role_of_default(name))
    if change.kind == "setting":
        scope = name.rpartition(": ")[0].removeprefix("role ")
        return (unquoted(scope.partition(" database ")[0]),) if name.startswith("role ") else ()
    return (unquoted(name),)


def _role_of_default(name: str) -> tuple[str, ...]:
    found = re.search(r"\bdefault of (.+?) for ", name)
    return (unquoted(found[1]),) if found else ()


def unquoted(name: str) -> str:
    if len(name) > 1 and name[0] == name[-1] == '"':
        return name[1:-1].replace('""', '"')
    return name


_PART = re.compile(r'"(?:[^"]|"")*"|`(?:[^`]|``)*`|[^.]+')


def parts(name: str) -> tuple[str, ...]:
    """`shop."Orders"` -> shop, Orders."""
    return tuple(
        unquoted(one.replace("`", '"') if one.startswith("`") else one) for one in _PART.findall(name)
    )


def table_of(mark: str) -> str:
    """The table of an index, as its mark has it behind the fingerprint."""
    found = _ON.search(mark)
    return found[1] if found else ""
