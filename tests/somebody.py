"""`python -m tests.somebody NAME …`: the command as it runs for another account. A test has only its own.

What this machine says of the account is put in its place; LOGNAME would change nothing.
"""

from __future__ import annotations

import os
import pwd
import sys


def become(name: str) -> None:
    number, known = os.getuid(), pwd.getpwuid

    def getpwuid(asked: int) -> pwd.struct_passwd:
        found = known(asked)
        return pwd.struct_passwd((name, *found[1:])) if asked == number else found

    pwd.getpwuid = getpwuid


if __name__ == "__main__":
    become(sys.argv.pop(1))
    from console.__main__ import main

    sys.argv[0] = "dbdeck"
    sys.exit(main())
