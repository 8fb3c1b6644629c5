"""How a campaign went: hull error, model error and the stated probability of a wrong hull against the calculations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import MILLI, PERCENT
from hullscout.figures import style
from hullscout.figures.axes import into_axes
from hullscout.figures.legends import legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hullscout.campaign import History

# The axis of errors is linear below this, so that an error of zero has a place on it.
LINEAR_MEV = 0.1
# Probabilities below this are drawn at it, in %: fewer samples than one in a thousand say nothing.
MIN_PERCENT = 0.1


def draw_progress(figure: Figure, history: History) -> None:
    """Errors against the calculations, and below them probabilities of a wrong hull where the rule stated any."""
    if any(decision is not None and decision.failure_probability is not None for decision in history.decided):
        above, below = figure.subplots(2, 1, sharex=True)
        draw_errors(above, history)
        draw_failure_probability(below, history)
        above.set_xlabel("")
    else:
        draw_errors(figure.add_subplot(), history)
    figure.suptitle(f"{style.plain(history.config.name)}, rule {history.config.select.rule}", fontsize="medium")


@into_axes
def draw_errors(ax: Axes, history: History) -> Axes:
    """Draw the hull's error, where the truth is known, and the model's against the calculations.

    The hull error is the largest height of the hull found above the true one; the model error is the held-out error on which the
    rule decided. The axis is linear below 0.1 meV/atom.
    """
    errors = [(known.n_answered, known.hull_error_ev_per_atom) for known in history.moments]
    hull = [(n, error * MILLI) for n, error in errors if error is not None]  # of all moments, or of none
    model = [
        (known.n_answered, decision.model_error * MILLI)
        for known, decision in zip(history.moments, history.decided, strict=True)
        if decision is not None and decision.model_error is not None
    ]
    if hull:
        marker = "o" if len(hull) == 1 else ""  # one moment is a point
        ax.step(*np.transpose(hull), "-", where="post", marker=marker, ms=3, color=style.found(), lw=1.2,
                label="hull error", zorder=3)  # fmt: skip
    if model:
        ax.plot(*np.transpose(model), "o-", color=style.BLUE, ms=2.2, lw=0.6, label="model error (held out)", zorder=2)
    highest = max([1.0, *(error for _, error in (*hull, *model))])
    if not ax.lines:
        _say(ax, "no true hull is known,\nand no model has been fitted yet")
    tolerance = history.config.stop.hull_tolerance * MILLI
    ax.axhline(tolerance, color="0.45", lw=0.8, ls=":", label=f"tolerance, {tolerance:g} meV/atom", zorder=1)
    ax.set_yscale("symlog", linthresh=LINEAR_MEV, linscale=0.5)
    ax.set_ylim(-0.3 * LINEAR_MEV, 2.0 * max(highest, tolerance))
    ax.set_ylabel("error (meV/atom)")
    return _finished(ax, history)


@into_axes
def draw_failure_probability(ax: Axes, history: History) -> Axes:
    """Draw the probability of a wrong hull that the rule knew, and the one that it stood by, against the calculations.

    Where none is stated the axes say so. Below 0.1 % values are drawn at 0.1 %.
    """
    decided = [
        (known.n_answered, _percent(decision.failure_probability), _percent(decision.stated_failure_probability))
        for known, decision in zip(history.moments, history.decided, strict=True)
        if decision is not None and decision.failure_probability is not None
    ]
    rule, result = history.config.select, history.result
    if not decided:
        is_silent = (
            f"the rule '{rule.rule}'\n{'was not imported' if history.setup.not_imported else 'states no probability'}"
        )
        _say(ax, "no probability has been\nstated yet" if rule.states_probability else is_silent)
        return ax
    stated = [(n, percent) for n, _, percent in decided]
    if result is not None and result.failure_probability is not None:
        stated.append((history.now.n_answered, _percent(result.failure_probability)))
    n_answered, now, _ = zip(*decided, strict=True)
    ax.plot(n_answered, now, "o", ls="", mfc="white", mec=style.DARK_ORANGE, ms=3.8, mew=0.9,
            label="of one round", zorder=4)  # fmt: skip
    ax.plot(*np.transpose(stated), "-", color=style.VERMILLION, lw=1.2, label="stated (with rounds before)", zorder=3)
    ax.plot(*stated[-1], "s", color=style.VERMILLION, ms=3.2, zorder=3)
    accepted = PERCENT * history.config.stop.failure_probability
    ax.axhline(accepted, color="0.45", lw=0.8, ls="--", label=f"accepted, {accepted:g} %", zorder=1)
    ax.set_yscale("log")
    ax.set_ylim(0.5 * min(*now, *(percent for _, percent in stated), accepted), 160.0)
    ax.set_ylabel("P(wrong hull) (%)")
    return _finished(ax, history)


def _say(ax: Axes, sentence: str) -> None:
    """A sentence in place of curves."""
    ax.text(0.5, 0.5, sentence, transform=ax.transAxes, ha="center", va="center", color="0.3")


def _percent(probability: float | None) -> float:
    return MIN_PERCENT if probability is None else max(PERCENT * probability, MIN_PERCENT)


def _finished(ax: Axes, history: History) -> Axes:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  slow to import

    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_xlim(0, 1.04 * max(history.now.n_answered, 1))
    ax.set_xlabel(f"calculations (of {len(history.pool)} candidates)")
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    if style.is_in_grid(ax):
        legend_below(ax, n_columns=1)
    else:
        columns = style.legend_columns(ax)
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, borderaxespad=0.5, columnspacing=1.0)
    return ax
