"""What the commands share: their group, how an error is shown, options, and where they print."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
import traceback
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hullscout import __version__
from hullscout.errors import HullscoutError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

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
PATH = click.Path(path_type=Path)
FOLDER = click.argument("folder", type=PATH)
FORCE = click.option("--force", is_flag=True, help="Replace the file if there is one.")
OVERRIDES = click.option(
    "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Replace a setting; may be repeated."
)
POOL_FILE = click.option("-o", "--output", type=PATH, required=True, help="Pool file, .extxyz or .extxyz.gz.")


BUG = 70
"""The exit code of a bug of ours (`EX_SOFTWARE`)."""
_ISSUES = "where you got Hullscout"
_NO_MEMORY = (
    "Expected enough memory, found none left. Give a smaller pool or settings (select.samples, batch), or more memory."
)


def bug_found(error: Exception) -> str:
    """What is said of an error that nobody meant to raise; a new file, here or among temporary ones, holds its traceback."""
    said = f"This is a bug of Hullscout ({type(error).__name__}). What was answered before is kept. Please report it {_ISSUES}"
    content = (
        f"Hullscout {__version__}, Python {sys.version}, {sys.platform}\n\n{''.join(traceback.format_exception(error))}"
    )
    for folder in (Path.cwd, tempfile.gettempdir):
        with suppress(OSError):
            descriptor, name = tempfile.mkstemp(prefix="hullscout-error-", suffix=".txt", dir=folder())
            with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:  # noqa: PTH123  a descriptor
                stream.write(content)
            return f"{said}, with the file {name}, which holds where it happened."
    return f"{said}, with this:\n{content}"


class Command(click.Command):
    """A command that shows an error raised on purpose without a traceback and exits with code 2.

    One that nobody meant to raise is told as a bug of Hullscout, with a file that holds the traceback, and exits with code 70.
    On Ctrl-C it exits with 130, and `interrupted` says what is kept and what to do; on SIGTERM and SIGHUP as well.
    """

    def __init__(self, *args: Any, interrupted: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._interrupted = interrupted

    def invoke(self, ctx: click.Context) -> None:
        """Run it."""
        _print_any_text()
        try:
            with _ended_by_signals():
                super().invoke(ctx)
        except HullscoutError as error:
            click.echo(f"{click.style('Error:', fg='red', bold=True)} {error}", err=True)
            sys.exit(2)
        except MemoryError:
            click.echo(f"{click.style('Error:', fg='red', bold=True)} {_NO_MEMORY}", err=True)
            sys.exit(2)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except OSError as error:
            click.echo(
                f"{click.style('Error:', fg='red', bold=True)} The system refuses what was to be done: {error}.",
                err=True,
            )
            sys.exit(2)
        except Exception as error:  # noqa: BLE001  whatever it is, it is a bug of ours, and told as such
            click.echo(f"{click.style('Error:', fg='red', bold=True)} {bug_found(error)}", err=True)
            sys.exit(BUG)
        except KeyboardInterrupt:
            with suppress(OSError):  # the terminal may be what ended it
                click.echo(f"\nInterrupted. {self._interrupted}".rstrip(), err=True)
            sys.exit(130)


def _print_any_text() -> None:
    """Let text that the terminal's encoding has no sign for, as names of files may hold, be printed with escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM (a queue's time limit) and SIGHUP (a terminal that is closed) do what Ctrl-C does; nohup still holds."""
    before: dict[int, Any] = {}

    def end(number: int, _: Any) -> None:
        # What comes again while all is put in order: a closed terminal may tell twice, but nobody is to wait for ever.
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)):
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="hullscout")
def main() -> None:
    """Find the ground-state convex hull of a binary alloy with few DFT calculations."""


main.command_class = Command


def console(*, stderr: bool = False) -> Console:
    """Where tables and sentences are printed: names and ids as they are, never as markup."""
    from rich.console import Console  # noqa: PLC0415  the help does without it

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def live_line(*columns: ProgressColumn) -> Progress:
    """A line on standard error that is gone at its end; silent where output is no terminal."""
    from rich.progress import Progress  # noqa: PLC0415

    screen = console(stderr=True)
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)
