"""What the commands share: options, how an error is shown, and where they print."""

from __future__ import annotations

import sys
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

import click

from hullscout.errors import HullscoutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

P = ParamSpec("P")

PATH = click.Path(path_type=Path)
OVERRIDES = click.option(
    "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Replace a setting; may be repeated."
)
POOL_FILE = click.option("-o", "--output", type=PATH, required=True, help="Pool file, .extxyz or .extxyz.gz.")
FORCE = click.option("--force", is_flag=True, help="Replace the file if there is one.")


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


def console(*, stderr: bool = False) -> Console:
    """Where tables and sentences are printed: names and ids as they are, never as markup."""
    from rich.console import Console  # noqa: PLC0415  the help does without it

    return Console(stderr=stderr, highlight=False, markup=False)


def live_line(*columns: ProgressColumn) -> Progress:
    """A line on standard error that is gone at its end; silent where output is no terminal."""
    from rich.progress import Progress  # noqa: PLC0415

    screen = console(stderr=True)
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)
