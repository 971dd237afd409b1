"""The runbook documents, data only (none ship yet)."""

from __future__ import annotations
