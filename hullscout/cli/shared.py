"""What the commands share: their group, how an error is shown, options, and where they print."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import sysconfig
import tempfile
import threading
import traceback
from contextlib import contextmanager, suppress
from functools import partial, wraps
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from hullscout import __version__
from hullscout.cli import streams
from hullscout.cli.streams import say, say_lines
from hullscout.display import class_names, told, unbroken, valid_text, visible, visible_lines
from hullscout.ending import begin_command, end_in_time, had_calculator
from hullscout.errors import HullscoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console
    from rich.progress import Progress, ProgressColumn
    from rich.segment import Segment
    from rich.text import Text

    from hullscout.campaign import Setup

EPILOG = """\b
Examples:
  hullscout example agpd                         # writes agpd/, ready to run
  hullscout run agpd/agpd.toml
  hullscout run agpd/agpd.toml --seed 7 --set select.batch=8 --out runs/seed7
  hullscout status runs/seed7
  hullscout plot runs/seed7
  hullscout report runs/seed7
  hullscout plan agpd/agpd.toml --replicates 100 --grid stop.failure_probability=0.1,0.05,0.01
  hullscout hull agpd/agpd.extxyz.gz -o agpd.pdf
  hullscout new Ni Al --lattice fcc,bcc --max-atoms 6 --calculator emt
  hullscout enumerate Ag Pt --lattice fcc,bcc,hcp --max-atoms 6 --prototypes -o pool.extxyz.gz
  hullscout check pool.extxyz.gz
  hullscout ask results/ --pool pool.extxyz.gz -n 8 --to outbox/
"""
PATH = click.Path(path_type=Path)
# They stand in the pool's room, too; but importing it takes a second, for which the help does not wait.
FORMATS = ("extxyz", "ase", "entries", "files", "vasprun", "calculations", "atat", "traj", "parquet")
FOLDER = click.argument("folder", type=PATH)
FORCE = click.option("--force", is_flag=True, help="Replace the file if there is one.")
OVERRIDES = click.option(
    "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Replace a setting; may be repeated."
)
LEAVE_OUT_FAULTS = click.option("--leave-out-faults", is_flag=True, help="Leave out what cannot be used, and say so.")
STRUCTURES = click.option(
    "--structures",
    type=click.Choice(["relaxed", "start"]),
    default="relaxed",
    show_default=True,
    help="What energies are of, where it is known, or what was asked for.",
)
CELL = click.option(
    "--cell",
    type=click.Choice(["given", "symmetrised", "primitive", "conventional"]),
    default="given",
    show_default=True,
    help="cif, poscar: in which cell; symmetrised is a CIF with space group and operations.",
)
POOL_FILE = click.option("-o", "--output", type=PATH, required=True, help="Pool file, .extxyz or .extxyz.gz.")


def looks(function: Callable[..., None]) -> Callable[..., None]:
    """A command that looks at the campaign in a folder; without its option --trust, what the folder names is not imported.

    A parameter `setup` of the command is what the campaign works with; None where it cannot be read, which the command says.
    """
    is_told = "setup" in signature(function).parameters

    @click.option(
        "--trust",
        is_flag=True,
        envvar="HULLSCOUT_TRUST",
        help="Import the rule and representation of one's own that FOLDER names, which are code.",
    )
    @wraps(function)
    def look(*, folder: Path | None, trust: bool, **options: Any) -> None:
        setup = None if folder is None else _setup_in(folder)
        if setup is not None and trust:
            setup = setup.trusted()  # a module that is imported once is there for all that follows
        elif setup is not None and setup.not_imported:
            say(f"{setup.not_imported} What only it can tell is left out.", err=True)
        function(folder=folder, **({"setup": setup} if is_told else {}), **options)

    return look


def _setup_in(folder: Path) -> Setup | None:
    """What a campaign in a folder works with; None where there is none to be read, which the command itself says."""
    from hullscout.campaign import Setup  # noqa: PLC0415  loads the scientific packages

    with suppress(HullscoutError):
        return Setup.read(folder)
    return None


BUG = 70
"""The exit code of a bug of ours (`EX_SOFTWARE`)."""
_LIBRARIES = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_KNOWN = ("<frozen ", *_LIBRARIES, str(Path(__file__).parents[1]))
"""How the names of files begin in which no calculator of the user's own stands."""


class _Parsed(click.Command):
    """What is given on the command line is shown `visible` where it is wrong: names of files may come from anywhere."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse it."""
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as error:
            error.message = visible_lines(error.message)  # type: ignore[misc]  # click has no other way
            raise


class Command(_Parsed):
    """A command that shows an error raised on purpose without a traceback and exits with code 2.

    One that nobody meant to raise is told as a bug of Hullscout, with a file that holds the traceback, and exits with code 70.
    On Ctrl-C it exits with 130, and `interrupted` says what is kept and what to do; on SIGTERM and SIGHUP as well. Where all that
    a command does is to print, as `is_printed` says, and that found no room, it exits with 3.
    """

    def __init__(self, *args: Any, interrupted: str = "", is_printed: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._interrupted, self._is_printed = interrupted, is_printed

    def invoke(self, ctx: click.Context) -> None:
        """Run it."""
        begin_command()
        try:
            with _ended_by_signals():
                super().invoke(ctx)
        except HullscoutError as error:
            _end(str(error))
        except KeyboardInterrupt:
            say_lines(f"\nInterrupted. {self._interrupted}".rstrip(), err=True)
            sys.exit(130)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except OSError as error:
            _end(_of_the_system(error))
        except MemoryError:
            _end("There is not enough memory for this. What was committed before is kept.")
        except BaseException as error:  # what nobody thought of
            if isinstance(error, SystemExit) and type(error.code) is int:  # ours
                raise
            _end_unforeseen(error)
        if self._is_printed and streams.is_output_refused():
            sys.exit(3)


class Commands(_Parsed, click.Group):
    """The commands, each a `Command`; whatever they print, printing ends none of them."""

    command_class = Command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Parse and run one."""
        streams.prepare()
        if sys.stderr is not None and sys.stderr.isatty():
            _say_what_is_compiled()
        if note := _note_on_temporary_files():
            say(note, err=True)
        return super().main(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Be the program: no traceback is shown, and what a calculator left behind in this process is awaited a moment only.

        A script that calls it with words of its own goes on after it, and is left as it is.
        """
        if args or kwargs:
            return super().__call__(*args, **kwargs)
        sys.excepthook = lambda _, error, __: say_lines(_unforeseen(error)[0], err=True)
        sys.unraisablehook = lambda found: say(
            f"Not heeded at the end: {told(found.exc_value or found.exc_type())}.", err=True
        )
        threading.excepthook = _of_a_thread
        code = 1
        try:
            return super().__call__()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            raise
        finally:
            if had_calculator():
                end_in_time(code, partial(say, err=True))


def _say_what_is_compiled() -> None:
    """On a terminal, where somebody waits."""
    logger, handler = logging.getLogger("hullscout.compiling"), logging.Handler()
    handler.emit = lambda record: say(record.getMessage(), err=True)  # type: ignore[method-assign]
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _end(message: str, *, code: int = 2) -> NoReturn:
    mark = "Error:"
    if (
        sys.stderr is not None
        and sys.stderr.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    ):
        mark = click.style(mark, fg="red", bold=True)
    say_lines(f"{mark} {visible_lines(message)}", err=True)
    sys.exit(code)


def _note_on_temporary_files() -> str:
    """What is to be said where TMPDIR names no folder that can be written, so that another is used without a word."""
    named = os.environ.get("TMPDIR")
    if not named or os.access(named, os.W_OK | os.X_OK):
        return ""
    try:
        used = f"{tempfile.gettempdir()} is used"
    except OSError:
        used = "there is none in its place"
    return f"TMPDIR is {named}, which is no folder that can be written; {used}."


def _of_the_system(error: OSError) -> str:
    """What the system refused, and what to look after."""
    said = error.strerror or str(error)
    if "temporary directory" in said:
        return f"There is no folder for temporary files that can be written: {said}. Set TMPDIR to one that can."
    where = "" if error.filename is None else f" ({error.filename})"
    remedy = "See that the folders that are used can be read and written"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        remedy = "Free some room there, and in the folder for temporary files, which TMPDIR may name"
    return (
        f"The system refused something: {said}{where}. What was committed is kept. {remedy}, and run the command again."
    )


def _end_unforeseen(error: BaseException) -> NoReturn:
    message, code = _unforeseen(error)
    _end(message, code=code)


def _of_a_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is not None and not isinstance(found.exc_value, SystemExit):
        say(f"A thread ended in an error: {told(found.exc_value)}.", err=True)


def _unforeseen(error: BaseException) -> tuple[str, int]:
    """What is to be said of an exception that nobody thought of, and the exit code: it is a calculator's, or a bug of ours."""
    frames = []
    trace = BaseException.__dict__["__traceback__"].__get__(error)
    while trace is not None:
        frames.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    said = visible(told(error))[:500]
    file, line = frames[-1] if frames else ("", 0)
    if had_calculator() and not (issubclass(type(error), Exception) and file.startswith(_KNOWN)):
        return (
            f"What a calculator left behind in this process ended the command: {said} ({file}, line {line}). What was committed "
            'before is kept. Set executor.kind = "processes", where it ends a worker alone, and run the command again.'
        ), 2
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001  a foreign class may raise anything
        text = "\n".join([*(f"{file}, line {line}" for file, line in frames), said])
    kept = "could not be kept, since no folder takes it"
    for folder in (Path.cwd, tempfile.gettempdir):
        with suppress(Exception):  # where a folder takes none; a hook of a calculator
            descriptor, name = tempfile.mkstemp(prefix="hullscout-error-", suffix=".txt", dir=folder())
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            kept = f"is in {name}"
            break
    return (
        f"This is a bug of Hullscout ({class_names(error)[0]}), version {__version__}: {visible(valid_text(error))[:500]}. "
        f"What was committed before is kept. The traceback {kept}; please report it to the developers with the command."
    ), BUG


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


@click.group(
    cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="hullscout")
def main() -> None:
    """Find the ground-state convex hull of an alloy with few DFT calculations.

    `hullscout COMMAND --help` says what a command does and takes; `hullscout example` writes a campaign to begin with. The user
    guide is in the folder .docs of the source.
    """


_GLUE = "\ue000"
"""Stands between a number and its unit until lines are broken, where rich would break at a no-break space; no text holds it, since
`visible` escapes it."""


def console(*, stderr: bool = False) -> Console:
    """Where tables and sentences are printed: names and ids as they are, never as markup."""
    from rich.console import Console  # noqa: PLC0415  the help does without it

    class Screen(Console):
        """A console to which no text gives orders."""

        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str("\n".join(map(visible, text.split("\n"))), **options)

        def print(self, *objects: Any, **options: Any) -> None:
            lines = (self._unbroken(each) if isinstance(each, str) else each for each in objects)
            super().print(*lines, **options)

        def _unbroken(self, text: str) -> Text:
            shown = self.render_str(text)
            return type(shown)(unbroken(shown.plain, glue=_GLUE))

        def render(self, *renderable: Any, **options: Any) -> Iterator[Segment]:
            for piece in super().render(*renderable, **options):
                yield piece._replace(text=piece.text.replace(_GLUE, " "))

    return Screen(stderr=stderr, highlight=False, markup=False, emoji=False)


def live_line(*columns: ProgressColumn) -> Progress:
    """A line on standard error that is gone at its end; silent where output is no terminal."""
    from rich.progress import Progress  # noqa: PLC0415

    screen = console(stderr=True)
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)


@contextmanager
def working_line(at_first: str) -> Iterator[Callable[[str], None]]:
    """A line on standard error that says what is being done; called with what is done next. Silent where output is no terminal."""
    from rich.text import Text  # noqa: PLC0415

    with console(stderr=True).status(Text(visible(at_first))) as working:
        yield lambda sentence: working.update(Text(visible(sentence)))
