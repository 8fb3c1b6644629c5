"""Axes that figures are drawn into: whatever is none is refused, and what they share with others has room for all.

Axes of one's own may share their limits with neighbours (`sharex`, `sharey`). What is drawn there later would take the limits from
what was drawn before; so limits grow to hold both, whichever comes first.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from hullscout.display import refuse_no_axes

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from hullscout.selection.known import Floats

P = ParamSpec("P")
R = TypeVar("R")


def into_axes(draw: Callable[Concatenate[Axes, P], R]) -> Callable[Concatenate[Axes, P], R]:
    """A function that draws into `Axes`, refuses what is none, and leaves to neighbours what they share."""

    @wraps(draw)
    def drawn(ax: Axes, /, *args: P.args, **kwargs: P.kwargs) -> R:
        refuse_no_axes(ax)
        before = _limits_of_neighbours(ax)
        result = draw(ax, *args, **kwargs)
        for name, limits in before.items():
            now = getattr(ax, f"get_{name}lim")()
            getattr(ax, f"set_{name}lim")(min(*limits, *now), max(*limits, *now))
        return result

    return drawn


def _limits_of_neighbours(ax: Axes) -> dict[str, tuple[float, float]]:
    """By axis, x or y, the limits that others which share it have set for what is drawn in them."""
    found = {}
    for name in ("x", "y"):
        sharing = getattr(ax, f"get_shared_{name}_axes")().get_siblings(ax)
        is_set = not getattr(ax, f"get_autoscale{name}_on")()
        if is_set and any(other.has_data() for other in sharing if other is not ax):
            found[name] = getattr(ax, f"get_{name}lim")()
    return found


def n_cut(ax: Axes, x: Floats, low: Floats, high: Floats) -> int:
    """How many of the intervals (n,) at places within the limits of `ax` leave these."""
    (left, right), (bottom, top) = sorted(ax.get_xlim()), sorted(ax.get_ylim())
    return int(((x >= left) & (x <= right) & ((low < bottom) | (high > top))).sum())
