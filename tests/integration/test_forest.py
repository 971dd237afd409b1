"""Forests of real sessions: roots, blockers, depths and counts are exactly those that were built."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable

import pytest
import pytest_asyncio

from console.engine.open import open_engine
from console.engine.port import Engine
from console.model.blocking import BlockingTree
from console.model.whatif import after
from tests.servers.fleet import Server
from tests.situations import Client, Scene, scene, touch
from tests.targets import target_of

ROOTS, DEPTH, IDLE = 5, 20, 295


@pytest_asyncio.fixture
async def shop(any_server: Server) -> AsyncIterator[Scene]:
    async with scene(any_server) as made:
        yield made


@pytest_asyncio.fixture
async def engine(any_server: Server) -> AsyncIterator[Engine]:
    async with open_engine(target_of(any_server)) as opened:
        yield opened


async def crowd(shop: Scene, number: int, application: str) -> list[Client]:
    """A few at a time: a server takes only so many logins at once."""
    clients: list[Client] = []
    while len(clients) < number:
        some = min(20, number - len(clients))
        clients += await asyncio.gather(*(shop.client(application) for _ in range(some)))
    return clients


async def held(clients: Iterable[Client], rows: Iterable[tuple[int, ...]]) -> None:
    for client, mine in zip(clients, rows, strict=True):
        await client.run("begin")
        for row in mine:
            await client.run(touch(row))


async def waiting(engine: Engine, number: int, *, pause: float = 0.2) -> BlockingTree:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        tree = await engine.locks()
        if sum(1 for node in tree if node.edge) == number:
            return tree
        await asyncio.sleep(pause)
    raise AssertionError(f"{sum(1 for node in tree if node.edge)} wait, not {number}")


async def test_a_forest_of_500_sessions(shop: Scene, engine: Engine) -> None:
    """In each of five trees every link of a chain of 20 is wanted by the next one and by a leaf."""
    await crowd(shop, IDLE, "idle")
    trees = [await crowd(shop, DEPTH + 1, f"link-{root}") for root in range(ROOTS)]
    leaves = [await crowd(shop, DEPTH, f"leaf-{root}") for root in range(ROOTS)]
    built: dict[int, tuple[int, int, int]] = {}  # id -> (blocker, depth, everyone behind it)
    for root, (chain, few) in enumerate(zip(trees, leaves, strict=True)):
        base = root * 100 + 1
        await held(chain, [(base + link, base + 50 + link) for link in range(DEPTH + 1)])
        built[chain[0].id] = (0, 0, 2 * DEPTH)
        for link in range(1, DEPTH + 1):
            behind = 2 * (DEPTH - link)
            chain[link].wait(touch(base + link - 1))
            built[chain[link].id] = (chain[link - 1].id, link, behind)
        for link, leaf in enumerate(few):
            leaf.wait(touch(base + 50 + link))
            built[leaf.id] = (chain[link].id, link + 1, 0)
    tree = await waiting(engine, ROOTS * 2 * DEPTH)
    assert len(await engine.sessions()) >= 500
    seen = {node.session.id: node for node in tree}
    assert seen.keys() == built.keys()
    for number, (blocker, depth, behind) in built.items():
        node = seen[number]
        assert node.blocked_by == ((blocker,) if blocker else ())
        assert (node.root, node.depth, node.blocks) == (not blocker, depth, behind)
        assert node.edge == ("hard" if blocker else None)
    assert {node.session.id for node in tree if node.root} == {chain[0].id for chain in trees}
    for chain in trees:
        root_node = seen[chain[0].id]
        assert root_node.releases == 2 * DEPTH
        assert len(after(tree, {chain[0].id}).released) == 2 * DEPTH
        assert set(after(tree, {chain[0].id}).at_once) == {chain[1].id, *_first(tree, chain[0].id)}


def _first(tree: BlockingTree, root: int) -> set[int]:
    return {node.session.id for node in tree if node.blocked_by == (root,)}


@pytest.mark.parametrize("seed", range(3))
async def test_a_random_forest(shop: Scene, engine: Engine, seed: int) -> None:
    """Each session holds a row of its own, and most want that of an earlier one; some only look on."""
    dice = random.Random(seed)
    clients = await crowd(shop, 40, "random")
    bystanders = await crowd(shop, 5, "bystander")
    await held(clients, [(n + 1,) for n in range(len(clients))])
    for number, one in enumerate(bystanders):
        await one.run("begin")
        await one.run("select count(*) from orders")
        await one.run(touch(1000 + number))
    wanted: dict[int, int] = {}
    for n in range(1, len(clients)):
        if dice.random() < 0.8:
            wanted[n] = dice.randrange(n)
            clients[n].wait(touch(wanted[n] + 1))
            tree = await waiting(engine, len(wanted), pause=0.02)  # so that each queues behind those before
    ids = [client.id for client in clients]
    expected_roots = {ids[n] for n in set(wanted.values()) if n not in wanted}
    assert {node.session.id for node in tree if node.root} == expected_roots
    assert {node.session.id for node in tree} == {ids[n] for n in {*wanted, *wanted.values()}}
    blocked_by = {node.session.id: set(node.blocked_by) for node in tree}
    for n, holder in wanted.items():
        earlier = {ids[m] for m, other in wanted.items() if other == holder and m < n}
        assert blocked_by[ids[n]] <= {ids[holder], *earlier}, "an innocent session is named as a blocker"
        assert blocked_by[ids[n]], "a waiter without a blocker"
        assert ids[holder] in _above(blocked_by, ids[n]), "the holder is not among those it waits for"
    for node in tree:
        if node.root:
            behind = {one for one in blocked_by if node.session.id in _above(blocked_by, one)}
            assert node.blocks == len(behind)
            assert behind == _built_behind(wanted, ids, node.session.id)


def _above(blocked_by: dict[int, set[int]], number: int) -> set[int]:
    found: set[int] = set()
    todo = list(blocked_by[number])
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += blocked_by.get(one, ())
    return found


def _built_behind(wanted: dict[int, int], ids: list[int], root: int) -> set[int]:
    behind = {ids.index(root)}
    for n, holder in sorted(wanted.items()):
        if holder in behind:
            behind.add(n)
    return {ids[n] for n in behind} - {root}
