"""What must not get into a clipboard: text that may hold a secret."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = re.compile(
    r"pass(?:word|wd|phrase)|pwd|identified\s+(?:by|with|via)|secret|token|api_?key|access_?key|private\s+key|"
    r"md5[0-9a-f]{32}|\*[0-9A-F]{40}|authentication_string|scram-sha-256|credential|://[^/\s:@]*:[^/\s@]+@",
    re.IGNORECASE,
)


def credential_word(text: str) -> str | None:
    """The first word that goes with a secret; rather one too many than a password copied."""
    found = _WORDS.search(text)
    return found[0] if found else None
