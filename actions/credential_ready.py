"""The last look before a rotation's intent: what could not be proved afterwards is refused now."""

from __future__ import annotations

import secrets

from actions import rotating
from actions.credential_aims import Aim
from console.audit.mounts import refuse_memory
from console.engine.port import Engine
from console.errors import Refused
from console.model.probe import Answer
from console.secret_store import SecretStore
from console.secrets import Entry, Secret


def refuse_volatile(store: SecretStore) -> None:
    """A pending password that a reboot takes away would be on the server alone."""
    if store.folder is None:
        return
    try:
        refuse_memory(store.folder)
    except OSError as error:
        raise Refused(
            f"{store.name} would not outlive a reboot: {error.strerror}; nothing was executed",
            "write keyring.vault: a path on a real disk",
        ) from None


async def ready(aim: Aim, engine: Engine, store: SecretStore, *, unverified: bool) -> bool:
    """Whether the stored password was accepted. Raises Refused where nothing could be proved afterwards."""
    current, pending, _ = await rotating.entries(store, aim.entry)
    if pending is not None:
        # The moves ask for themselves; but a server that takes any password would answer yes to all of them.
        if aim.control:
            await _controlled(aim, engine, unverified=unverified)
        return False
    if current is None and (aim.keeps_old or aim.own):
        why = "to stay valid, the old password has" if aim.keeps_old else "to change itself, its password has"
        raise Refused(
            f"{aim.label}: {why} to be known, and {aim.entry} is not in {store.name}; nothing was executed",
            f"`dbdeck secret set {aim.entry}`{', or overlap=false' if aim.keeps_old else ''}",
        )
    if current is not None:
        await _accepted(aim, engine, store, current)
    if aim.control:
        await _controlled(aim, engine, unverified=unverified)
    return current is not None


async def _accepted(aim: Aim, engine: Engine, store: SecretStore, current: Entry) -> None:
    user = current.user or aim.pair or aim.user
    seen = await engine.probe(user, current.password)
    if seen.answer is Answer.REJECTED:
        raise Refused(
            f"{aim.label}: the server does not take the password of {aim.entry}: {seen.why}; it was changed "
            "by somebody else, or belongs to another account; nothing was executed",
            f"`dbdeck secret set {aim.entry}` with the right one, or `dbdeck secret remove {aim.entry}`",
        )
    foreign = rotating.misled(aim, seen, user)
    if seen.answer is Answer.UNKNOWN or foreign:
        raise Refused(
            f"{aim.label}: a new password could not be proved here: {foreign or seen.why}; "
            "nothing was executed",
            f"log in as {user} from this machine must be possible ({store.name} has its password)",
        )


async def _controlled(aim: Aim, engine: Engine, *, unverified: bool) -> None:
    """The one wrong password of a rotation: a server that takes it proves nothing with the right one."""
    seen = await engine.probe(aim.user, Secret(secrets.token_urlsafe(24)))
    if seen.answer is Answer.REJECTED or unverified:
        return
    if seen.answer is Answer.ACCEPTED:
        raise Refused(
            f"{aim.label}: the server lets anybody in from here whatever the password (trust, or an account "
            "without one), so that a new one could not be proved; nothing was executed",
            "mend pg_hba.conf or the account; unverified=true goes on and says that it is not proved",
        )
    raise Refused(f"{aim.label}: a login could not be tried: {seen.why}; nothing was executed")
