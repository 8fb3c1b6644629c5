"""The command line: it parses, calls and prints. No science in it.

Exit codes: 0 done, 1 `check` found something wrong, 2 something given is not valid (one clear message, nothing overwritten),
3 all is done, but there was no room for
what the command is to print, 130 interrupted (Ctrl-C, SIGTERM or SIGHUP).
"""

from hullscout.cli import (  # noqa: F401  each adds its commands to `main`
    campaigns,
    hulls,
    plans,
    pools,
    potentials,
    results,
    starting,
    warm_up,
)
from hullscout.cli.shared import main

__all__ = ["main"]
