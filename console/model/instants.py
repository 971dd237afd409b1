"""Times as servers and people write them."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(text: str) -> datetime | None:
    """A timestamp in ISO 8601, or as PostgreSQL and MySQL print it; UTC where no zone is told. None for
    what is none.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
