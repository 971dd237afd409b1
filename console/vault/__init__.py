"""The vault: one encrypted file for the passwords of a host that has no desktop and so no keyring.

What it protects from, and what not, is in docs/secrets.md.
"""
