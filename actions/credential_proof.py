"""Whether an account was rotated, by what the store holds and what the server takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from actions import propagating, rotating
from actions.credential_aims import Aim
from actions.words import counted
from console.dispatch.action import Verdict
from console.engine.port import Engine
from console.errors import DbdeckError
from console.model.probe import Answer, Probe
from console.model.verifiers import matches
from console.secret_store import SecretStore
from console.secrets import Entry


async def seen(aim: Aim, engine: Engine, store: SecretStore, evidence: Mapping[str, Any]) -> tuple[str, str]:
    """(state, sentence) of one account with its hooks: done | half | not done | unknown."""
    state, text = await _password_seen(aim, engine, store)
    if state != "done" or not aim.hooks:
        return state, text
    found = await propagating.outcomes(aim, engine, store, evidence)
    if propagating.failed(found):
        return "half", f"{text}; {propagating.complaint(found)}"
    return state, f"{text}; {counted(len(found), 'hook')} done"


async def _password_seen(aim: Aim, engine: Engine, store: SecretStore) -> tuple[str, str]:
    current, pending, _ = await rotating.entries(store, aim.entry)
    ours = current is not None and current.rotation == aim.rotation
    if pending is None and not ours:
        return "not done", f"{aim.label}: no secret of this rotation is kept"
    looked = current if pending is None else pending
    seen = await rotating.probe_entry(engine, aim, looked)
    foreign = rotating.misled(aim, seen, (looked.user if looked else "") or aim.user)
    if seen.answer is Answer.UNKNOWN or foreign:
        return "unknown", f"{aim.label}: {foreign or seen.why}"
    if aim.unverified and seen.answer is Answer.ACCEPTED:
        return await _by_verifier(aim, engine, looked, pending is None)
    if pending is None:
        return _promoted(aim, seen)
    if seen.answer is Answer.ACCEPTED:
        return "half", f"{aim.label}: the server takes the new password, which is still kept as pending"
    return await _not_taken(aim, engine, current)


def _promoted(aim: Aim, seen: Probe) -> tuple[str, str]:
    if seen.answer is Answer.ACCEPTED:
        return "done", f"{aim.label}: its new password logs in"
    return "unknown", f"{aim.label}: the stored password is not accepted: {seen.why}"


async def _not_taken(aim: Aim, engine: Engine, current: Entry | None) -> tuple[str, str]:
    """The server refuses the pending password."""
    old = await rotating.probe_entry(engine, aim, current)
    if old.answer is Answer.ACCEPTED or current is None:
        return "not done", f"{aim.label}: the server takes the old password; a pending one is kept"
    return "unknown", f"{aim.label}: the server takes neither the pending nor the stored password"


async def _by_verifier(aim: Aim, engine: Engine, looked: Entry | None, promoted: bool) -> tuple[str, str]:
    """Where a login proves nothing: whether the server stores a verifier of this password."""
    anybody = f"{aim.label}: the server lets anybody in, so that a login proves nothing"
    try:
        stored = [one.verifier for one in await engine.verifiers() if one.key in aim.keys]
    except DbdeckError as error:
        return "unknown", f"{anybody}, and its verifier cannot be read: {error.message} {error.hint}".rstrip()
    kept = [one for one in stored if one is not None and one.kind.checkable]
    if looked is not None and any(matches(one, looked.password) for one in kept):
        return ("done" if promoted else "half"), f"{anybody}; it stores a verifier of the new password"
    return "unknown" if promoted else "not done", f"{anybody}; it stores no verifier of the new password"


def verdict(seen: Sequence[tuple[str, str]], left_out: str = "") -> Verdict:
    """`left_out` says who should have been rotated and was not even begun: then it is partial at best."""
    states = [*(state for state, _ in seen), *(["left out"] if left_out else [])]
    told = "; ".join(filter(None, [*(text for _, text in seen), left_out]))
    summary = told or "there was nothing to do"
    if "unknown" in states:
        return Verdict(state="undecidable", summary=summary)
    if all(state == "done" for state in states):
        return Verdict(state="applied", summary=summary)
    if all(state in ("not done", "left out") for state in states):
        return Verdict(state="not_applied", summary=summary)
    return Verdict(state="partial", summary=summary)
