"""A ledger in memory that seals rows as a server does, and may also forge them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from console.audit import chain
from console.audit.record import Entry, Kind, Receipt, Row, canonical_json

_START = datetime(2026, 1, 1, tzinfo=UTC)


def row(head: chain.Head, writer: UUID, body: str = "{}", **over: Any) -> Row:
    made = Row(
        writer=writer,
        seq=head.seq + 1,
        kind=over.get("kind", Kind.NOTE.value),
        action_id=over.get("action_id", writer),
        parent=over.get("parent"),
        idempotency_key=over.get("idempotency_key"),
        body=body,
        body_hash=chain.body_hash(body),
        prev=head.link,
        link=b"",
    )
    return msgspec.structs.replace(made, link=chain.link(made))


def entry(of: Row, number: int, witness: bytes, **over: Any) -> Entry:
    at = over.get("at", _START + timedelta(seconds=number))
    user, peer = over.get("db_user", "dba"), over.get("peer", "10.0.0.1")
    return Entry(
        **{name: getattr(of, name) for name in of.__struct_fields__},
        id=number,
        at=at,
        witness=witness,
        db_user=user,
        peer=peer,
        seal=chain.seal(of.link, witness, at, user, peer),
    )


class Forge:
    """`entries` in the order of their ids; every row is acknowledged in `receipts`."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.receipts: list[Receipt] = []
        self._heads: dict[UUID, chain.Head] = {}

    def append(self, writer: UUID, body: Mapping[str, object] | None = None, **over: Any) -> Entry:
        head = self._heads.get(writer, chain.Head(0, chain.START))
        made = row(head, writer, canonical_json(body or {}), **over)
        self._heads[writer] = chain.Head(made.seq, made.link)
        witness = over.get("witness", self.entries[-1].seal if self.entries else chain.START)
        at = {"at": over["at"]} if "at" in over else {}
        done = entry(made, len(self.entries) + 1, witness, **at)
        self.entries.append(done)
        self.receipts.append(
            Receipt(writer=writer, seq=done.seq, link=done.link, recorded=True, seal=done.seal)
        )
        return done

    def action(self, writer: UUID, status: str | None = "applied") -> UUID:
        """An intent, and its outcome unless there is none."""
        action = uuid4()
        self.append(writer, {"action": "session.terminate"}, kind="intent", action_id=action)
        if status is not None:
            self.append(writer, {"status": status}, kind="outcome", action_id=action)
        return action


def resealed(entries: list[Entry]) -> list[Entry]:
    """The same rows with every hash made anew: what a forger with all rights can do."""
    heads: dict[UUID, chain.Head] = {}
    done: list[Entry] = []
    for old in entries:
        head = heads.get(old.writer, chain.Head(0, chain.START))
        fields = {name: getattr(old, name) for name in ("kind", "action_id", "parent", "idempotency_key")}
        made = row(head, old.writer, old.body or "{}", **fields)
        heads[old.writer] = chain.Head(made.seq, made.link)
        witness = done[-1].seal if done else chain.START
        done.append(entry(made, old.id, witness, at=old.at, db_user=old.db_user, peer=old.peer))
    return done
