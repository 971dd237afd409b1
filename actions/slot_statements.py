"""The statements that end a slot's reader and drop the slot: the server checks both in the same statement."""

from __future__ import annotations

from console.engine.port import Statement
from console.engine.queries import shown
from console.model.replication import Slot
from console.model.sessions import Session

# pg_get_replication_slots() and pg_stat_get_activity() stand below the views, and read no catalog.
# It comes back as another process, so it is told by its role, its name (that of many standbys) and its host.
_READER = """
SELECT pg_terminate_backend(a.pid) AS sent
  FROM pg_get_replication_slots() AS s
 CROSS JOIN LATERAL pg_stat_get_activity(s.active_pid) AS a
 WHERE s.slot_name = $1 AND s.active_pid IS NOT NULL AND a.backend_type = 'walsender'
   AND pg_get_userbyid(a.usesysid) = $2 AND coalesce(a.application_name, '') = $3
   AND coalesce(CASE WHEN a.client_port = -1 THEN 'local' ELSE host(a.client_addr) END, '') = $4
"""
_DROP = """
SELECT s.active_pid IS NOT NULL AS active,
       CASE WHEN s.active_pid IS NULL AND {same} THEN pg_drop_replication_slot(s.slot_name)::text END
         IS NOT NULL AS dropped
  FROM pg_get_replication_slots() AS s
 WHERE s.slot_name = $1 AND s.slot_type = $2
"""


def end_reader(slot: Slot, reader: Session) -> Statement:
    """The walsender that this consumer has by then, if it reads from this slot."""
    return _statement(_READER, (slot.name, reader.user or "", reader.application or "", reader.client or ""))


def drop(slot: Slot, *, idle: bool) -> Statement:
    """Only while nobody reads from it; one that was `idle` only if it did not move since it was seen.

    Gives (active, dropped); no row where there is no such slot any more.
    """
    moved = idle and slot.restart_lsn is not None
    same = "s.restart_lsn = $3::text::pg_lsn" if moved else "true"
    args = (slot.name, slot.kind, *((slot.restart_lsn,) if moved else ()))
    return _statement(_DROP.format(same=same), args, slot.database or "")


def _statement(sql: str, args: tuple[object, ...], database: str = "") -> Statement:
    return Statement(sql=sql, args=args, shown=shown(sql, args), database=database)
