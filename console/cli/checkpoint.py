"""`audit keygen|checkpoint|prove`, and the anchors that `audit verify` compares the ledger with."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from console.audit import anchors, checkpoint
from console.audit.checkpoint import Checkpoint, Signed
from console.audit.verify import Fault
from console.cli import output
from console.cli.context import Services, ledger
from console.errors import (
    AuditUnavailable,
    ConfigError,
    DbdeckError,
    Exit,
    LedgerFault,
    PrivilegeMissing,
    SecretsUnavailable,
    UsageError,
)
from console.new_file import write_new
from console.present import audit as words
from console.present.table import Tone
from console.present.units import clean, counted
from console.secrets import resolve

if TYPE_CHECKING:
    from console.config import Config

_TOLD = 5  # lines of an anchor that are none


def keygen(name: str) -> int:
    """A new signing key, 0600, never over another file."""
    private, public = checkpoint.new_key()
    path = Path(name).expanduser().resolve()  # the lines that follow are for a config, wherever that is read
    write_new(path, private.reveal() + "\n")
    output.line(f"the signing key is in {path}; who acts should not be able to read it", Tone.GOOD)
    output.line("in the config of who makes checkpoints:")
    output.line(f"  audit:\n    checkpoints:\n      key: file:{path}")
    output.line("in the config of everybody who verifies:")
    output.line(f"  audit:\n    checkpoints:\n      trusted: [{public}]")
    return Exit.OK


async def make(services: Services, as_json: bool) -> int:
    """A signed checkpoint of the ledger, and a copy in every anchor. 8 where an anchor did not take it."""
    from console.cli.unlock import unlock

    config = services.config()
    known = config.audit.checkpoints
    if known.key is None:
        raise ConfigError(
            "the config has no audit.checkpoints.key; no checkpoint was made",
            "make one with `dbdeck audit keygen FILE`",
        )
    await unlock(known.key)
    await unlock_anchors(config)
    async with ledger(config, write=True) as opened:
        private = resolve(known.key)
        keys = (checkpoint.public_of(private), *known.trusted)
        points, _ = await anchored(config, opened.id, keys)  # its faults are verify's to count
        signed = await opened.checkpoint(private, known.trusted, points)
    kept, failed = await _anchored(config, signed)
    if as_json:
        output.document(words.checkpoint(signed, kept, failed))
    else:
        output.line(words.checkpoint_line(signed), Tone.GOOD)
        for name in kept:
            output.line(f"  kept by {name}", Tone.GOOD)
    for name, error in failed.items():
        output.complaint(
            DbdeckError(f"{name}: {error.message}", error.hint) if name not in error.message else error
        )
    if not known.anchors:
        output.note("no anchor is configured: who owns the ledger's server can still take this one away too")
    return Exit.PARTIAL if failed else Exit.OK


async def _anchored(config: Config, signed: Signed) -> tuple[list[str], dict[str, DbdeckError]]:
    kept: list[str] = []
    failed: dict[str, DbdeckError] = {}
    for one in config.audit.checkpoints.anchors:
        try:
            told = await anchors.keep(one, signed, config.journal, resolve)
            kept.append(one.name)
            if told:
                output.note(f"dbdeck: {told}")
        except DbdeckError as error:
            failed[one.name] = error
    return kept, failed


async def unlock_anchors(config: Config) -> None:
    """Before a ledger is open, which does not wait for a person. That a password cannot be had is told of the
    anchor which needs it: the others are compared, and get their copies, without.
    """
    from console.cli.unlock import unlock

    with contextlib.suppress(UsageError, SecretsUnavailable):
        await unlock(*(one.password for one in config.audit.checkpoints.anchors))


async def anchored(
    config: Config, own: UUID, trusted: Collection[str]
) -> tuple[dict[bytes, Checkpoint], tuple[Fault, ...]]:
    """What the anchors of the config hold of it; one that cannot be read is told, and proves nothing. A line
    that is no checkpoint is a fault, and the others are compared all the same.
    """
    found: list[Signed] = []
    faults: list[Fault] = []
    read = False
    for one in config.audit.checkpoints.anchors:
        try:
            if one.file is None:
                found += await anchors.kept(one, config.journal, resolve)
                read |= one.ledger is not None  # a syslog cannot be asked
                continue
            sifted = await anchors.sift(one)
        except (AuditUnavailable, PrivilegeMissing, LedgerFault) as error:
            output.note(f"dbdeck: {clean(error.message)}: not compared with it")
            continue
        except (UsageError, SecretsUnavailable) as error:  # its password
            output.note(f"dbdeck: {one.name}: {clean(error.message)}: not compared with it")
            continue
        read = True
        found += sifted.sound
        faults += [Fault(None, None, None, "anchor") for _ in sifted.junk]
        for bad in (*sifted.torn[:_TOLD], *(one.message for one in sifted.junk[:_TOLD])):
            output.note(f"dbdeck: {bad}")
    if read and not found:
        output.note("dbdeck: the anchors hold no checkpoint: nothing was compared with them")
    return _of(own, found, trusted), tuple(faults)


def _of(own: UUID, found: list[Signed], trusted: Collection[str]) -> dict[bytes, Checkpoint]:
    """Those of one ledger, and what else the anchors hold: a ledger that was made anew has another id, and
    what nobody trusted signed proves nothing.
    """
    points = anchors.points_of(found, own, trusted)
    strange = sum(not anchors.is_trusted(one, trusted) and anchors.is_of(one, own) for one in found)
    if strange:
        output.note(
            f"dbdeck: no trusted key signed {counted(strange, 'checkpoint')} of this ledger in the anchors: "
            "not compared with them"
        )
    if not points and (theirs := anchors.points_of(found, None, trusted)):
        names = ", ".join(sorted({str(point.ledger) for point in theirs.values()}))
        output.note(
            f"dbdeck: the anchors hold checkpoints of {names} and none of this ledger, {own}: it has had none"
            " yet, or it was made anew in place of one of them"
        )
    return points


def given(files: Iterable[str], trusted: Collection[str], own: UUID | None = None) -> dict[bytes, Checkpoint]:
    """What files hold that were named on the command line; of the ledger `own`, where it is known."""
    try:
        sifted = [anchors.sift_file(name) for name in files]
    except AuditUnavailable as error:
        raise UsageError(error.message, error.hint) from None
    for bad in (bad for one in sifted for bad in one.junk):
        raise bad
    for torn in (torn for one in sifted for torn in one.torn[:_TOLD]):
        output.note(f"dbdeck: {torn}")
    found = [signed for one in sifted for signed in one.sound]
    if own is not None:
        return _of(own, found, trusted)
    points = anchors.points_of(found, None, trusted)
    if len({point.ledger for point in points.values()}) > 1:
        raise UsageError("the anchors hold checkpoints of several ledgers; give those of one")
    return points


async def prove(services: Services, action: str, name: str) -> int:
    """A bundle for an auditor: the action's rows, and how they are in a signed checkpoint."""
    from console.audit.proof import bundle
    from console.audit.proof import prove as proof_of

    try:
        wanted = UUID(action)
    except ValueError:
        raise UsageError(f"{action!r} is no action id", "`dbdeck audit list --json` shows them") from None
    if name == "-":
        raise UsageError("a proof is a zip file, which no terminal reads", "name it: -o proof.zip")
    config = services.config()
    async with ledger(config, write=False) as opened:
        rows = [row async for row in opened.stream()]
    found = proof_of(rows, wanted, config.audit.checkpoints.trusted)
    write_new(name, bundle(found))
    points = counted(len(found["checkpoints"]), "checkpoint")
    output.note(f"{counted(len(found['rows']), 'row')}, {points}: written to {name}")
    return Exit.OK
