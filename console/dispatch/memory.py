"""What an action is planned by beside the server: the store, and what the ledger tells. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from console.audit.ledger import Ledger
from console.audit.record import Entry
from console.dispatch.history import Earlier, earlier, evidence
from console.engine.port import Engine
from console.errors import AuditUnavailable, DbdeckError
from console.secret_store import SecretStore

if TYPE_CHECKING:
    from console.model.accounts import Accounts


class Memory:
    """`store` None: there is no keyring here. Without a ledger what it would tell is unknown. `brief`: what a
    plan only tells, and is not judged by, is not searched for.
    """

    def __init__(
        self, store: SecretStore | None = None, ledger: Ledger | None = None, *, brief: bool = False
    ) -> None:
        self.store = store
        self._ledger = ledger
        self._brief = brief

    async def judge(self, engine: Engine, found: Accounts) -> Accounts:
        """As the Accounts view has them, looked at anew. Raises nothing: what is not seen is noted."""
        from console.dispatch.drift import Sentinel

        return await Sentinel(engine, self._rotations, self.store).judge(found, engine.target.rotation)

    async def handed(self, rotation: str) -> frozenset[str] | None:
        """What this rotation noted as handed on, by whichever of its runs; None where nobody can tell."""
        from console.audit.rotations import noted

        try:
            return await noted(self._ledger, rotation) if self._ledger is not None else None
        except DbdeckError:
            return None

    async def past(self, action: str, target: str) -> Sequence[dict[str, Any]]:
        """The evidence of the action's outcomes, the newest first; nothing where the ledger does not tell."""
        return await self.ends(action, target) or ()

    async def ends(
        self, action: str, target: str, *, settled: bool = False
    ) -> Sequence[dict[str, Any]] | None:
        """The evidence of the action's outcomes, the newest first; with that of who `settled` open ones.
        None where the ledger does not tell.
        """
        if self._ledger is None:
            return None
        try:
            return await evidence(self._ledger, action, target, settled=settled)
        except DbdeckError:
            return None

    async def earlier(
        self, action: str, target: str, pieces: Collection[str]
    ) -> Mapping[str, Sequence[Earlier]] | None:
        """By piece its runs that did something and whose intent has this text, the newest first, where there
        are any; None is unknown.
        """
        if self._ledger is None:
            return None
        if self._brief:
            return {}
        try:
            return await earlier(self._ledger, action, target, pieces)
        except DbdeckError:
            return None

    async def _rotations(self) -> Sequence[Entry]:
        if self._ledger is None:
            raise AuditUnavailable("the ledger could not be opened", "`dbdeck doctor` tells why")
        from console.audit.rotations import rotation_rows

        return await rotation_rows(self._ledger)
