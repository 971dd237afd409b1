"""A Secret shows as *** wherever Python can be made to show it, and few modules may open it."""

from __future__ import annotations

import ast
import copy
import io
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from rich.console import Console
from rich.pretty import pretty_repr
from rich.traceback import Traceback

from console.audit.record import canonical_json
from console.secrets import Secret
from tests.guards.sources import modules

CANARY = "c4n4ry-0f-th3-c04l-m1n3"
MAY_REVEAL = {
    "console/keyrings.py": "a keyring's backend takes the password as text",
    "console/vault/backend.py": "a keyring's backend gives the password as text",
    "console/vault/sealed.py": "scrypt takes the master, and the cipher the value, as bytes",
    "console/engine/postgres/driver.py": "asyncpg takes the password as text",
    "console/audit/table/postgres.py": "asyncpg takes the password as text",
    "console/audit/checkpoint.py": "Ed25519 takes the key as bytes",
    "console/cli/checkpoint.py": "a new signing key is written to its file",
    "console/wire/mysql.py": "aiomysql takes the password as text",
    "console/model/verifiers.py": "a verifier is a hash of the password",
    "actions/credential_statements.py": "a server that takes no verifier is told the password itself",
    "actions/rotating.py": "what a server repeats of a statement is taken out of its message",
    "console/secrets.py": "an entry of the store holds the password with the id of its rotation",
    "console/dispatch/process.py": "a program reads the password from its standard input",
    "console/dispatch/tool_login.py": "pg_dump and mysqldump read the password from a file in memory",
    "actions/hook_files.py": "a client's own file holds the password as text",
    "actions/hook_pooler.py": "PgBouncer's userlist holds the verifier",
    "console/model/guessing.py": "equal verifiers are compared as text",
}


class Holder(msgspec.Struct):
    """As a config or an address would hold it."""

    password: Secret


SECRET = Secret(CANARY)

SHOWN: dict[str, Callable[[], str]] = {
    "repr": lambda: repr(SECRET),
    "str": lambda: str(SECRET),
    "format": lambda: format(SECRET),
    "format with a width": lambda: format(SECRET, ">40"),
    "f-string": lambda: f"{SECRET} {SECRET!r} {SECRET!s} {SECRET!a} {SECRET=}",
    "percent": lambda: "%s %r" % (SECRET, SECRET),  # noqa: UP031 - it is what is tried
    "str.format": lambda: "{0} {0!r}".format(SECRET),  # noqa: UP032 - it is what is tried
    "in a list": lambda: str([SECRET, {"password": SECRET}]),
    "in a struct": lambda: repr(Holder(SECRET)),
    "pprint": lambda: pprint.pformat({"password": SECRET}),
    "rich": lambda: pretty_repr({"password": SECRET}),
    "json with a fallback": lambda: json.dumps(SECRET, default=str),
    "msgspec with a fallback": lambda: msgspec.json.encode(Holder(SECRET), enc_hook=str).decode(),
    "an error's text": lambda: str(ValueError(SECRET)) + repr(ValueError("no", SECRET)),
    "dir and attributes": lambda: str(dir(SECRET)) + str(getattr(SECRET, "__dict__", "")),
}


@pytest.mark.parametrize("way", SHOWN)
def test_it_is_not_shown(way: str) -> None:
    assert CANARY not in SHOWN[way]()


@pytest.mark.parametrize("way", [name for name in SHOWN if name != "dir and attributes"])
def test_it_is_shown_as_stars(way: str) -> None:
    assert "***" in SHOWN[way]()


ENCODED: dict[str, Callable[[Any], object]] = {
    "pickle": pickle.dumps,
    "copy": copy.deepcopy,
    "json": json.dumps,
    "msgspec": msgspec.json.encode,
    "msgpack": msgspec.msgpack.encode,
    "in a struct": lambda secret: msgspec.json.encode(Holder(secret)),
    "in the ledger": lambda secret: canonical_json({"password": secret}),
    "added to text": lambda secret: secret + "",
    "joined": "".join,
    "bytes": bytes,
    "iter": iter,
    "vars": vars,
}


@pytest.mark.parametrize("way", ENCODED)
def test_it_cannot_be_encoded_or_taken_for_text(way: str) -> None:
    with pytest.raises(TypeError) as refused:
        ENCODED[way](SECRET)
    assert CANARY not in str(refused.value)


def _failure() -> BaseException:
    """An error whose frame holds secrets in its locals."""

    def login(password: Secret) -> None:
        holder = Holder(password)
        raise ConnectionError(f"login refused for {holder}")

    try:
        login(Secret(CANARY))
    except ConnectionError as error:
        return error
    raise AssertionError


def test_a_traceback_with_locals_does_not_show_it() -> None:
    shown = "".join(traceback.TracebackException.from_exception(_failure(), capture_locals=True).format())
    assert "password = ***" in shown
    assert CANARY not in shown


def test_a_traceback_of_rich_with_locals_does_not_show_it() -> None:
    error = _failure()
    drawn = Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True)
    console = Console(file=io.StringIO(), width=200)
    console.print(drawn)
    shown = console.file.getvalue() if isinstance(console.file, io.StringIO) else ""
    assert "password = ***" in shown
    assert CANARY not in shown


def test_a_log_does_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("guard").warning("login with %s and %r", SECRET, {"password": SECRET})
    assert caplog.messages == ["login with *** and {'password': ***}"]


def revealing(source: str) -> bool:
    """Whether a module opens a Secret: by its method, under a name of its own, or behind its back."""
    return any(
        isinstance(node, ast.Attribute) and node.attr in ("reveal", "_Secret__value")
        for node in ast.walk(ast.parse(source))
    )


def test_only_what_logs_in_reveals_a_secret() -> None:
    assert {module for module, source in modules().items() if revealing(source)} == set(MAY_REVEAL)


def test_this_guard_sees_a_reveal() -> None:
    assert revealing("open = secret.reveal\nprint(open())")
