"""Folders of Percona XtraBackup: as those of mariadb-backup, which came from it."""

from __future__ import annotations

from console.backups.mariabackup import find

__all__ = ["find"]
