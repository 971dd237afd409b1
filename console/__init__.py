"""dbdeck: an operations console for PostgreSQL, MySQL and MariaDB."""

from __future__ import annotations

__version__ = "0.1.0"
