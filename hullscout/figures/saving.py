"""Figures in files: made in the style, drawn, changed as is wanted, and written whole or not at all."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any

from hullscout.errors import HullscoutError, OutputError
from hullscout.figures.notes import plain_notes, short
from hullscout.figures.style import RC, Width
from hullscout.writing import refuse_unwritable, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.figure import Figure

    from hullscout.figures.look import Look

FORMATS = (".png", ".svg", ".pdf", ".eps")


def refuse_figure_file(path: Path) -> None:
    """Refuse a file that no figure can be written to, before any cost.

    Raises:
        OutputError: Its suffix is none of `FORMATS`, or nothing can be written there.
    """
    refuse_other_formats(path)
    refuse_unwritable(path)


def refuse_other_formats(path: Path) -> None:
    """OutputError where the suffix is none of `FORMATS`."""
    if path.suffix not in FORMATS:
        raise OutputError(
            f"{path}: expected a file that ends in {', '.join(FORMATS)}, found {path.suffix or 'no ending'!r}."
        )


def save_figure(
    path: Path,
    draw: Callable[[Figure], object],
    *,
    width: Width = Width.PAGE,
    aspect: float = 0.65,
    look: Look | None = None,
    on_note: Callable[[str], object] | None = None,
) -> None:
    """Make a figure in the style, let `draw` fill it, and write it to a PNG, SVG, PDF or EPS file, whole or not at all.

    Args:
        look: What is to be otherwise than it is drawn.
        on_note: Called with a sentence for each thing that the file cannot show as it is meant; by default these are warnings.

    Raises:
        OutputError: The suffix is another one, nothing can be drawn with this look, or the file cannot be written.
    """
    refuse_other_formats(path)
    inches, dpi, rc = width.size(aspect), width.dots_per_inch, RC

    def fill(figure: Figure) -> None:
        draw(figure)
        if look is not None:
            look.apply(figure)

    if look is not None:
        inches, dpi, rc = look.size_inches or inches, look.dpi or dpi, RC | look.rc
    try:
        content = figure_bytes(fill, suffix=path.suffix, inches=inches, dpi=dpi, rc=rc, on_note=on_note)
    except HullscoutError:
        raise
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        if look is None or not (look.sheets or look.restyled):
            raise
        raise OutputError(
            f"Expected styles that matplotlib can draw with, found others: {short(error)}. Leave out, or mend, what is restyled."
        ) from error
    write_whole(path, content, remedy="Give another file.")


def figure_bytes(
    draw: Callable[[Figure], object],
    *,
    suffix: str,
    inches: tuple[float, float],
    dpi: int,
    rc: dict[Any, Any] = RC,
    on_note: Callable[[str], object] | None = None,
) -> bytes:
    """A figure that `draw` fills, as a file that ends in `suffix`. The same drawing gives the same bytes."""
    from matplotlib import rc_context  # noqa: PLC0415
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    stream = BytesIO()
    with plain_notes(on_note), rc_context(rc):
        figure = Figure(figsize=inches, dpi=dpi, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(suffix, {})  # no date
        figure.savefig(stream, format=suffix[1:], metadata=metadata)
    content = stream.getvalue()
    return re.sub(rb"(?m)^%%CreationDate: .*\n", b"", content, count=1) if suffix == ".eps" else content
