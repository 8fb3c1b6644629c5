"""The command line: it parses, calls and prints. No science in it.

Exit codes: 0 done, 1 `check` found something wrong, 2 something given is not valid (one clear message, nothing overwritten),
130 interrupted.
"""

from __future__ import annotations

import click

from hullscout import __version__
from hullscout.cli import campaigns, plans, pools

__all__ = ["main"]


@click.group(
    epilog=campaigns.EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="hullscout")
def main() -> None:
    """Find the ground-state convex hull of a binary alloy with few DFT calculations."""


for _command in (*campaigns.COMMANDS, pools.enumerate_, pools.check, plans.plan):
    main.add_command(_command)
