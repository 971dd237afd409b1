"""docs/licences.md: what dbdeck is installed with and under which licences, by the metadata that is there.

Which distributions these are is what requirements/*.txt pin for Linux and the oldest Python. One that this
Python does without keeps its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from packaging.markers import Marker

from docs.generator.markdown import page as made
from docs.generator.markdown import table

_ROOT = Path(__file__).resolve().parents[2]
_PAGE = _ROOT / "docs" / "licences.md"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+?)(?: ; (.*?))?(?: \\)?$", re.MULTILINE)
_LINUX = {
    "sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64",
    "platform_python_implementation": "CPython", "implementation_name": "cpython",
    "python_version": "3.11", "python_full_version": "3.11.0",
}  # fmt: skip
_INTRO = """dbdeck itself is [Apache-2.0](../LICENSE). With it these are installed, as
`requirements/*.txt` pin them for Linux; newer Pythons need a few less. Nothing of them is copied into
dbdeck."""


def page() -> str:
    run = pinned("run")
    demo = {name: version for name, version in pinned("demo").items() if name not in run}
    return made(
        "Licences",
        [*_INTRO.splitlines(), ""],
        _list("Run time", run),
        _list("The extra `demo`, and how a checkout is installed", demo),
    )


def pinned(name: str) -> dict[str, str]:
    """name -> version, of those that Linux takes."""
    text = (_ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    return {
        name: version
        for name, version, marker in _PINNED.findall(text)
        if not marker or Marker(marker).evaluate(_LINUX)
    }


def _list(title: str, names: dict[str, str]) -> Iterator[str]:
    known = dict(re.findall(r"^\| `([^`]+)` \| [^|]+ \| (.+) \|$", _before(), re.MULTILINE))
    rows = [(f"`{name}`", version, licence(name) or known.get(name, "")) for name, version in names.items()]
    yield from (f"## {title}", "", *table(("distribution", "version", "licence"), rows))


def _before() -> str:
    return _PAGE.read_text(encoding="utf-8") if _PAGE.exists() else ""


def licence(name: str) -> str:
    """As its metadata names it: an expression, a short text, or trove classifiers; empty for none."""
    try:
        found: Message = metadata(name)  # type: ignore[assignment]
    except PackageNotFoundError:
        return ""
    expression = str(found.get("License-Expression") or "")
    if expression:
        return expression
    said = str(found.get("License") or "").strip()
    if said and "\n" not in said and len(said) < 60:
        return said
    classifiers = found.get_all("Classifier") or []
    return ", ".join(
        str(one).rpartition(" :: ")[2] for one in classifiers if str(one).startswith("License :: ")
    )
