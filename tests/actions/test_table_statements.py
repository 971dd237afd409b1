"""What statements are refused before they are sent."""

from __future__ import annotations

import msgspec
import pytest

from actions.table_statements import VacuumOptions, vacuum
from console.errors import UsageError
from tests.fakes import IDENTITY


def sql(**options: object) -> str:
    return vacuum(IDENTITY, "public", "orders", VacuumOptions(**options)).sql  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["128kB", "128", "16GB", "16384MB", "0", "0GB", "2 MB", "131072B"])
def test_a_buffer_usage_limit_in_its_range_is_sent_as_it_was_given(given: str) -> None:
    assert sql(buffer_usage_limit=given) == f'vacuum (buffer_usage_limit \'{given}\') "public"."orders"'


@pytest.mark.parametrize(
    "given", ["127kB", "1", "17GB", "1TB", "16385MB", "-1", "2mb", "much", "1'", "2MB'; x"]
)
def test_a_buffer_usage_limit_beyond_its_range_is_refused_with_the_range(given: str) -> None:
    with pytest.raises(UsageError, match="from 128kB to 16GB, or is 0") as refused:
        sql(buffer_usage_limit=given)
    assert "nothing was executed" in refused.value.message


def test_a_vacuum_full_takes_one_only_with_analyze() -> None:
    with pytest.raises(UsageError, match="takes no buffer_usage_limit"):
        sql(full=True, buffer_usage_limit="2MB")
    assert "analyze" in sql(full=True, analyze=True, buffer_usage_limit="2MB")


def test_an_option_the_server_has_not_is_refused_with_its_version() -> None:
    old = msgspec.structs.replace(IDENTITY, version_num=150004)
    with pytest.raises(UsageError, match="BUFFER_USAGE_LIMIT"):
        vacuum(old, "public", "orders", VacuumOptions(buffer_usage_limit="2MB"))
