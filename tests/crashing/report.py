"""What came of it as the table of docs/crash-points.md."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tests.crashing.killing import Point

HEAD = (
    "| action | server | turns | killed | before the intent | applied | partly | not applied | undecidable"
    " | wrong | faults |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario on one server. `turns` are those of an undisturbed run."""

    title: str
    server: str
    turns: int
    points: tuple[Point, ...]

    @property
    def row(self) -> str:
        recorded = [one for one in self.points if one.recorded != "nothing"]
        said = [one.said for one in recorded]
        numbers = (
            self.turns, len(self.points), len(self.points) - len(recorded),
            *(said.count(word) for word in ("applied", "partial", "not_applied", "undecidable")),
            len(self.wrong), len(self.faulty),
        )  # fmt: skip
        return f"| `{self.title}` | {self.server} | {' | '.join(map(str, numbers))} |\n".replace(
            " (", "` (", 1
        ).replace(")` |", ") |", 1)

    @property
    def wrong(self) -> list[Point]:
        return [one for one in self.points if one.wrong]

    @property
    def faulty(self) -> list[Point]:
        return [one for one in self.points if one.faults]

    @property
    def waited(self) -> int:
        """Deaths of which nothing could be said before the server had gone on."""
        return sum(one.first == "undecidable" != one.said for one in self.points)


def table(lines: Sequence[Line]) -> str:
    return HEAD + "".join(one.row for one in sorted(lines, key=lambda one: (one.title, one.server)))


def summary(lines: Sequence[Line]) -> str:
    points = [one for line in lines for one in line.points]
    undecided = sum(one.said == "undecidable" for one in points)
    waited = sum(line.waited for line in lines)
    return (
        f"{len(points)} deaths in {len(lines)} scenarios: {sum(one.wrong for one in points)} wrong verdicts, "
        f"{sum(bool(one.faults) for one in points)} other faults. {undecided} were undecidable for good, "
        f"{waited} only until the server had finished what the dead had sent.\n"
    )


def put_into(page: str, lines: Sequence[Line], when: str) -> str:
    return between(page, "points", f"{when}\n\n{summary(lines)}\n{table(lines)}")


def between(page: str, name: str, text: str) -> str:
    """The page with new text between its marks of this name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{text}\n{end}{after}"
