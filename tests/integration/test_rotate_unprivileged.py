"""dbdeck as a user without any right on the machine: its own files are changed, and nobody else's."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from console.dispatch.lease import reachable, unprivileged
from console.model.option_file import options
from console.model.probe import Answer
from console.secrets import Secret
from tests.integration.actions.rotors import FIRST, new_account, over_for
from tests.integration.actions.test_propagate import program
from tests.integration.test_probe import probe
from tests.integration.test_rotate_command import Deck
from tests.servers.fleet import Server
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import PostgresServer

REPOSITORY = Path(__file__).parent.parent.parent
NOBODY = unprivileged(("nobody",))


def interpreter() -> str:
    """One that the other user may run: this one, or the system's of the same version."""
    here = Path(sys.executable).resolve()
    if reachable(here, NOBODY):
        return sys.executable
    name = f"python3.{sys.version_info.minor}"
    return shutil.which(name, path="/usr/bin:/usr/local/bin") or ""


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of that user on a real disk."""
    if os.geteuid() != 0:
        pytest.skip("dbdeck runs as an ordinary user in every test here")
    if not interpreter() or not reachable(REPOSITORY, NOBODY):
        pytest.skip("no Python and no checkout here that another user may read")
    made = Path(tempfile.mkdtemp(prefix="dbdeck-nobody-", dir="/var/tmp"))
    yield made
    shutil.rmtree(made)


class Unprivileged(Deck):
    def __init__(self, folder: Path, server: Server, account: str, hooks: Sequence[dict[str, Any]]) -> None:
        wire = {"tls": "require"} if isinstance(server, MysqlServer) else {"tls": "off"}
        super().__init__(folder, server, **wire)
        target = server.target_dict(**(over_for(server) | wire))
        rule = {"targets": {"t": {"accounts": {account: {"hooks": list(hooks)}}}}}
        self.write(self.values | {"targets": {"t": target}, "rotation": rule})
        self.give()

    def give(self, *but: Path) -> None:
        """Everything below its folder is the user's, except for what it may not even read."""
        for path in (self.folder, *self.folder.rglob("*")):
            if path not in but:
                os.chown(path, NOBODY.uid, NOBODY.gid)

    async def start(
        self,
        *words: str,
        env: Mapping[str, str] | None = None,
        stdin: int = asyncio.subprocess.DEVNULL,
        pass_fds: Sequence[int] = (),
        by: str = "",
    ) -> asyncio.subprocess.Process:
        own = {"HOME": str(self.folder), "PYTHONPATH": sysconfig.get_paths()["purelib"], "COLUMNS": "200"}
        return await asyncio.create_subprocess_exec(
            interpreter(), "-m", *(("tests.somebody", by) if by else ("console",)),
            "--config", str(self.config), *words,
            stdin=stdin, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, pass_fds=pass_fds,
            env={**os.environ, **own, **(env or {})},
            cwd=REPOSITORY, user=NOBODY.uid, group=NOBODY.gid, extra_groups=[],
        )  # fmt: skip


def owned(path: Path) -> tuple[int, int]:
    seen = path.stat()
    return seen.st_uid, stat.S_IMODE(seen.st_mode)


async def test_its_own_files_and_programs_get_the_new_password(
    postgres18: PostgresServer, home: Path
) -> None:
    account = await new_account(postgres18)
    pgpass, got = home / ".pgpass", home / "got"
    pgpass.write_text(f"*:*:*:{account}:old\n# kept\n")
    pgpass.chmod(0o600)
    body = f"import sys\nopen({str(got)!r}, 'w').write(sys.stdin.read())\n"
    argv = program(home / "bin", body)
    Path(argv[0]).write_text(f"#!{interpreter()}\n{body}")
    deck = Unprivileged(
        home, postgres18, account, [{"pgpass": {"path": str(pgpass)}}, {"exec": {"argv": argv}}]
    )
    await deck.keep(f"dbdeck/t/{account}", FIRST.reveal())
    done = await deck.rotate(account)
    assert done.code == 0, done
    assert owned(pgpass) == (NOBODY.uid, 0o600)
    new = Secret(got.read_text().rstrip("\n"))
    assert (await probe(postgres18, account, new)).answer is Answer.ACCEPTED
    assert f":{account}:{new.reveal()}" in pgpass.read_text()
    assert "# kept" in pgpass.read_text()


async def test_its_own_option_file_gets_the_new_password(mysql: MysqlServer, home: Path) -> None:
    account = await new_account(mysql)
    path = home / "my.cnf"
    path.write_text(f"[client]\nuser={account}\npassword=old\n")
    path.chmod(0o600)
    deck = Unprivileged(home, mysql, account, [{"my_cnf": {"path": str(path)}}])
    await deck.keep(f"dbdeck/t/{account}", FIRST.reveal())
    done = await deck.rotate(account)
    assert done.code == 0, done
    assert owned(path) == (NOBODY.uid, 0o600)
    new = Secret(options(path.read_text(), "client")["password"])
    assert (await probe(mysql, account, new)).answer is Answer.ACCEPTED


@pytest.mark.parametrize("whose", ["file", "folder"])
async def test_what_belongs_to_somebody_else_is_left_alone_and_the_rotation_is_done(
    postgres18: PostgresServer, home: Path, whose: str
) -> None:
    """The plan warns of it; the run ends as partial, and says which hook to run again."""
    account = await new_account(postgres18)
    folder = home / "theirs"
    folder.mkdir(mode=0o755)
    pgpass = folder / ".pgpass"
    pgpass.write_text("# root's\n")
    pgpass.chmod(0o600)
    deck = Unprivileged(home, postgres18, account, [{"pgpass": {"path": str(pgpass)}}])
    for path in (pgpass, *([folder] if whose == "folder" else [])):
        os.chown(path, 0, 0)
    await deck.keep(f"dbdeck/t/{account}", FIRST.reveal())
    plan = await deck.call("plan", "credential.rotate", "-t", "t", f"account={account}")
    assert "it would fail" in plan.out, plan
    done = await deck.rotate(account)
    assert done.code == 8, done
    assert f"account={account} hook=pgpass" in done.document["error"]["hint"]
    assert pgpass.read_text() == "# root's\n"
    assert owned(pgpass) == (0, 0o600)
