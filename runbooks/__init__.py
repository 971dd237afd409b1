"""The runbook documents that are shipped, data only."""

from __future__ import annotations
