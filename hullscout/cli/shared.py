"""What the commands share: examples, and how an error is shown."""

from __future__ import annotations

import sys
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec

import click

from hullscout.errors import HullscoutError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")

EPILOG = """\b
Examples:
  hullscout run campaigns/agpd/agpd.toml
  hullscout run campaigns/agpd/agpd.toml --seed 7 --set select.batch=8 --out runs/seed7
  hullscout status runs/seed7
  hullscout plot runs/seed7
  hullscout report runs/seed7
  hullscout plan campaigns/agpd/agpd.toml --replicates 100 --grid stop.failure_probability=0.1,0.05,0.01
  hullscout enumerate Ag Pt --lattice fcc,bcc,hcp --max-atoms 6 --prototypes -o pool.extxyz.gz
  hullscout check pool.extxyz.gz
"""


def reports_errors(interrupted: str = "") -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Print an error that Hullscout raises on purpose, without a traceback, and exit with code 2; with 130 on Ctrl-C.

    Args:
        interrupted: What is kept when the command is interrupted, and what to do, in a sentence.
    """

    def decorate(command: Callable[P, None]) -> Callable[P, None]:
        @wraps(command)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                command(*args, **kwargs)
            except HullscoutError as error:
                click.echo(f"{click.style('Error:', fg='red', bold=True)} {error}", err=True)
                sys.exit(2)
            except KeyboardInterrupt:
                click.echo(f"\nInterrupted. {interrupted}".rstrip(), err=True)
                sys.exit(130)

        return wrapped

    return decorate
