#!/usr/bin/env python3
"""Check a proof of dbdeck's audit ledger. Needs Python 3.8 or later and nothing else.

    python3 verify.py proof.json [--key PUBLIC_KEY]

The proof holds rows of a ledger and, for each, the way to the Merkle root of a signed checkpoint. This
program computes every hash anew: body -> link -> seal -> root, and checks the signature of the checkpoint
(Ed25519, RFC 8032). What it cannot know is whether the key is that of whom you trust: compare it, or give
it with --key. Exit 0: everything holds; 1: something does not; 2: this is no proof.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, Optional, Tuple  # noqa: UP035 - for older Pythons

Point = Tuple[int, int, int, int]  # noqa: UP006 - for older Pythons
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - for older Pythons

# ---- Ed25519, as in RFC 8032 section 6: verification only --------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def recover_x(y: int, sign: int) -> Optional[int]:  # noqa: UP045 - for older Pythons
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P:
        return None
    return P - x if (x & 1) != sign else x


def add(a: Point, b: Point) -> Point:
    x = (a[1] - a[0]) * (b[1] - b[0]) % P
    y = (a[1] + a[0]) * (b[1] + b[0]) % P
    t, z = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = y - x, z - t, z + t, y + x
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(n: int, point: Point) -> Point:
    found = (0, 1, 1, 0)
    while n:
        if n & 1:
            found = add(found, point)
        point, n = add(point, point), n >> 1
    return found


def same(a: Point, b: Point) -> bool:
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def point_of(data: bytes) -> Optional[Point]:  # noqa: UP045 - for older Pythons
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


Y = 4 * pow(5, P - 2, P) % P
X = recover_x(Y, 0) or 0
BASE = (X, Y, 1, X * Y % P)


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r = point_of(public), point_of(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    return same(times(s, BASE), add(r, times(h, a)))


# ---- the ledger's hashes -------------------------------------------------------------------------


def digest(label: str, *fields: object) -> bytes:
    found = hashlib.sha256(label.encode())
    for value in fields:
        data = str(value).encode()
        found.update(b"%d:%b," % (len(data), data))
    return found.digest()


def microseconds(text: str) -> int:
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (at - EPOCH) // timedelta(microseconds=1)


def link_of(row: dict[str, Any]) -> bytes:
    return digest(
        "dbdeck/link/1;", row["prev"], row["writer"], row["seq"], row["kind"], row["action_id"],
        row["parent"] or "", row["idempotency_key"] or "", row["body_hash"],
    )  # fmt: skip


def seal_of(row: dict[str, Any]) -> bytes:
    return digest(
        "dbdeck/seal/1;", row["link"], row["witness"], microseconds(row["at"]), row["db_user"], row["peer"]
    )


def root_of(seal: bytes, way: list[Any]) -> bytes:
    at = hashlib.sha256(b"\0" + seal).digest()
    for left, beside in way:
        pair = bytes.fromhex(beside) + at if left else at + bytes.fromhex(beside)
        at = hashlib.sha256(b"\1" + pair).digest()
    return at


# ---- the proof -------------------------------------------------------------------------------------

HASH = re.compile("[0-9a-f]{64}")
NAME = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def in_form(proof: dict[str, Any]) -> dict[str, Any]:
    """What is printed of it is of a fixed form: any other text could say whose key it is, or rub that out
    of a terminal. Raises ValueError.
    """
    fixed = [(NAME, proof["action"])]
    for signed in proof["checkpoints"]:
        text = json.loads(signed["text"])
        fixed += [(HASH, signed["key"]), (NAME, text["ledger"])]
        microseconds(text["at"])
        if not text["at"].isascii() or not text["at"].isprintable():
            raise ValueError("a time that is none")
    if not all(form.fullmatch(value) for form, value in fixed):
        raise ValueError("a key, a ledger or an action that is none")
    if not all(type(one["row"]["id"]) is int for one in proof["rows"]):
        raise ValueError("a row's number that is none")
    return proof


def faults_of(proof: dict[str, Any], key: str) -> Iterator[str]:
    """Sentences; none where everything holds."""
    roots = []
    for number, signed in enumerate(proof["checkpoints"]):
        message = b"dbdeck/checkpoint/1;" + signed["text"].encode()
        if not is_signed(bytes.fromhex(signed["key"]), message, bytes.fromhex(signed["signature"])):
            yield f"checkpoint {number}: the signature is not that of its key"
        if key and signed["key"] != key:
            yield f"checkpoint {number}: it is signed by another key, {signed['key']}"
        roots.append(json.loads(signed["text"])["root"])
    yield from faults_of_number([one["row"]["link"] for one in proof["rows"]])
    for one in proof["rows"]:
        for fault in faults_of_row(one, roots):
            yield f"row {one['row']['id']}: {fault}"
        if proof["action"] not in (one["row"]["action_id"], one["row"]["parent"]):
            yield f"row {one['row']['id']}: it is not of the action {proof['action']}"


def faults_of_number(links: list[str]) -> Iterator[str]:
    if not links:
        yield "it proves no row"
    if len(set(links)) < len(links):
        yield "a row is there twice"


def faults_of_row(one: dict[str, Any], roots: list[str]) -> Iterator[str]:
    row = one["row"]
    if row["body"] is not None and hashlib.sha256(row["body"].encode()).hexdigest() != row["body_hash"]:
        yield "the text is not what was recorded"
    if link_of(row).hex() != row["link"]:
        yield "what its writer said is not what was recorded"
    if seal_of(row).hex() != row["seal"]:
        yield "time, login or address is not what was recorded"
    if root_of(bytes.fromhex(row["seal"]), one["path"]).hex() != roots[one["checkpoint"]]:
        yield "it is not in the checkpoint"


def read(name: str) -> dict[str, Any]:
    with open(name, encoding="utf-8") as file:  # noqa: PTH123 - one import less
        proof: dict[str, Any] = json.load(file)
    if proof["proof"] != "dbdeck/1":
        raise ValueError("another format")
    return in_form(proof)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("proof")
    asked.add_argument("--key", default="", help="the public key you trust, 64 hex digits")
    given = asked.parse_args()
    try:
        proof = read(given.proof)
        found = list(faults_of(proof, given.key.strip().lower()))
        for signed in proof["checkpoints"]:
            text = json.loads(signed["text"])
            say(f"checkpoint of ledger {text['ledger']} at {text['at']}, signed by {signed['key']}")
        redacted = sum(one["row"]["body"] is None for one in proof["rows"])
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        # The text of some of these is the whole of what was read.
        said = error.strerror if isinstance(error, OSError) else f"{type(error).__name__} in it"
        sys.stderr.write(f"{given.proof} is no proof ({said}): give the proof.json that is in the zip\n")
        return 2
    for fault in found:
        say(f"FAULT: {fault}")
    if found:
        return 1
    if redacted:
        say(f"{redacted} of them are redacted: their text is gone, its hash is proved")
    proved = f"{len(proof['rows'])} rows of {proof['action']} proved"
    say(proved + ("" if given.key else "; compare the key yourself"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
