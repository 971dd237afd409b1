"""~/.mylogin.cnf as mysql_config_editor of MySQL 9.7 wrote it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.model import option_file
from console.model.login_path import text_of

# `set --login-path=client --user=ann --host=db9 --port=3310 --password`, then prod: bob at db8.example.net.
WRITTEN = bytes.fromhex(
    "000000000f18130713170e031c1b181e0d050d1f0e1c1f081000000082115be6055b99ed6df2a79573ad6b5a10000000"
    "4b4b5be7c6df6bf456227e8316aeb73b20000000218656668b6d0d9dc04d7ca077189b44751d65f30bea9a4e4befe658"
    "6466960a10000000e644ff2de6a3d9418abb6d0d96025b16100000000ebdf41ac8ea588c6845a6c7b3e4963410000000"
    "f99a7a76fa51d2fee1672cb143f7a122100000000f8b7dd3198220bf304eb4a40743769720000000218656668b6d0d9d"
    "c04d7ca077189b44751d65f30bea9a4e4befe6586466960a20000000c17ea23426e99c5eee2b41021f79c0e4945c895c"
    "95292a826610fae5ba538bdf"
)
WORD = "c4n4ry # \"x\\y'z"


def test_what_mysql_config_editor_wrote_is_read() -> None:
    text = text_of(WRITTEN)
    assert option_file.sections(text) == ("client", "prod")
    assert option_file.options(text, "client") == {
        "user": "ann",
        "password": WORD,
        "host": "db9",
        "port": "3310",
    }
    assert option_file.options(text, "prod")["host"] == "db8.example.net"
    assert option_file.options(text, "prod")["password"] == WORD


@pytest.mark.parametrize("cut", [25, 27, 30, len(WRITTEN) - 1])
def test_a_file_that_was_cut_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="no login path file"):
        text_of(WRITTEN[:cut])


def test_another_key_is_seen() -> None:
    with pytest.raises(ValueError, match="key was changed"):
        text_of(WRITTEN[:4] + bytes(20) + WRITTEN[24:])


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_bytes_are_text_or_are_refused_and_never_anything_else(head: bytes, tail: bytes) -> None:
    for data in (head, WRITTEN[:24] + tail, WRITTEN + tail):
        try:
            text_of(data)
        except ValueError:
            continue
