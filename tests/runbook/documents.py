"""Documents for tests, and a registry with actions that need no server to be named."""

from __future__ import annotations

from datetime import date
from functools import cache

import actions
from console.dispatch.registry import Registry
from console.runbook.document import Document
from console.runbook.lint import Catalogue as Catalogue
from console.runbook.lint import Finding, lint
from console.runbook.loader import Library, Loaded, parse

TODAY = date(2026, 11, 20)
HEAD = """apiVersion: runbook/v1
id: {id}
title: A runbook
owner: dba
reviewed: 2026-11-01
engines: {{postgresql: ">=13"}}
risk: high
"""
READS = frozenset({"locks", "sessions", "transactions"})

# Every kind of step; what is acted on can be taken back.
WHOLE = (
    HEAD.format(id="whole")
    + """
params:
  older: {type: duration, default: 5m, min: 1s}
steps:
  - {id: hello, kind: note, text: "on {{ target.name }}, {{ older }} s"}
  - {id: look, kind: query, read: locks, save: storm}
  - id: any
    kind: branch
    cases:
      - if: storm.count == 0
        steps: [{id: quiet, kind: end, result: ok, text: nobody waits}]
  - {id: before, kind: capture, collect: [sessions, locks], save: evidence}
  - {id: sure, kind: check, expect: [{assert: "storm.count < 100", message: too many}]}
  - {id: go, kind: confirm, text: "{{ storm.count }} wait. Go on?", phrase: go}
  - id: each
    kind: for_each
    in: storm
    as: one
    max: 5
    canary: 1
    steps:
      - id: act
        kind: action
        action: setting.set
        with: {name: "'work_mem'", value: "'8MB'"}
        save: done
        on_failure: ask
        rollback: [{id: undo, kind: action, action: setting.reset, with: {name: "'work_mem'"}}]
      - {id: told, kind: note, text: "{{ one.id }}: {{ done.effect }}"}
  - {id: settled, kind: wait_until, read: locks, until: count == 0, timeout: 5s, on_failure: rollback}
  - {id: tell, kind: manual, text: tell the owner, save: told_owner}
"""
)


@cache
def registry() -> Registry:
    return Registry(actions.ALL)


def load(text: str) -> Loaded:
    return parse(text, "f.yaml")


def document(text: str) -> Document:
    return load(text).document


def findings(text: str, *others: str) -> list[Finding]:
    loaded = load(text)
    library = Library([loaded, *(parse(other, "o.yaml") for other in others)])
    return lint(loaded, library, Catalogue(registry(), READS), TODAY)


def errors(text: str, *others: str) -> list[str]:
    """Rules of what keeps it from being run."""
    return [one.rule for one in findings(text, *others) if one.severity == "error"]
