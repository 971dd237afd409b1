"""What a plan of a rotation warns of."""

from __future__ import annotations

import msgspec

from actions.credential_aims import Aim
from actions.credential_words import warnings
from console.model.accounts import Account, Breaks, Dependent
from console.model.hooks import ExecHook, Hook
from console.model.verifiers import VerifierKind
from tests.fakes import TARGET

READER = Dependent(kind="standby", name="walreceiver", breaks=Breaks.RECONNECT, user="ann")
ROW = Account(name="ann", dependents=(READER,))
AIM = Aim(
    user="ann", keys=(("ann", None),), entry="a/b", rotation="1", kind=VerifierKind.SCRAM, flavor="postgresql"
)


def test_a_dependent_without_a_hook_is_warned_of() -> None:
    (line,) = warnings([AIM], [ROW], TARGET)
    assert line == (
        "standby walreceiver logs in as ann: it breaks at its next reconnect, and no hook hands the new "
        "password on to it"
    )


def test_one_that_a_hook_covers_is_not() -> None:
    hook = Hook(covers=("wal*",), exec=ExecHook(argv=("/bin/true",)))
    assert warnings([msgspec.structs.replace(AIM, hooks=(hook,))], [ROW], TARGET) == ()
