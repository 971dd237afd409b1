"""A throw-away server with a live incident: what `dbdeck demo` opens the console on.

The clients here play the application that has the trouble; dbdeck acts on them only through the
dispatcher, as it would anywhere.
"""

from __future__ import annotations
