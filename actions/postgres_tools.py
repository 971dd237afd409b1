"""Which programs of PostgreSQL restore a backup: by the version it is of, the nearest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from actions.restoring import Site
from console.backups import tools
from console.dispatch.scratch import embedded_binaries
from console.errors import ActionFailed, UsageError
from console.model.drills import Area, Check, Outcome


class Programs(NamedTuple):
    folder: Path
    major: int
    minor: int

    def program(self, name: str) -> str:
        return str(self.folder / name)


async def find(given: str | None, least: int | None, needed: Sequence[str], *, same: bool) -> Programs | None:
    """The folder whose programs are of major version `least` (None is any), or with `same` unset a newer one.

    `given` is the folder that the config names. A host that only takes backups has no server.
    """
    fits: list[Programs] = []
    for folder in _folders(least, given, same=same):
        if not all((folder / name).is_file() for name in needed):
            continue
        try:
            major, minor = await tools.version_of(folder / needed[0])
        except ActionFailed:
            continue
        if least in (None, major):
            return Programs(folder, major, minor)
        if not same and major > (least or 0):
            fits.append(Programs(folder, major, minor))
    return min(fits, key=lambda one: one.major, default=None)


def _folders(least: int | None, given: str | None, *, same: bool) -> Iterator[Path]:
    """Those named in the config first, then those of the version, then newer ones, then the wheel's."""
    seen = set()
    for folder in _candidates(least, given, same=same):
        if folder not in seen:
            seen.add(folder)
            yield folder


def _candidates(least: int | None, given: str | None, *, same: bool) -> Iterator[Path]:
    yield from tools.postgres_folders(least, given)
    if given:
        return
    if not same and least is not None:
        yield from tools.postgres_folders(None, None)
    try:
        yield embedded_binaries()
    except UsageError:
        return


def lacking(site: Site, least: int | None, needed: Sequence[str], *, same: bool) -> Check:
    """What there would have to be."""
    which = "PostgreSQL" if least is None else f"PostgreSQL {least}{'' if same else ' or newer'}"
    where = f"in {site.rule.binaries}" if site.rule.binaries else "on this machine"
    return Check(
        area=Area.GROUND,
        name="tools",
        outcome=Outcome.BROKEN,
        detail=f"no {which} with {', '.join(needed)} {where}: install it, or name its folder as `binaries`",
    )


def there(site: Site, found: Programs, needed: Sequence[str]) -> Check:
    site.tools |= dict.fromkeys(("postgres", *needed), f"{found.major}.{found.minor}")
    return Check(
        area=Area.GROUND,
        name="tools",
        outcome=Outcome.PASSED,
        detail=f"PostgreSQL {found.major}.{found.minor} in {found.folder}",
    )
