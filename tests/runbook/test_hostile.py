"""10,000 hostile expressions and documents: a clear fault with its line, or the right value; never a hang."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from console.runbook.patterns import too_wild

CASES = 10_000
SEED = 20261126


@pytest.mark.timeout(300)
async def test_ten_thousand_hostile_texts_are_judged_in_little_memory_and_time() -> None:
    """In a process that may take 64 MB more than it had, and is ended where one of them takes 20 s.

    A case takes less than a second where nothing else is to do; here others are at work.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.runbook.hostile", str(SEED), str(CASES),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    found = json.loads(out)
    assert found["wrong"] == []
    assert found["cases"] >= CASES
    assert found["kB"] < 64 * 1024
    assert found["slowest"][1] < 5.0, found["slowest"]


@pytest.mark.parametrize(
    "pattern",
    [
        "[a-z]+",
        r"[0-9]{1,3}MB",
        r"(?:[a-z]+\.)?[a-z]+",
        "a|b+",
        r"[(]+x",
        r"\(\?a+",
        "(ab)+",
        "[]]+a",
        r"[\]]+(a)",
    ],
)
def test_a_plain_pattern_is_taken(pattern: str) -> None:
    assert too_wild(pattern) == ""


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+", "(a|b)*", "((a)|b){2,}", "((a*))+", r"(a)\1", "(?=a)b", "(?P<x>a)", "a*a*a*a*a*", "([a]+){9}"],
)
def test_a_pattern_that_a_text_could_keep_busy_is_not(pattern: str) -> None:
    assert too_wild(pattern) != ""
