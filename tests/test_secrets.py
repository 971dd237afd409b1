"""References: each kind, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.errors import ConfigError
from console.secrets import Secret, resolve, split_name, use_keyring


def looked_up(service: str, name: str) -> Secret | None:
    return Secret("hunter2") if (service, name) == ("dbdeck/orders", "monitor") else None


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("hunter2\n")
    path.chmod(0o600)
    return path


def test_each_kind_of_reference(secret_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2")
    use_keyring(looked_up)
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
def test_what_cannot_be_had_is_a_config_error(reference: str) -> None:
    use_keyring(looked_up)
    with pytest.raises(ConfigError):
        resolve(reference)


def test_a_missing_entry_tells_how_to_store_one() -> None:
    use_keyring(looked_up)
    with pytest.raises(ConfigError) as fault:
        resolve("keyring:my shop/orders/monitor")
    assert fault.value.hint == "store one with: dbdeck secret set 'my shop/orders/monitor'"


def test_a_service_may_have_slashes() -> None:
    assert split_name("dbdeck/orders/monitor") == ("dbdeck/orders", "monitor")


@pytest.mark.parametrize("name", ["", "monitor", "/monitor", "dbdeck/", "dbdeck/a\nb", "dbdeck/\x1b[2J"])
def test_what_is_no_name_of_a_secret_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="SERVICE/NAME"):
        split_name(name)
