"""Backends of `keyring` to pin in tests: good ones, and each way in which one can be bad."""

from __future__ import annotations

import threading
from typing import ClassVar

import keyring.backend
from keyring.errors import PasswordDeleteError, PasswordSetError

VALUE = "c4n4ry-v4lu3"


class Good(keyring.backend.KeyringBackend):
    priority = -1
    entries: ClassVar[dict[tuple[str, str], str]] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.entries.pop((service, username), None) is None:
            raise PasswordDeleteError("not there")


class NullKeyring(Good):
    """By its name; keyring's own is one too."""


class Forgets(Good):
    """Takes everything and has nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        return


class Keeps(Good):
    """Never lets go of an entry."""

    def delete_password(self, service: str, username: str) -> None:
        raise PasswordDeleteError("no")


class Leaks(Good):
    """Errors that repeat the value, of keyring's own kind and of another."""

    def get_password(self, service: str, username: str) -> str | None:
        raise ValueError(f"{service} {username} {VALUE}")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise PasswordSetError(f"cannot store {password}")


class Hangs(Good):
    """As a desktop's keyring that waits for somebody to unlock it."""

    answer = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.answer.wait()
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        self.answer.wait()


class Unfit(Good):
    """Not for this machine."""

    def __init__(self) -> None:
        raise RuntimeError("no D-Bus here")
