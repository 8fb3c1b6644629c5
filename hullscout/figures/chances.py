"""The chance of the right hull against what is spent: one panel for each alloy of a plan, and one for all together."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from hullscout.display import PERCENT
from hullscout.figures import saving, style
from hullscout.figures.axes import into_axes
from hullscout.planning.rates import three_digits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hullscout.planning.curves import Curve

MAX_COLUMNS = 3
INK, FAINT = "0.15", "0.45"


@into_axes
def draw_chance(ax: Axes, curve: Curve, *, unit: str, wanted: float) -> Axes:
    """Draw the chance of the right hull, in %, along what is spent into `ax` and return it.

    Args:
        unit: What is spent: calculations or core-hours.
        wanted: The chance that is wanted, from 0 to 1.
    """
    is_known = curve.is_step
    color = style.BLUE if is_known else style.VERMILLION if curve.about == "predicted" else style.GREEN
    dashes = {"predicted": "--", "budget split": "-."}.get(curve.about, "-")
    kind = {"predicted": "new, predicted", "budget split": "all together, the budget split"}.get(
        curve.about, "known, by replays"
    )
    ax.fill_between(
        curve.amounts, PERCENT * curve.low, PERCENT * curve.high, step="post" if is_known else None, color=color, alpha=0.2,
        lw=0,
    )  # fmt: skip
    ax.plot(
        curve.amounts, PERCENT * curve.chance, ls=dashes, color=color, lw=1.5, label=kind,
        drawstyle="steps-post" if is_known else "default",
    )  # fmt: skip
    ax.axhline(PERCENT * wanted, color=FAINT, lw=0.7, ls=":", label=f"wanted, {PERCENT * wanted:g} %")
    if curve.asked is not None:
        chance = PERCENT * curve.at(curve.asked)[0]
        ax.plot([curve.asked], [chance], "o", color=INK, ms=4.5, zorder=5, label="ask for")
        ax.vlines(curve.asked, 0.0, chance, color=INK, lw=0.9)
    end = float(curve.amounts[-1]) or 1.0
    beyond = ""
    if curve.budget is not None and curve.budget <= 1.04 * end:
        ax.axvline(curve.budget, color=style.PURPLE, lw=1.1, ls=(0, (5, 2)), label="budget")
    elif curve.budget is not None:  # beside the unit, where no line crosses it
        beyond = f" (budget: {three_digits(curve.budget)} \N{RIGHTWARDS ARROW})"
    ax.set(xlim=(0.0, 1.04 * end), ylim=(0.0, 103.0), xlabel=f"{unit}{beyond}", ylabel="right hull (%)")
    ax.set_title(style.plain(curve.name), fontsize="medium")
    return ax


def chances_bytes(
    curves: Sequence[Curve],
    *,
    unit: str,
    wanted: float,
    width: style.Width = style.Width.PAGE,
    on_note: Callable[[str], object] | None = None,
) -> bytes:
    """The figure of a plan as PNG; of the width of a column its panels stand below each other."""
    n_columns = 2 if len(curves) == MAX_COLUMNS + 1 else min(len(curves), MAX_COLUMNS)
    if width is style.Width.COLUMN:
        n_columns = 1
    n_rows = -(-len(curves) // n_columns)
    size = (5.2 if n_columns == 1 else 2.75 * n_columns, 0.55 + (3.1 if n_columns == 1 else 2.35) * n_rows)
    if width is style.Width.COLUMN:
        size = (3.4, 0.8 + 2.2 * n_rows)
    draw = partial(_draw_all, curves=curves, unit=unit, wanted=wanted, shape=(n_rows, n_columns))
    return saving.figure_bytes(draw, suffix=".png", inches=size, dpi=160, on_note=on_note)


def _draw_all(figure: Figure, *, curves: Sequence[Curve], unit: str, wanted: float, shape: tuple[int, int]) -> None:
    from matplotlib.patches import Patch  # noqa: PLC0415

    axes = figure.subplots(*shape, squeeze=False).ravel()
    handles: dict[str, Any] = {}
    for place, (ax, curve) in enumerate(zip(axes, curves, strict=False)):
        draw_chance(ax, curve, unit=unit, wanted=wanted)
        if place % shape[1]:
            ax.set_ylabel("")
        handles |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    for ax in axes[len(curves) :]:
        ax.remove()
    handles["interval"] = Patch(facecolor="0.8")
    figure.legend(
        [*handles.values()],
        [*handles],
        loc="outside lower center",
        ncols=3 if shape[1] > 1 or shape[0] == 1 else 2,
        frameon=False,
    )
