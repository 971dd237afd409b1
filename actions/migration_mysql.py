"""How a script is run on MySQL and MariaDB: by the client that loads dumps, to its first error.

Each change of a definition commits by itself there (MySQL manual 15.3.3): nothing is one transaction.
"""

from __future__ import annotations

from pathlib import Path

from actions import mysql_load
from actions.migration_clients import Ended, Ran
from actions.mysql_fence import Scratch, client_options, find_tools
from actions.restoring import Restored, Site
from console.dispatch.enclosure import Enclosure, Work
from console.errors import ActionFailed
from console.model.drills import Check


class MysqlClient:
    def __init__(self) -> None:
        self._site: Site
        self._enclosure: Enclosure
        self._scratch: Scratch

    async def ready(self, site: Site, enclosure: Enclosure, restored: Restored) -> None:
        tools = await find_tools(site)
        if isinstance(tools, Check):
            raise ActionFailed(f"{tools.detail}; no script was run")
        target = restored.target
        self._scratch = Scratch(tools, target, client_options(enclosure), Path(target.host))
        self._site, self._enclosure = site, enclosure

    async def run(self, given: Ran) -> Ended:
        argv = mysql_load.client(self._enclosure, self._scratch, f"--database={given.database}")
        heard = await self._site.unless_stopped(self._enclosure.run(Work(argv, given.what, stdin=given.file)))
        if heard.code == 0:
            return Ended()
        found = mysql_load.refusal(heard.complaint)
        if found is None:
            return Ended(f"the client {heard.why}")
        return Ended(f"{found.words} ({found.code})", found.line)
