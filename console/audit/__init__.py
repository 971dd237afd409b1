"""The ledger: no effect without a durable record made before it, no unnoticed change of a record.

It makes tampering visible; it does not make a superuser harmless, and it cannot see what is done
outside dbdeck.
"""

from __future__ import annotations
