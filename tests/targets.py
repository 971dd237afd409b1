"""Targets of the test servers as the code has them."""

from __future__ import annotations

from typing import Any

import yaml

from console.config import parse
from console.model.target import Target
from tests.servers.fleet import Server


def target_of(server: Server, **over: Any) -> Target:
    return parse(yaml.safe_dump({"targets": {"t": server.target_dict(**over)}})).target("t")
