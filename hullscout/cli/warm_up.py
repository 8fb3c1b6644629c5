"""The command that compiles kernels beforehand."""

from hullscout.cli.shared import main
from hullscout.cli.streams import say


@main.command("warm-up")
def warm_up() -> None:
    """Compile all numerical kernels now, so that no later command of this installation does.

    They are kept where NUMBA_CACHE_DIR says, or beside the package, or else in this user's cache; only there are they found again.
    """
    from hullscout.warming import warm_up as warmed  # noqa: PLC0415  loads the scientific packages

    say(f"The kernels are compiled, and kept in {warmed()}")
