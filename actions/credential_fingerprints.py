"""Fingerprints of the verifiers that a rotation set: by them it is seen later that somebody else set another.

They are in the outcome's evidence: `fingerprints` by account, null where none is known, `fingerprint_key`
that says which key they were made with, and the server's clock by account: `set_at` where this run told the
server the verifier, `same_since` where it was found there afterwards.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from actions import rotating
from actions.credential_aims import Aim
from console.dispatch.operator import Operator
from console.engine.port import Engine
from console.errors import DbdeckError
from console.model.accounts import label
from console.model.verifiers import (
    FINGERPRINT_KEY,
    KEY_BYTES,
    Verifier,
    fingerprint,
    fingerprint_key,
    key_id,
    matches,
)
from console.secret_store import SecretStore
from console.secrets import Entry, Secret

EVIDENCE = "fingerprints"
Found = dict[str, dict[str, str | None]]


async def key_for(operator: Operator) -> bytes | None:
    """The key of this store, made where there is none; None where its entry is none, which is left alone.

    Raises what the store raises, before anything was done to an account.
    """
    kept = await operator.secrets.get(FINGERPRINT_KEY)
    if kept is None:
        made = Secret(secrets.token_hex(KEY_BYTES))
        kept = await operator.claim(FINGERPRINT_KEY, made, "the key of fingerprints, made once")
    return None if kept is None else fingerprint_key(kept)


async def mark(aim: Aim, operator: Operator, key: bytes | None, sent: Verifier | None) -> None:
    """Put the fingerprints of an account that is done into the evidence. Raises nothing: it is done.

    With the key that is kept by now: where a keyring has no lock, another first rotation may have stored
    its own after ours, and what was stored last is what everybody compares with.
    """
    try:
        kept = await operator.secrets.get(FINGERPRINT_KEY)
    except DbdeckError:
        kept = None
    key = key if kept is None else fingerprint_key(kept)
    _add(operator.evidence, await _of(aim, operator.engine, operator.secrets, key, sent), key)


async def found(
    done: Sequence[Aim], engine: Engine, store: SecretStore, evidence: Mapping[str, Any]
) -> dict[str, Any]:
    """The evidence for accounts that were found done, where no run told of theirs."""
    told: dict[str, Any] = {}
    if not done or EVIDENCE in evidence:
        return told
    try:
        kept = await store.get(FINGERPRINT_KEY)
    except DbdeckError:
        return told
    key = None if kept is None else fingerprint_key(kept)
    for aim in done:
        _add(told, await _of(aim, engine, store, key, None), key)
    return told


def _add(evidence: dict[str, Any], more: Found, key: bytes | None) -> None:
    for name, values in more.items():
        if not values:
            continue
        evidence.setdefault(name, {}).update(values)
    if key is not None:
        evidence["fingerprint_key"] = key_id(key)


async def _of(
    aim: Aim, engine: Engine, store: SecretStore, key: bytes | None, sent: Verifier | None
) -> Found:
    labels = [label(*one) for one in aim.keys]
    current = await _current(aim, store)
    if key is None or aim.plaintext:
        return {EVIDENCE: dict.fromkeys(labels)}
    if sent is not None:
        seen, when = {one: fingerprint(key, sent) for one in labels}, "set_at"
    else:
        seen, when = await _read(aim, engine, key, current), "same_since"
    at = current.made_at.isoformat() if current is not None and current.made_at else None
    return {
        EVIDENCE: {one: seen.get(one) for one in labels},
        when: {one: at for one in labels if one in seen and at},
    }


async def _current(aim: Aim, store: SecretStore) -> Entry | None:
    try:
        return await rotating.entry(store, aim.entry)
    except DbdeckError:
        return None


async def _read(aim: Aim, engine: Engine, key: bytes, current: Entry | None) -> dict[str, str]:
    """Of the verifiers that the server keeps, as far as they may be read: those our password fits.

    What a dead run sent is known to nobody, and the server may have another one by now.
    """
    if current is None:
        return {}
    try:
        stored = await engine.verifiers()
    except DbdeckError:
        return {}
    return {
        label(*one.key): fingerprint(key, one.verifier)
        for one in stored
        if one.key in aim.keys and one.verifier is not None and not one.which
        if one.verifier.kind.checkable and matches(one.verifier, current.password)
    }
