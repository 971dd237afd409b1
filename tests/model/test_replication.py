"""The words of replication."""

from __future__ import annotations

import msgspec
import pytest

from console.model.replication import replica_word
from tests.fakes import IDENTITY


@pytest.mark.parametrize(
    ("flavor", "number", "word"),
    [
        ("mysql", 80021, "SLAVE"),
        ("mysql", 80022, "REPLICA"),
        ("mysql", 90400, "REPLICA"),
        ("mariadb", 110800, "SLAVE"),
    ],
)
def test_what_a_version_calls_a_replica(flavor: str, number: int, word: str) -> None:
    """RESET REPLICA is a syntax error before MySQL 8.0.22, and RESET SLAVE one since 8.4."""
    server = msgspec.structs.replace(IDENTITY, flavor=flavor, version_num=number)
    assert replica_word(server) == word
