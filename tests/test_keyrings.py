"""One keyring, pinned: what is refused, what is used, and what it says when it fails."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import keyring.core
import keyring.errors
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import null

from console.config import Config, parse
from console.errors import ConfigError, DbdeckError, Exit, SecretsUnavailable, VaultLocked
from console.keyrings import Keyring, Pinned, check, current, pin
from console.secrets import Secret, resolve
from console.vault.backend import VaultKeyring
from console.vault.masters import CREDENTIAL
from tests import keyrings_for_tests as backends
from tests.guards.sources import ROOT

HERE = "tests.keyrings_for_tests"


@pytest.mark.parametrize(
    ("backend", "why"),
    [
        ("null", "forgets"),
        ("plaintext", "does not encrypt"),
        ("chainer", "hides a new one"),
        ("fail", "found none"),
        ("auto", "over SSH"),
        ("keyring.backends.null.Keyring", "forgets"),
        ("keyring.backends.fail.Keyring", "found none"),
        ("keyring.backends.chainer.ChainerBackend", "hides"),
        ("keyrings.alt.file.PlaintextKeyring", "does not encrypt"),
        ("gnome", "no keyring backend"),
        ("a.b c", "no keyring backend"),
        ("", "no keyring backend"),
    ],
)
def test_a_backend_that_is_none_or_unsafe_is_refused_saying_what_to_write(backend: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refused:
        parse(f"theme: dbdeck\nkeyring:\n  backend: '{backend}'\n", "c.yaml")
    assert "c.yaml, line 3" in refused.value.message
    assert "backend: vault" in refused.value.hint


@pytest.mark.parametrize(
    "backend", ["vault", "secret-service", "pass", "keyring.backends.macOS.Keyring", "shop.failover.Nullable"]
)
def test_a_backend_may_be_a_word_or_a_dotted_name(backend: str) -> None:
    check(backend)
    assert parse(f"keyring: {{backend: {backend}}}\n").keyring.backend == backend


def test_the_default_is_the_vault() -> None:
    pinned = pin(Config().keyring, environ={})
    assert (pinned.name, pinned.by) == ("vault", "default")
    assert isinstance(pinned.open(), VaultKeyring)
    assert current() is pinned


def test_the_environment_pins_where_the_config_does_not() -> None:
    environ = {"PYTHON_KEYRING_BACKEND": f"{HERE}.Good"}
    assert type(pin(Keyring(), environ=environ).open()) is backends.Good
    assert pin(Keyring(backend="vault"), environ=environ).name == "vault"
    with pytest.raises(ConfigError, match="refused"):
        pin(Keyring(), environ={"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}).open()


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        ("none.such.Keyring", "not installed"),
        (f"{HERE}.Missing", "cannot be used here"),
        (f"{HERE}.Unfit", "no D-Bus here"),
        ("pass", "not installed"),
        ("keyring.backends.macOS.Keyring", "cannot be used here"),
        (f"{HERE}.NullKeyring", "refused"),
    ],
)
def test_a_backend_that_cannot_be_used_here_is_a_config_error(backend: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as fault:
        pin(Keyring(backend=backend), environ={}).get("dbdeck", "one")
    assert fault.value.hint


def test_a_class_that_is_a_refused_one_by_another_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = type("Fine", (null.Keyring,), {"__module__": HERE})
    monkeypatch.setattr(backends, "Fine", hidden, raising=False)
    with pytest.raises(ConfigError, match=r"it is a keyring\.backends\.null\.Keyring"):
        pin(Keyring(backend=f"{HERE}.Fine"), environ={}).open()


def test_a_reference_is_looked_up_in_the_pinned_backend() -> None:
    pinned = pin(Keyring(backend=f"{HERE}.Good"), environ={})
    pinned.put("dbdeck/orders", "monitor", Secret("hunter2"))
    assert resolve("keyring:dbdeck/orders/monitor") == Secret("hunter2")
    assert pinned.delete("dbdeck/orders", "monitor") is True
    assert pinned.delete("dbdeck/orders", "monitor") is False
    with pytest.raises(ConfigError, match="no entry"):
        resolve("keyring:dbdeck/orders/monitor")


def test_a_reference_is_looked_up_in_the_vault(tmp_path: Path) -> None:
    pinned = pinned_vault(tmp_path)
    pinned.put("dbdeck/orders", "monitor", Secret("hunter2"))
    assert resolve("keyring:dbdeck/orders/monitor") == Secret("hunter2")


def pinned_vault(folder: Path, master: str = "master") -> Pinned:
    """With the usual cost; its master is a credential of systemd."""
    (folder / CREDENTIAL).write_text(f"{master}\n")
    section = Keyring(vault=str(folder / "state" / "vault"))
    return pin(section, environ={"CREDENTIALS_DIRECTORY": str(folder)})


def test_the_vaults_errors_keep_their_kind_and_hint(tmp_path: Path) -> None:
    pinned_vault(tmp_path).put("dbdeck", "one", Secret("1"))
    with pytest.raises(VaultLocked, match="locked") as locked:
        pin(Keyring(vault=str(tmp_path / "state" / "vault")), environ={}).get("dbdeck", "one")
    assert locked.value.exit == Exit.USAGE
    assert all(way in locked.value.hint for way in ("--master-key-fd", CREDENTIAL, "terminal"))


def test_neither_a_value_nor_the_master_is_in_any_error(tmp_path: Path) -> None:
    errors: list[DbdeckError] = []
    master = "c4n4ry-m4st3r"
    pinned_vault(tmp_path, master).put("dbdeck", "one", Secret(backends.VALUE))
    (tmp_path / "state" / "vault").chmod(0o644)
    calls: list[Callable[[], object]] = [
        lambda: pinned_vault(tmp_path, master).put("dbdeck", "two", Secret(backends.VALUE)),
        lambda: pin(Keyring(backend=f"{HERE}.Leaks")).get("dbdeck", "one"),
        lambda: pin(Keyring(backend=f"{HERE}.Leaks")).put("dbdeck", "one", Secret(backends.VALUE)),
    ]
    for call in calls:
        with pytest.raises(SecretsUnavailable) as refused:
            call()
        errors.append(refused.value)
    (tmp_path / "state" / "vault").chmod(0o600)
    with pytest.raises(VaultLocked) as locked:
        pinned_vault(tmp_path, master + "x").get("dbdeck", "one")
    for error in [*errors, locked.value]:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        text = shown.replace(repr(backends.VALUE), "").replace(repr(master), "")  # this test's own names
        frames = [part for part in text.split("  File ") if "tests/test_keyrings" not in part]
        assert backends.VALUE not in "".join(frames)
        assert master not in "".join(frames)
        assert error.__context__ is None or error.__suppress_context__
        assert backends.VALUE not in error.message + error.hint
        assert master not in error.message + error.hint


# ---- other applications ----------------------------------------------------------------------


def test_no_other_application_picks_the_vault_by_itself() -> None:
    """Even where our module is loaded and nothing else is to be had."""
    program = "import console.vault.backend, keyring; print(type(keyring.get_keyring()).__module__)"
    environ = {name: text for name, text in os.environ.items() if name != "PYTHON_KEYRING_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    assert not done.stdout.startswith("console")
    assert VaultKeyring.priority < 0
    assert [one for one in entry_points(group="keyring.backends") if one.value.startswith("console")] == []


def test_who_names_the_vault_gets_it_without_anything_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KEYRING_PROPERTY_MASTER", "x")
    made: KeyringBackend = keyring.core.load_keyring("console.vault.backend.VaultKeyring")
    assert not hasattr(made, "master")
    assert made.get_password("dbdeck", "one") is None
    with pytest.raises(keyring.errors.KeyringLocked):
        made.set_password("dbdeck", "one", "1")
    with pytest.raises(keyring.errors.KeyringLocked):
        made.delete_password("dbdeck", "one")
