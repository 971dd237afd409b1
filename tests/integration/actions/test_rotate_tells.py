"""What a rotation tells while it runs, and what its end says of where the passwords are."""

from __future__ import annotations

from pathlib import Path

from console.dispatch.action import Watch
from console.errors import Exit
from console.present import plan as words
from tests.integration.actions.rotors import FIRST, rotor_on
from tests.servers.fleet import Server


async def test_its_moves_are_told_and_the_end_says_what_is_kept_where(
    any_server: Server, tmp_path: Path
) -> None:
    told: list[str] = []
    async with rotor_on(any_server, tmp_path) as desk:
        plan = await desk.plan("credential.rotate", account=desk.account)
        run = await desk.apply(plan, watch=Watch(tell=told.append))
        assert run.exit is Exit.OK, run.error
        moves = [
            "kept as",
            "the server was told",
            "a login with the new password: accepted",
            "promoted",
            "rotated",
        ]
        places = [next(i for i, text in enumerate(told) if word in text) for word in moves]
        assert places == sorted(places), told
        said = "\n".join(line for _, line in words.conclude(run))
        assert f"{desk.entry}#previous" in said
        assert "credential.retire" in said
        for secret in (await desk.password(), FIRST):
            assert secret.reveal() not in said + " ".join(told)


async def test_without_an_old_password_nothing_is_to_be_retired(any_server: Server, tmp_path: Path) -> None:
    async with rotor_on(any_server, tmp_path) as desk:
        await desk.store.delete(desk.entry)
        run = await desk.run("credential.rotate", account=desk.account, overlap=False)
        assert run.exit is Exit.OK, run.error
        said = "\n".join(line for _, line in words.conclude(run))
        assert f"the new one as {desk.entry}" in said
        assert "#previous" not in said
        assert "credential.retire" not in said
