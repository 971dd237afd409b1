"""A compositor that renders the lines an update touches, where Textual's renders every widget whole.

Textual 8's `Compositor._get_renders` asks each visible widget for all of its lines, whatever was refreshed;
an update of two places also asks for all that is between them; and the boxes in which others stand are
rendered for nobody to see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from inspect import signature

from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip

Render = tuple[Region, Region, list[Strip]]


def supported() -> bool:
    """Whether Textual's private parts still look as they did when this was written."""
    wanted = {"_get_renders": ["self", "crop"], "_render_chops": ["self", "crop", "is_rendered_line"]}
    found = {name: getattr(Compositor, name, None) for name in wanted}
    return all(
        one and list(signature(one).parameters) == wanted[name] for name, one in found.items()
    ) and all(hasattr(Compositor, name) for name in ("_regions_to_spans", "cuts", "visible_widgets"))


def sharpen(screen: Screen[object]) -> None:
    """Have a screen composed by lines from now on."""
    compositor = screen._compositor  # noqa: SLF001 - Textual offers no way to give it one
    if type(compositor) is Compositor and not getattr(compositor, "strange", False):
        compositor.__class__ = LineCompositor


class LineCompositor(Compositor):
    """Textual's, with less to render. `strange`: it was not as we know it, and is left to itself."""

    strange = False

    def render_partial_update(self) -> ChopsUpdate | None:
        """Each band of lines by itself; where Textual is not as we know it, its own way."""
        regions = self._dirty_regions.copy()
        try:
            update = self._by_bands(regions)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            self.strange = True
            self.__class__ = Compositor  # type: ignore[assignment]
            return self.render_partial_update()
        self._dirty_regions.clear()
        return update

    def _by_bands(self, regions: set[Region]) -> ChopsUpdate | None:
        if not regions:
            return None
        spans = list(self._regions_to_spans(regions))
        chops = [dict[int, Strip | None]() for _ in self.cuts]
        for band in bands(regions):
            crop = band.intersection(self.size.region)
            lines = {y for y, _, _ in spans if crop.y <= y < crop.bottom}
            drawn = self._render_chops(crop, lines.__contains__)
            for y in lines:
                chops[y] = dict(drawn[y])
        return ChopsUpdate(chops, spans, [cuts[1:] for cuts in self.cuts])

    def _get_renders(self, crop: Region | None = None) -> Iterable[Render]:
        if crop and not self.strange:
            try:
                return list(self._cropped(crop))
            except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                self.strange = True  # or a widget of ours is, which Textual's own way then tells
        return super()._get_renders(crop)

    def _cropped(self, crop: Region) -> Iterator[Render]:
        cover = Cover()
        for widget, (region, clip) in self.visible_widgets.items():  # the foremost first
            seen = region.intersection(clip)
            if seen and seen.overlaps(crop):
                top, bottom = max(seen.y, crop.y), min(seen.bottom, crop.bottom)
                part = Region(seen.x, top, seen.width, bottom - top)
                if not cover.hides(part.intersection(crop)):  # nothing else is asked for
                    strips = widget.render_lines(part.translate(-region.offset))
                    cover.add(part, strips)
                    yield part, part, strips


class Cover:
    """What is painted already: of each line the longest stretch without a gap that was found."""

    def __init__(self) -> None:
        self._stretches: dict[int, tuple[int, int]] = {}

    def hides(self, part: Region) -> bool:
        """Whether nothing of a region is to be seen any more."""
        stretch = self._stretches.get
        for y in range(part.y, part.bottom):
            first, last = stretch(y, (0, 0))
            if not first <= part.x < part.right <= last:
                return False
        return True

    def add(self, part: Region, strips: Sequence[Strip]) -> None:
        """A strip that is shorter than its region lets through what is behind."""
        x, stretches = part.x, self._stretches
        for y, strip in enumerate(strips, part.y):
            right = min(part.right, x + strip.cell_length)
            first, last = stretches.get(y, (x, x))
            if first <= right and x <= last:
                stretches[y] = min(first, x), max(last, right)
            elif right - x > last - first:
                stretches[y] = x, right


def bands(regions: Iterable[Region]) -> list[Region]:
    """The regions that share lines, or touch, as one; from the top."""
    found: list[Region] = []
    for region in sorted(regions, key=lambda one: one.y):
        if found and region.y <= found[-1].bottom:
            found[-1] = found[-1].union(region)
        else:
            found.append(region)
    return found
