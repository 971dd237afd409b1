"""Makes the pages, the man page and the completions that say what the code says. `make docs` runs it.

`tests/guards/test_generated.py` fails where a file is not what this makes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from docs.generator import (
    actions_page,
    cli_page,
    completion,
    config_page,
    licences,
    manual,
    panes_page,
    runbooks_page,
)

ROOT = Path(__file__).resolve().parents[1]
MADE: Mapping[str, Callable[[], str]] = {
    "docs/reference/actions.md": actions_page.page,
    "docs/reference/config.md": config_page.page,
    "docs/reference/runbooks.md": runbooks_page.page,
    "docs/reference/cli.md": cli_page.page,
    "docs/licences.md": licences.page,
    **panes_page.pages(),
    "share/man/man1/dbdeck.1": manual.page,
    "share/bash-completion/completions/dbdeck": lambda: completion.script("bash"),
    "share/zsh/site-functions/_dbdeck": lambda: completion.script("zsh"),
    "share/fish/vendor_completions.d/dbdeck.fish": lambda: completion.script("fish"),
}


def main() -> None:
    for name, make in MADE.items():
        place = ROOT / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
