"""What must hold of the project as a whole, whatever anybody changes in it."""

from __future__ import annotations
