"""What is sound in a restored MySQL or MariaDB."""

from __future__ import annotations

from actions.restoring import Restored, Site
from console.dispatch.enclosure import Enclosure
from console.model.drills import Check


async def soundness(site: Site, enclosure: Enclosure, restored: Restored) -> list[Check]:  # noqa: ARG001
    return []
