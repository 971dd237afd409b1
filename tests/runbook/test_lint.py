"""Every rule finds its planted fault, where it stands."""

from __future__ import annotations

import pytest

from tests.runbook.documents import HEAD, WHOLE, errors, findings

STEPS = HEAD.format(id="planted") + "steps:\n"


def test_a_sound_document_has_no_error() -> None:
    assert errors(WHOLE) == []


def test_the_target_of_a_read_is_an_expression_of_known_names() -> None:
    text = HEAD.format(id="one") + "params: {replica: {type: target}}\nsteps: [{id: q, kind: query, %s}]\n"
    assert errors(text % "read: locks, target: replica") == []
    assert errors(text % "read: locks, target: replicas") == ["name-unknown"]
    assert errors((text % "collect: [locks], save: a, target: replicas").replace("query", "capture")) == [
        "name-unknown"
    ]


def test_a_param_that_is_called_like_a_secret_is_warned_of() -> None:
    text = (
        HEAD.format(id="one")
        + "params: {new_password: {type: text}}\nsteps: [{id: n, kind: note, text: x}]\n"
    )
    warned = [one for one in findings(text) if one.rule == "secret-param"]
    assert [(one.severity, "line 8" in one.place) for one in warned] == [("warning", True)]


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("name-unknown", "if: storm.count == 0", "if: strom.count == 0"),
        ("name-unknown", "{{ older }}", "{{ oldr }}"),
        ("name-unknown", "in: storm", "in: told_owner"),
        ("field-unknown", "if: storm.count == 0", "if: storm.cnt == 0"),
        ("field-unknown", "{{ done.effect }}", "{{ done.effct }}"),
        ("expression", "if: storm.count == 0", "if: storm.count = 0"),
        ("expression", "{{ older }}", "{{ older( }}"),
        ("secret-shown", "{{ older }}", "{{ target.password }}"),
        ("read-unknown", "kind: query, read: locks", "kind: query, read: lokcs"),
        ("read-unknown", "collect: [sessions, locks]", "collect: [sessions, files]"),
        ("read-or-sql", "kind: query, read: locks", "kind: query, read: locks, sql: select 1"),
        ("read-or-sql", "kind: query, read: locks", "kind: query"),
        ("sql-read-only", "kind: query, read: locks", "kind: query, sql: delete from t"),
        ("sql-args", "kind: query, read: locks", "kind: query, sql: 'select :a'"),
        ("sql-args", "kind: query, read: locks", "kind: query, sql: select 1, args: {a: 1}"),
        ("sql-variant", "kind: query, read: locks", "kind: query, sql: {mysql: select 1}"),
        ("action-unknown", "action: setting.set", "action: setting.sett"),
        ("action-argument", "value: \"'8MB'\"", "valu: \"'8MB'\""),
        ("action-argument", "value: \"'8MB'\"", "value: \"'8MB'\", restart: \"'x'\", name2: 1"),
        ("action-engine", "action: setting.set\n", "action: table.optimize\n"),
        ("risk", "risk: high", "risk: none"),
        (
            "session-start",
            "action: setting.set\n        with: {name: \"'work_mem'\", value: \"'8MB'\"}",
            "action: session.cancel\n        with: {id: one.id}",
        ),
        ("id-twice", "id: told,", "id: tell,"),
        ("name-taken", "save: storm", "save: older"),
        ("name-taken", "as: one", "as: older"),
        ("unreachable", "  - {id: before", "  - {id: e, kind: end, result: ok}\n  - {id: before"),
        ("engine-bound", ">=13", "13"),
        ("param", "default: 5m, min: 1s", "default: soon"),
        ("param", "type: duration, default: 5m, min: 1s", "type: choice"),
        ("canary", "canary: 1", "canary: 5"),
        (
            "call-unknown",
            "{id: tell, kind: manual, text: tell the owner, save: told_owner}",
            "{id: tell, kind: call, runbook: nobody}",
        ),
        (
            "rollback-nothing",
            "rollback: [{id: undo, kind: action, action: setting.reset, with: {name: \"'work_mem'\"}}]",
            "",
        ),
    ],
)
def test_a_planted_fault_is_found(rule: str, old: str, new: str) -> None:
    assert old in WHOLE
    assert rule in errors(WHOLE.replace(old, new, 1))


def test_a_finding_names_its_line_and_column() -> None:
    found = findings(WHOLE.replace("if: storm.count == 0", "if: strom.count == 0"))
    assert [(one.place, one.hint) for one in found if one.rule == "name-unknown"] == [
        ("f.yaml, line 17, column 9", "did you mean storm?")
    ]


def test_an_overdue_review_is_a_warning() -> None:
    found = findings(WHOLE.replace("reviewed: 2026-11-01", "reviewed: 2026-01-01"))
    assert [(one.rule, one.severity) for one in found if one.rule == "review-due"] == [
        ("review-due", "warning")
    ]


def test_a_document_without_fixtures_is_warned_of() -> None:
    assert "no-tests" in [one.rule for one in findings(WHOLE)]


def test_a_literal_argument_is_tried_on_the_actions_own_types() -> None:
    with_ = "{older_than: \"'5m'\", limit: LIMIT}"
    step = f"  - {{id: a, kind: action, action: session.terminate_idle, with: {with_}}}"
    assert errors(STEPS + step.replace("LIMIT", "5")) == []
    assert errors(STEPS + step.replace("LIMIT", "0")) == ["action-argument"]
    assert errors(STEPS + step.replace("LIMIT", "\"'many'\"")) == ["action-argument"]


def test_an_action_may_be_for_some_engines_where_the_step_asks() -> None:
    step = "  - {id: a, kind: action, action: table.optimize, with: {table: \"'t'\"}, when: GUARD}"
    assert errors(STEPS + step.replace("GUARD", "server.flavor == 'mysql'")) == []


def test_calls_that_come_back_are_found() -> None:
    one = HEAD.format(id="one") + "steps: [{id: a, kind: call, runbook: two}]"
    two = HEAD.format(id="two") + "steps: [{id: a, kind: call, runbook: one}]"
    assert errors(one, two) == ["call-cycle"]


def test_a_call_gives_what_the_other_wants() -> None:
    other = (
        HEAD.format(id="other")
        + "params: {n: {type: integer, required: true}}\nsteps: [{id: a, kind: note, text: x}]"
    )
    assert errors(STEPS + "  - {id: a, kind: call, runbook: other}", other) == ["call-param"]
    assert errors(STEPS + "  - {id: a, kind: call, runbook: other, with: {n: 1, m: 2}}", other) == [
        "call-param"
    ]
    assert errors(STEPS + "  - {id: a, kind: call, runbook: other, with: {n: 1}}", other) == []


FIXTURE = """
tests:
  - name: a storm
    answers: {look: [{id: 1}], settled: []}
    decisions: {go: "yes", tell: "told her"}
    path: [hello, look, before, sure, go, "each[0].act", "each[0].told", settled, tell]
    result: ok
"""


def test_a_fixture_walks_the_document() -> None:
    assert errors(WHOLE + FIXTURE) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("result: ok", "result: failed"),
        ("settled, tell]", "settled]"),
        ('go: "yes", ', ""),
        ("look: [{id: 1}], ", ""),
    ],
)
def test_a_fixture_that_goes_another_way_is_a_fault(old: str, new: str) -> None:
    assert errors(WHOLE + FIXTURE.replace(old, new)) == ["fixture"]
