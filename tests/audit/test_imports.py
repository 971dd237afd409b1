"""A command that needs no ledger must not pay for its drivers."""

from __future__ import annotations

import subprocess
import sys

MODULES = ("ledger", "record", "chain", "verify", "export", "journal", "readback", "writer", "table.open")
DRIVERS = ("sqlite3", "asyncpg", "aiomysql", "pymysql", "cryptography")


def test_importing_the_ledger_loads_no_driver() -> None:
    imports = "; ".join(f"import console.audit.{name}" for name in MODULES)
    code = f"import sys; {imports}; print([name for name in {DRIVERS} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
