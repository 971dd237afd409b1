"""Tests of console.runbook."""

from __future__ import annotations
