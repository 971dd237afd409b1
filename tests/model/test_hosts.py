"""Which account a client is taken for, and which hosts lie inside which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.model.hosts import chosen, covers, inside, order

HOSTS = (
    "localhost",
    "10.1.2.3",
    "10.1.2.%",
    "10.1.%",
    "10.0.0.0/8",
    "%",
    "",
    "db_.example.net",
    "%.example.net",
)
CLIENTS = ("localhost", "10.1.2.3", "10.1.2.4", "10.9.9.9", "192.168.0.1", "db1.example.net", "a.example.net")


@pytest.mark.parametrize(
    ("pattern", "client", "fits"),
    [
        ("%", "anything", True),
        ("", "anything", True),
        ("localhost", "LOCALHOST", True),
        ("10.1.%", "10.1.2.3", True),
        ("10.1.%", "10.10.2.3", False),
        ("db_", "db1", True),
        ("db_", "db12", False),
        (r"db\_1", "db_1", True),
        (r"db\_1", "dbx1", False),
        ("10.0.0.0/255.0.0.0", "10.200.1.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "a.name", False),
        ("a.c", "abc", False),
    ],
)
def test_patterns_are_those_of_like(pattern: str, client: str, *, fits: bool) -> None:
    assert covers(pattern, client) is fits


def test_the_host_decides_before_the_name() -> None:
    accounts = [("app", "%"), ("", "localhost"), ("app", "10.%")]
    assert chosen(accounts, "app", "localhost") == ("", "localhost")
    assert chosen(accounts, "app", "10.1.1.1") == ("app", "10.%")
    assert chosen(accounts, "app", "192.168.1.1") == ("app", "%")
    assert chosen(accounts, "other", "192.168.1.1") is None
    assert chosen([("app", "localhost"), ("", "localhost")], "app", "localhost") == ("app", "localhost")


def test_literal_hosts_come_before_networks_patterns_and_anything() -> None:
    assert sorted(HOSTS, key=order)[-2:] == ["%", ""]
    assert order("10.1.2.3") < order("10.0.0.0/8") < order("10.1.2.%") < order("10.1.%") < order("%")


@given(st.sampled_from(HOSTS), st.sampled_from(HOSTS), st.sampled_from(CLIENTS))
def test_inside_is_never_said_of_what_a_client_contradicts(inner: str, outer: str, client: str) -> None:
    if inside(inner, outer) and covers(inner, client):
        assert covers(outer, client)
