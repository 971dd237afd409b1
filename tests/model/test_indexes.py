"""Unused is what no replica uses either."""

from __future__ import annotations

from console.model.indexes import Finding, IndexFinding, IndexHealth, Severity, beside_replicas


def health(*unused: str, other: bool = False) -> IndexHealth:
    findings = [
        IndexFinding(
            finding=Finding.UNUSED,
            severity=Severity.NOTICE,
            schema="shop",
            table="orders",
            name=name,
            why="0 scans",
        )
        for name in unused
    ]
    if other:
        findings.append(
            IndexFinding(finding=Finding.NO_PRIMARY_KEY, severity=Severity.WARN, schema="shop", table="log")
        )
    return IndexHealth(findings=tuple(findings), notes=("a note",))


def test_an_index_that_a_replica_uses_is_not_unused() -> None:
    found = beside_replicas(health("a", "b", other=True), {"r1": health("a", "b"), "r2": health("a")})
    assert [(one.finding, one.name) for one in found.findings] == [
        (Finding.UNUSED, "a"),
        (Finding.NO_PRIMARY_KEY, ""),
    ]
    assert found.findings[0].why == "0 scans; nor on r1, r2"
    assert found.notes[0].startswith("1 indexes that are not used here are used on")


def test_a_replica_that_could_not_be_asked_is_a_note() -> None:
    found = beside_replicas(health("a"), {"r1": "it did not answer"})
    assert [one.name for one in found.findings] == ["a"]
    assert found.notes[0] == "whether r1 uses them is unknown: it did not answer"


def test_without_replicas_nothing_changes() -> None:
    assert beside_replicas(health("a"), {}) == health("a")
