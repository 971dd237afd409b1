"""What is said of an action before it is planned."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
import pytest

import actions
from console.dispatch.registry import Registry
from console.model.target import EngineKind
from console.present.actions import beforehand, by_engine, describe
from console.present.fields import Field, explained, fields

REGISTRY = Registry(actions.ALL)


def told(name: str) -> str:
    return "\n".join(line for _, line in describe(REGISTRY.get(name)))


def test_it_has_risk_undo_locks_rights_and_arguments() -> None:
    text = told("index.create")
    assert "risk: low; medium with `concurrently=false`" in text
    assert "undo: drop it" in text
    assert "ShareUpdateExclusiveLock on the table" in text
    assert "needs: `INDEX` on the table" in text
    assert "column (required): text; may be repeated" in text


def test_engines_that_are_alike_are_told_once() -> None:
    names = [
        label for label, _ in by_engine(REGISTRY.get("index.create"), ("postgresql", "mysql", "mariadb"))
    ]
    assert names == ["PostgreSQL", "MySQL, MariaDB"]


def test_before_the_arguments_only_the_engine_of_the_target_is_told() -> None:
    said = "\n".join(beforehand(REGISTRY.get("index.create"), EngineKind.MYSQL))
    assert "metadata lock EXCLUSIVE" in said
    assert "ShareUpdateExclusiveLock" not in said


def test_of_a_server_that_said_what_it_is_only_that_is_told() -> None:
    """On a MariaDB it stood beside what holds on MySQL, and filled a screen of 24 lines."""
    said = "\n".join(beforehand(REGISTRY.get("table.optimize"), EngineKind.MYSQL, "mariadb"))
    assert "needs: `SELECT` and `INSERT`" in said
    assert "OPTIMIZE_LOCAL_TABLE" not in said
    assert "(MySQL)" not in said


def test_an_action_that_the_engine_has_not_says_nothing_of_its_locks() -> None:
    assert len(beforehand(REGISTRY.get("slot.drop"), EngineKind.MYSQL)) == 1


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """The base's
    words."""

    jobs: Annotated[int, msgspec.Meta(ge=1, le=32)] = 1


class Sample(Base, frozen=True, kw_only=True):
    """Its own words."""

    name: str
    many: str | tuple[str, ...] = ()
    wait: str | float = "2s"
    colour: Colour = Colour.RED
    way: Literal["", "auto", "on"] = ""
    least: Annotated[int, msgspec.Meta(ge=0)] = 0
    number: Annotated[int, msgspec.Meta(gt=0, le=(1 << 63) - 1)] | None = None
    tags: dict[str, str] = {}
    done: bool = False


@pytest.mark.parametrize(
    "wanted",
    [
        Field(name="name", type="text", default=None),
        Field(name="jobs", type="integer from 1 to 32", default="1"),
        Field(name="many", type="text; may be repeated", default=""),
        Field(name="wait", type="duration, like `90s`, `10m`, or seconds", default="2s"),
        Field(name="colour", type="`red` `blue`", default="red"),
        Field(name="way", type="`auto` `on`", default=""),
        Field(name="least", type="integer of at least 0", default="0"),
        Field(name="number", type="integer above 0", default=""),
        Field(name="tags", type="mapping of names to text", default=""),
        Field(name="done", type="true or false", default="false"),
    ],
    ids=lambda one: one.name,
)
def test_a_field_has_its_type_and_default_in_words(wanted: Field) -> None:
    found = {one.name: one for one in fields(Sample)}
    assert found[wanted.name] == wanted


def test_required_fields_stand_first() -> None:
    assert next(iter(fields(Sample))).name == "name"


def test_docstrings_of_what_it_goes_on_from_belong_to_it() -> None:
    assert explained(Sample) == ("Its own words.", "The base's words.")
