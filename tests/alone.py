"""Tries tests that failed beside others once more, one after the other, and says which ones that were.

Four workers with five servers each on two cores starve one another now and then: a storm of sessions here
makes a deadline pass there. What fails alone as well has failed; so has a run in which many tests fail.

    python -m tests.alone STATUS [arguments of pytest]     STATUS is what pytest ended with
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FAILED = Path(".pytest_cache/v/cache/lastfailed")
TESTS_FAILED = 1  # pytest's exit code; others tell of something else than tests that fail
MOST = 15


def main(status: int, arguments: Sequence[str]) -> int:
    failed = sorted(json.loads(FAILED.read_text())) if FAILED.exists() else []
    if status != TESTS_FAILED or not 0 < len(failed) <= MOST:
        return status
    _say("failed beside others and are tried alone", failed)
    again = ["--last-failed", "--last-failed-no-failures", "none", "-v", *arguments]
    code = subprocess.run([sys.executable, "-m", "pytest", *again], check=False).returncode
    if code == 0:
        _say("passed alone only", failed)
    return code


def _say(what: str, tests: Sequence[str]) -> None:
    sys.stdout.write("\n  ".join((f"\n{len(tests)} {what}:", *tests)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
