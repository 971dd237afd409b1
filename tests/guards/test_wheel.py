"""What is installed: three packages with all their files, one command, and nothing else."""

from __future__ import annotations

import configparser
import re
import zipfile
from email.parser import Parser
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from tests.guards.sources import PACKAGES, ROOT

DATA = {".json", ".sql", ".tcss", ".txt", ".yaml", ".yml", ".typed"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built by the backend itself: neither an environment nor a network is needed."""
    folder = tmp_path_factory.mktemp("wheel")
    built = list(WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"]))
    assert len(built) == 1
    return zipfile.ZipFile(built[0])


def _info(wheel: zipfile.ZipFile, name: str) -> str:
    """A file of the dist-info folder, as text."""
    found = [path for path in wheel.namelist() if re.fullmatch(rf"dbdeck-[^/]+\.dist-info/{name}", path)]
    assert len(found) == 1, found
    return wheel.read(found[0]).decode()


def _sources() -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix in {*DATA, ".py"}
    }


def test_its_top_level_is_our_three_packages(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    info = {top for top in tops if top.endswith((".dist-info", ".data"))}
    assert tops - info == set(PACKAGES)
    assert len(info) == 2


def test_every_file_of_the_packages_is_in_it(wheel: zipfile.ZipFile) -> None:
    assert _sources() - set(wheel.namelist()) == set()


def test_nothing_else_is_in_it(wheel: zipfile.ZipFile) -> None:
    """Neither tests, nor caches, nor what happened to lie in the checkout."""
    inside = {name for name in wheel.namelist() if not re.match(r"dbdeck-[^/]+\.(dist-info|data)/", name)}
    assert inside - _sources() == set()


SHARED = {
    "share/man/man1/dbdeck.1",
    "share/bash-completion/completions/dbdeck",
    "share/zsh/site-functions/_dbdeck",
    "share/fish/vendor_completions.d/dbdeck.fish",
}


def test_the_man_page_and_the_completions_go_below_the_prefix(wheel: zipfile.ZipFile) -> None:
    """And nothing else does: whatever is there is put beside the files of others."""
    found = {
        parts[1]: wheel.read(name).decode()
        for name in wheel.namelist()
        if len(parts := name.split(".data/data/")) == 2
    }
    assert found == {name: (ROOT / name).read_text(encoding="utf-8") for name in SHARED}


def test_every_package_is_typed(wheel: zipfile.ZipFile) -> None:
    """A type checker takes the marker of one package for that package only."""
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(wheel.namelist())


def test_it_has_one_command(wheel: zipfile.ZipFile) -> None:
    parsed = configparser.ConfigParser()
    parsed.read_string(_info(wheel, r"entry_points\.txt"))
    assert {name: dict(parsed[name]) for name in parsed.sections()} == {
        "console_scripts": {"dbdeck": "console.__main__:main"}
    }


def test_the_licence_is_in_it_whole(wheel: zipfile.ZipFile) -> None:
    assert _info(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert Parser().parsestr(_info(wheel, "METADATA"))["License-Expression"] == "Apache-2.0"


def test_the_demo_is_an_extra(wheel: zipfile.ZipFile) -> None:
    metadata = Parser().parsestr(_info(wheel, "METADATA"))
    wanted = metadata.get_all("Requires-Dist") or []
    servers = [line for line in wanted if "postgres" in line]
    assert servers
    assert all("extra == 'demo'" in line for line in servers)


@pytest.mark.parametrize("name", PACKAGES)
def test_the_name_of_a_package_is_ours_alone(name: str) -> None:
    """Other distributions install these names too, and would overwrite our files without a word."""
    assert set(packages_distributions().get(name, ())) <= {"dbdeck"}
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin == str(Path(ROOT, name, "__init__.py"))
