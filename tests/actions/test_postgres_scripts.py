"""Scripts on their way into psql: what is taken out, and what is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.postgres_scripts import neutral, without_locale, without_place


def one(line: bytes) -> bytes:
    (found,) = neutral([line])
    return found


@pytest.mark.parametrize(
    "password", [b"'SCRAM-SHA-256$4096:a==$b:c'", b"E'it''s \\\\ odd'", b"'md5aa'", b"NULL"]
)
def test_a_role_gets_no_password(password: bytes) -> None:
    line = b"ALTER ROLE app WITH LOGIN PASSWORD " + password + b" VALID UNTIL 'infinity';\n"
    assert one(line) == b"ALTER ROLE app WITH LOGIN VALID UNTIL 'infinity';\n"


@pytest.mark.parametrize(
    "line",
    [
        b"CREATE TABLESPACE fast OWNER app LOCATION '/srv/fast';\n",
        b"ALTER TABLESPACE fast SET (random_page_cost=1);\n",
        b"GRANT CREATE ON TABLESPACE fast TO app;\n",
        b"SET default_tablespace = fast;\n",
    ],
)
def test_no_tablespace_is_made_or_used(line: bytes) -> None:
    assert one(line) == b"\n"


def test_a_database_is_made_in_the_servers_own_folder() -> None:
    line = b'CREATE DATABASE shop WITH TEMPLATE = template0 TABLESPACE = "odd ""one" ENCODING = \'UTF8\';\n'
    assert one(line) == b"CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8';\n"
    assert "TABLESPACE" not in without_place(line.decode())


@given(
    st.lists(
        st.sampled_from([b"CREATE TABLESPACE x LOCATION '/y';\n", b"ALTER ROLE a PASSWORD 'b';\n", b"1\t2\n"])
    )
)
def test_rows_are_never_touched(rows: list[bytes]) -> None:
    script = [b"COPY s.t (a, b) FROM stdin;\n", *rows, b"\\.\n"]
    assert list(neutral(script)) == script


def test_what_comes_after_the_rows_is_changed_again() -> None:
    script = [b"COPY t FROM stdin;\n", b"1\n", b"\\.\n", b"CREATE TABLESPACE x LOCATION '/y';\n"]
    assert list(neutral(script))[-1] == b"\n"


@pytest.mark.parametrize(
    "locale",
    [
        "LOCALE = 'de_DE.UTF-8'",
        "LC_COLLATE = 'de_DE.UTF-8' LC_CTYPE = 'de_DE.UTF-8'",
        "LOCALE_PROVIDER = icu LOCALE = 'C' ICU_LOCALE = 'de'",
        "LOCALE_PROVIDER = builtin LOCALE = 'C' BUILTIN_LOCALE = 'C.UTF-8'",
    ],
)
def test_a_database_without_its_locale_has_that_of_every_machine(locale: str) -> None:
    statement = f"CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8' {locale};\n"
    made = without_locale(statement)
    assert (
        made
        == "CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8' LC_COLLATE = 'C' LC_CTYPE = 'C'"
    )
