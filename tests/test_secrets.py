"""References: each kind, and what is refused."""

from __future__ import annotations

from pathlib import Path

import keyring
import keyring.backend
import pytest

from console.errors import ConfigError
from console.secrets import Secret, resolve


class Memory(keyring.backend.KeyringBackend):
    """A keyring that is safe to use."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        return "hunter2" if (service, username) == ("dbdeck/orders", "monitor") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


class NullKeyring(Memory):
    """One that swallows what is stored."""


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("hunter2\n")
    path.chmod(0o600)
    return path


def test_each_kind_of_reference(secret_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2")
    monkeypatch.setattr(keyring, "get_keyring", Memory)
    references = [
        "env:SHOP_PASSWORD",
        f"file:{secret_file}",
        "command:printf hunter2",
        "keyring:dbdeck/orders/monitor",
    ]
    assert [resolve(reference) for reference in references] == [Secret("hunter2")] * 4


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_others_may_read_is_refused(secret_file: Path, mode: int) -> None:
    secret_file.chmod(mode)
    with pytest.raises(ConfigError, match="mode") as fault:
        resolve(f"file:{secret_file}")
    assert "chmod 0600" in fault.value.hint


@pytest.mark.parametrize(
    "reference",
    ["env:NOT_SET_ANYWHERE", "file:/none/such", "command:false", "command:/none/such", "command:'",
     "keyring:dbdeck/none", "keyring:nothing", "hunter2", "env:", "vault:x"],
)  # fmt: skip
def test_what_cannot_be_had_is_a_config_error(reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "get_keyring", Memory)
    with pytest.raises(ConfigError):
        resolve(reference)


def test_a_keyring_that_loses_secrets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "get_keyring", NullKeyring)
    with pytest.raises(ConfigError, match="not safe"):
        resolve("keyring:dbdeck/orders/monitor")
