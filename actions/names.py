"""Names of tables and indexes as people type them, and as they are shown: `orders`, `shop.orders`,
`"odd.schema"."odd ""name"`.
"""

from __future__ import annotations

from console.present.names import parse as parse_name
from console.present.names import shown as show_name

__all__ = ["Name", "parse_name", "show_name"]

Name = tuple[str, str]
