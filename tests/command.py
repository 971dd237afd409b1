"""The real command in a process of its own, with a config written for the test."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

SECONDS = 60
MORE: dict[str, Any] = {}  # sections that every config of a folder of tests has


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.document["rows"]
        return rows


class Command:
    """`dbdeck` with a config in a folder of the test: a SQLite ledger unless another is named."""

    def __init__(self, folder: Path, targets: Mapping[str, Mapping[str, Any]], **audit: Any) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self.audit = {"url": f"sqlite:///{folder}/audit.db", "journal": str(folder / "journal"), **audit}
        self.write({"audit": self.audit, "targets": {name: dict(one) for name, one in targets.items()}})

    def write(self, values: Mapping[str, Any]) -> None:
        self.config.write_text(yaml.safe_dump({**MORE, **values}))

    async def start(
        self,
        *words: str,
        env: Mapping[str, str] | None = None,
        stdin: int = asyncio.subprocess.DEVNULL,
        pass_fds: Sequence[int] = (),
        by: str = "",
    ) -> asyncio.subprocess.Process:
        """`by`: as another account of this machine."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *(("tests.somebody", by) if by else ("console",)),
            "--config",
            str(self.config),
            *words,
            stdin=stdin,
            pass_fds=pass_fds,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "COLUMNS": "200", **(env or {})},
            cwd=Path(__file__).parent.parent,
        )

    async def run(
        self,
        *words: str,
        env: Mapping[str, str] | None = None,
        text: str | None = None,
        pass_fds: Sequence[int] = (),
        by: str = "",
    ) -> Done:
        """`text` comes on stdin; without, nothing does."""
        stdin = asyncio.subprocess.DEVNULL if text is None else asyncio.subprocess.PIPE
        process = await self.start(*words, env=env, stdin=stdin, pass_fds=pass_fds, by=by)
        try:
            async with asyncio.timeout(SECONDS):
                out, err = await process.communicate(text.encode() if text is not None else None)
        except TimeoutError:
            process.kill()
            await process.communicate()
            raise
        return Done(code=process.returncode or 0, out=out.decode(), err=err.decode())

    async def apply(self, action: str, session: Mapping[str, Any], *words: str, target: str = "t") -> Done:
        return await self.run(
            "apply", action, "-t", target, "--json", "--yes", "--reason", "a test", "--watch", "2",
            f"id={session['id']}", f"started_at={session['started_at']}", *words,
        )  # fmt: skip

    async def root(self, target: str = "t") -> dict[str, Any]:
        """The worst root blocker's key, as `show locks` prints it."""
        rows = (await self.run("show", "locks", "-t", target, "--json")).rows
        key: dict[str, Any] = rows[0]["session"]
        return key

    async def kinds(self) -> list[str]:
        """Kinds of the ledger's rows in their order, without the process's own open and close."""
        listed = await self.run("audit", "list", "--json", "--limit", "500")
        if listed.code:
            return []  # no action came so far that the ledger was made
        rows = listed.rows
        return [row["kind"] for row in reversed(rows) if row["kind"] not in ("open", "close")]
