"""The actions dbdeck is loaded with. ALL is what the registry gets."""

from __future__ import annotations

from typing import Any

from actions.sessions import CancelQuery, TerminateSession
from console.dispatch.action import Action

ALL: tuple[Action[Any], ...] = (CancelQuery(), TerminateSession())
