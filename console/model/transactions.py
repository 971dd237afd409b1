"""Open transactions: what each holds, blocks and pins, prepared ones included."""

from __future__ import annotations

import msgspec

from console.model.sessions import Session


class OpenTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that is open now. None is "not known here", never "none".

    `number` is its xid (PostgreSQL; None until it writes) or InnoDB's trx_id. `pins` is how many
    transactions began since the oldest snapshot or xid it keeps alive (PostgreSQL). `statements` are the
    last ones of the session, newest first. `locks` counts its entries in the lock table, `rows_locked`
    is InnoDB's own estimate. `resolve` is the statement that ends a prepared one. `blocks` counts
    everyone who waits on it, directly or through others.
    """

    session: Session
    number: str | None = None
    isolation: str | None = None
    statements: tuple[str, ...] = ()
    rows_modified: int | None = None
    rows_locked: int | None = None
    locks: int | None = None
    objects: tuple[str, ...] = ()
    blocks: int | None = None
    pins: int | None = None
    resolve: str | None = None

    @property
    def prepared(self) -> bool:
        return self.session.prepared is not None or self.resolve is not None


def oldest_first(transactions: tuple[OpenTransaction, ...]) -> tuple[OpenTransaction, ...]:
    return tuple(sorted(transactions, key=lambda one: -(one.session.transaction_seconds or 0.0)))
