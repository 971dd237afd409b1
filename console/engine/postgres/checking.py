"""What of tables can be looked at for damage: from catalogs."""

from __future__ import annotations

from collections.abc import Sequence

from console.engine.postgres.link import Link
from console.model.checking import Checked, CheckSite


async def check_site(link: Link, tables: Sequence[tuple[str, str]]) -> CheckSite:
    schemas, names = [one[0] for one in tables], [one[1] for one in tables]
    rows = await link.fetch("check_site", "what can be looked at", schemas, names)
    return CheckSite(
        extension=rows[0]["extension"] or "",
        checksums=rows[0]["checksums"],
        relations=tuple(
            Checked(
                schema=row["schema"],
                table=row["table"],
                relation_schema=row["relation_schema"],
                name=row["name"],
                number=row["number"],
                index=row["index"],
                toast=row["toast"],
                method=row["method"],
                bytes=row["bytes"],
            )
            for row in rows
            if row["number"] is not None
        ),
    )
