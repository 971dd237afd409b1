"""A look at a server, compared with the look before and the ledger, and recorded for the next one."""

from __future__ import annotations

import secrets
from datetime import datetime
from uuid import uuid4

import msgspec

from console.audit import effects
from console.audit.ledger import Ledger
from console.audit.record import Kind
from console.engine.port import Engine
from console.errors import DbdeckError
from console.model.effect_match import compare
from console.model.effects import Comparison
from console.model.verifiers import FINGERPRINT_KEY, KEY_BYTES, fingerprint_key
from console.secret_store import SecretStore
from console.secrets import Secret


async def compare_server(
    engine: Engine, ledger: Ledger, store: SecretStore | None, since: datetime | None = None
) -> Comparison:
    """What changed since the last recorded look, or since the last one that was recorded by `since`.

    Raises an Unreachable error, AuditUnavailable, and PrivilegeMissing for a login that may only write to the
    ledger. What of the server may not be read is told in the comparison.
    """
    target, server = engine.target.name, (await engine.identity()).system_id
    before = await effects.kept_look(ledger, target, server, since)
    above = await effects.newest_row(ledger)
    key, lost = await _key(ledger, store)
    ahead = ledger.now
    seen = await engine.showing(key, before.look if before else None)
    deeds = await effects.deeds_since(ledger, server, before.above) if before else []
    found = compare(target, before.look if before else None, seen, deeds, ahead - seen.look.taken_at)
    notes = [*found.notes, *([lost] if lost else [])]
    if before is None and since is not None:
        notes.append(f"no look at this server was recorded by {since:%Y-%m-%d %H:%M:%S} UTC")
    found = msgspec.structs.replace(found, notes=tuple(notes))
    number = uuid4()
    await ledger.append(Kind.NOTE, number, effects.found_note(found))
    await ledger.append(Kind.NOTE, number, effects.look_note(target, seen.look, above))
    return found


async def _key(ledger: Ledger, store: SecretStore | None) -> tuple[bytes | None, str]:
    """The key of fingerprints, made where there is none, or why there is none."""
    blind = "passwords and settings that are texts are not compared: "
    if store is None:
        return None, f"{blind}there is no keyring with the key of fingerprints"
    try:
        kept = await store.get(FINGERPRINT_KEY)
        if kept is None:
            await store.canary()  # one that takes nothing is told before anything is recorded
            text = f"store {FINGERPRINT_KEY} in {store.name} where there is none: the key of fingerprints"
            await ledger.append(Kind.NOTE, uuid4(), {"text": text})
            kept = await store.claim(FINGERPRINT_KEY, Secret(secrets.token_hex(KEY_BYTES)))
    except DbdeckError as error:
        return None, f"{blind}{error.message}{f'; {error.hint}' if error.hint else ''}"
    key = None if kept is None else fingerprint_key(kept)
    return key, "" if key is not None else f"{blind}{FINGERPRINT_KEY} of {store.name} is no key"
