"""What kind of file system holds a path: a record must outlive a reboot."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_VOLATILE: Final = frozenset({"tmpfs", "ramfs", "devtmpfs"})
_REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"})
_MOUNTS: Final = Path("/proc/self/mountinfo")


def refuse_memory(folder: Path) -> None:
    """Raises OSError for a file system that a reboot empties."""
    kind = _kind(folder)
    if kind in _VOLATILE:
        raise OSError(0, f"its folder is on {kind}, which a reboot empties")


def network_note(what: str, path: Path) -> str:
    """A warning for a network file system, else nothing."""
    kind = _kind(path)
    return f"{what} {path} is on {kind}: locks and fsync depend on its server" if kind in _REMOTE else ""


def _kind(path: Path) -> str:
    """Empty where the system does not tell (only Linux does)."""
    return file_system(path.resolve(), _MOUNTS.read_text()) if _MOUNTS.exists() else ""


def file_system(path: Path, mountinfo: str) -> str:
    """The type of the mount that holds `path`, by the text of proc(5) mountinfo; empty: unknown."""
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        mount = Path(_unescape(before.split(" ")[4]))
        # A later mount on the same point covers the earlier one.
        if path.is_relative_to(mount) and len(mount.parts) >= best:
            best, kind = len(mount.parts), after.split(" ")[0]
    return kind


def _unescape(text: str) -> str:
    for code in ("040", "011", "012", "134"):
        text = text.replace(f"\\{code}", chr(int(code, 8)))
    return text
