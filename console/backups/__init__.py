"""Backups as they lie there: found, looked into and described; nothing here changes or restores one."""
