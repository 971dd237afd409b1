"""How bytes reach a server: TLS contexts and the MySQL driver, for engines and ledger."""

from __future__ import annotations
