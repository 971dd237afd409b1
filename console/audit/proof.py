"""A proof of some rows: each with its way to the root of a signed checkpoint, for who has no ledger at hand.

What checks it is `proof_verifier.py`, which goes into the bundle as it is and needs only Python.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterable, Mapping
from importlib.resources import files
from io import BytesIO
from operator import attrgetter
from typing import Any
from uuid import UUID

import msgspec

from console.audit import merkle
from console.audit.chain import START, Head
from console.audit.checkpoint import Checkpoint, Signed, is_genuine, parse
from console.audit.marks import is_own, signed_of
from console.audit.record import Entry, canonical_json, encode
from console.errors import LedgerFault, UsageError

README = """This bundle proves that rows stood in an audit ledger of dbdeck when a checkpoint was signed.

    python3 verify.py proof.json --key PUBLIC_KEY

verify.py needs Python 3.8 or later and nothing else. Take the public key, and better also verify.py, from
somebody you trust and not from this bundle.
"""


def prove(rows: Iterable[Entry], action: UUID, trusted: Collection[str]) -> dict[str, Any]:
    """The rows of an action, or of a run and all that belongs to it. `rows` is the whole ledger.

    Raises UsageError where there are none, or where no checkpoint covers one of them yet.
    """
    ordered = sorted(rows, key=attrgetter("id"))
    wanted = [row for row in ordered if action in (row.action_id, row.parent)]
    if not wanted:
        raise UsageError(f"the ledger has no action {action}")
    segments = list(_segments(ordered, trusted))
    used: dict[int, int] = {}
    proved = []
    for row in wanted:
        found = next((i for i, one in enumerate(segments) if one.place(row) is not None), None)
        if found is None:
            raise UsageError(
                f"no signed checkpoint covers row {row.id} yet; nothing was written",
                "`dbdeck audit checkpoint` makes one",
            )
        number = used.setdefault(found, len(used))
        proved.append({"row": encode(row), "checkpoint": number, "path": segments[found].path(row)})
    signed = [msgspec.to_builtins(segments[i].signed) for i in used]
    return {"proof": "dbdeck/1", "action": str(action), "checkpoints": signed, "rows": proved}


def bundle(proof: Mapping[str, Any]) -> bytes:
    """A zip: the proof, what checks it, and how."""
    verifier = files("console.audit").joinpath("proof_verifier.py").read_text(encoding="utf-8")
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", README)
        archive.writestr("proof.json", canonical_json(proof) + "\n")
        archive.writestr("verify.py", verifier)
    return made.getvalue()


class _Segment:
    """The rows that one checkpoint covers and the one before it does not."""

    def __init__(self, signed: Signed, point: Checkpoint, seals: Mapping[tuple[UUID, int], bytes],
                 before: Mapping[UUID, Head]) -> None:  # fmt: skip
        self.signed = signed
        self._places: dict[tuple[UUID, int], int] = {}
        self._leaves: list[bytes] = []
        for writer in sorted(point.heads, key=str):
            for seq in range(before.get(writer, Head(0, START)).seq + 1, point.heads[writer].seq + 1):
                self._places[writer, seq] = len(self._leaves)
                self._leaves.append(seals.get((writer, seq), b""))

    def place(self, row: Entry) -> int | None:
        return self._places.get((row.writer, row.seq))

    def path(self, row: Entry) -> list[list[object]]:
        way = merkle.path(self._leaves, self._places[row.writer, row.seq])
        return [[one.left, one.hash.hex()] for one in way]


def _segments(rows: Iterable[Entry], trusted: Collection[str]) -> Iterable[_Segment]:
    seals: dict[tuple[UUID, int], bytes] = {}
    heads: dict[bytes, dict[UUID, Head]] = {b"": {}}
    for row in rows:
        seals[row.writer, row.seq] = row.seal
        signed = signed_of(row) if is_own(row) else None
        if signed is None or (trusted and signed.key not in trusted) or not is_genuine(signed):
            continue
        try:
            point = parse(signed.text)
        except LedgerFault:
            continue
        before = heads.get(point.previous)
        if before is None:
            continue
        heads[signed.digest] = {**before, **point.heads}
        yield _Segment(signed, point, seals, before)
