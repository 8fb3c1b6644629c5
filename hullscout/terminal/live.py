"""A live line in the terminal: what the progress of a campaign and that of a plan share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import Progress

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import ProgressColumn


class LiveLine:
    """A line on standard error that is gone at its end; silent where output is no terminal.

    Args:
        columns: What stands in the line.
    """

    def __init__(self, *columns: ProgressColumn) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False)
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
