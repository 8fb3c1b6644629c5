"""The figure of a campaign's hull, by its number of elements: a diagram over composition, a triangle, or distances to the hull."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hullscout.errors import OutputError
from hullscout.figures.axes import into_axes
from hullscout.figures.phase_diagram import draw_hull_distance, draw_phase_diagram
from hullscout.figures.ternary import draw_triangle

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hullscout.selection import Belief, Known

# More elements than these have no picture of their whole hull.
MAX_PICTURED = 3


@into_axes
def draw_hull(ax: Axes, known: Known, *, belief: Belief | None = None, lattices: bool = False) -> Axes:
    """Draw the phase diagram of two elements, or the triangle of three.

    Args:
        lattices: Whether candidates of two elements on fcc, bcc and hcp lattices get markers of their own.

    Raises:
        OutputError: There are more elements, which no plane has room for.
    """
    elements = known.pool.end_names
    if len(elements) > MAX_PICTURED:
        first, second, third = elements[:3]
        raise OutputError(
            f"hull: expected two or three elements, which a plane has room for, found {', '.join(elements)}. Draw a section, "
            f"--kind section --from {first} --to {second}{third}, or --kind distance."
        )
    if len(elements) == MAX_PICTURED:
        if lattices:
            raise OutputError(
                "Markers of lattices are for two elements; those of three tell heights. Leave --lattices out."
            )
        return draw_triangle(ax, known, belief=belief)
    return draw_phase_diagram(ax, known, belief=belief, lattices=lattices)


@into_axes
def draw_overview(ax: Axes, known: Known, *, belief: Belief | None = None) -> Axes:
    """Draw the hull, or of more than three elements the distances of all candidates to it."""
    draw = draw_hull if len(known.pool.end_names) <= MAX_PICTURED else draw_hull_distance
    return draw(ax, known, belief=belief)
