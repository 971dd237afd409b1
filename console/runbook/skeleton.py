"""A runbook to begin with: commented, and without a finding of the linter."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Final

from console.errors import UsageError

_ID: Final = re.compile("[a-z0-9][a-z0-9-]{1,62}")
_TEXT: Final = """\
# What each key means: docs/runbooks.md. `dbdeck runbook lint FILE` checks it and walks `tests`, without a
# server; `dbdeck runbook schema` prints a JSON schema for your editor.
apiVersion: runbook/v1
id: {id}
title: Cancel the statement of one session            # change all of this
summary: Looks whether the session still works, keeps what is to be seen, cancels its statement, looks again.
owner: {owner}
reviewed: {today}
engines: {{postgresql: ">=13", mysql: ">=8.0", mariadb: ">=10.6"}}   # the lowest versions that it is for
risk: medium                                           # the most that one of its actions may be
symptoms: [one statement runs too long]                # words by which others find it

params:                                                # given with -p NAME=VALUE
  session: {{type: session, required: true, help: "ID@STARTED_AT, as `show sessions --json` has them"}}

preconditions:                                         # false or not known: the run does not start
  - {{assert: not target.read_only, message: the target has no operator login}}

steps:
  # A read by name has the fields of `dbdeck show sessions --json`. What is saved is known to what follows.
  - id: look
    kind: query
    read: sessions
    max_rows: 2000
    save: before
  # Texts within an expression have quotes of their own. `where` takes rows, a field and a value.
  - id: there
    kind: branch
    cases:
      - if: count(where(where(before, "session", session), "state", "active")) == 0
        label: it does not work
        steps: [{{id: quiet, kind: end, result: ok, text: the session is gone or does nothing now}}]
  # Evidence before the first effect: it stays in the ledger, and in `dbdeck runbook export`.
  - {{id: evidence, kind: capture, collect: [sessions, locks], save: seen}}
  # An action is planned, approved, recorded before it happens, and proved. `dbdeck actions` lists them.
  - id: cancel
    kind: action
    action: session.cancel
    with: {{id: session.id, started_at: session.started_at}}
    on_failure: ask
  # Look again, always with a timeout. Here `rows`, `row` and `count` are those of this read.
  - id: settled
    kind: wait_until
    read: sessions
    until: count(where(where(rows, "session", session), "state", "active")) == 0
    timeout: 30s
    on_failure: continue
    save: after
  - id: over
    kind: branch
    cases:
      - if: count(where(where(after, "session", session), "state", "active")) == 0
        label: it has ended
        steps: [{{id: done, kind: end, result: ok, text: the statement has ended}}]
    else:
      - {{id: left, kind: end, result: escalate, text: "it still works: end the session, or ask its owner"}}

tests:                                                 # one for each way; `lint` walks them
  - name: it is gone
    params: {{session: "7@2026-01-01T10:00:00+00:00"}}
    answers: {{look: []}}
    path: [look]                                       # the steps that were done
    result: ok
  - name: it is cancelled
    params: {{session: "7@2026-01-01T10:00:00+00:00"}}
    answers:
      look: [{{session: {{id: 7, started_at: "2026-01-01T10:00:00+00:00"}}, state: active}}]
      settled: []
    path: [look, evidence, cancel, settled]
    result: ok
  - name: it works on
    params: {{session: "7@2026-01-01T10:00:00+00:00"}}
    answers:
      look: [{{session: {{id: 7, started_at: "2026-01-01T10:00:00+00:00"}}, state: active}}]
      settled: [{{session: {{id: 7, started_at: "2026-01-01T10:00:00+00:00"}}, state: active}}]
    path: [look, evidence, cancel]
    result: escalate
"""


def skeleton(name: str, owner: str, today: date) -> str:
    """Raises UsageError for what cannot be an id."""
    if _ID.fullmatch(name) is None:
        raise UsageError(
            f"{name[:80]!r} cannot be the id of a runbook; nothing was written",
            "2 to 63 small letters, digits and -, like cancel-report",
        )
    return _TEXT.format(id=name, owner=json.dumps(owner), today=today.isoformat())
