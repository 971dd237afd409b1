"""What DBAs talk about: frozen values and pure functions over them."""

from __future__ import annotations
