"""How a campaign went: hull error, model error and the stated probability of a wrong hull against the calculations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import MILLI, PERCENT
from hullscout.figures.style import BLUE, DARK_ORANGE, FOUND, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hullscout.campaign.history import History

# The axis of errors is linear below this, so that an error of zero has a place on it.
LINEAR_MEV = 0.1
# Probabilities below this are drawn at it, in %: fewer samples than one in a thousand say nothing.
LEAST_PERCENT = 0.1


def draw_errors(ax: Axes, history: History) -> Axes:
    """Draw the hull's error, where the truth is known, and the model's against the calculations.

    The hull error is the largest height of the hull found above the true one; the model error is the held-out error on which the
    rule decided. The axis is linear below 0.1 meV/atom.
    """
    moments = history.moments
    n_known = [known.n_answered for known in moments]
    errors = [known.hull_error_ev_per_atom for known in moments]
    highest = 1.0
    if all(error is not None for error in errors):
        values = np.array(errors, dtype=np.float64) * MILLI
        # A campaign of one moment is a point.
        marker = "o" if len(moments) == 1 else ""
        ax.step(
            n_known, values, "-", where="post", marker=marker, ms=3, color=FOUND, lw=1.2, label="hull error", zorder=3
        )
        highest = max(highest, float(values.max()))
    model = [
        (known.n_answered, decision.model_error * MILLI)
        for known, decision in zip(moments, history.decided, strict=True)
        if decision is not None and decision.model_error is not None
    ]
    if model:
        ax.plot(*zip(*model, strict=True), "o-", color=BLUE, ms=2.2, lw=0.6, label="model error (held out)", zorder=2)
        highest = max(highest, *(error for _, error in model))
    if highest == 1.0 and not ax.lines:
        _say(ax, "no true hull is known,\nand no model has been fitted yet")
    tolerance = history.config.stop.hull_tolerance * MILLI
    ax.axhline(tolerance, color="0.45", lw=0.8, ls=":", label="tolerance", zorder=1)
    ax.set_yscale("symlog", linthresh=LINEAR_MEV, linscale=0.5)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_ylim(-0.3 * LINEAR_MEV, 2.0 * max(highest, tolerance))
    _finish(ax, history)
    ax.set_ylabel("error (meV/atom)")
    return ax


def draw_failure_probability(ax: Axes, history: History) -> Axes:
    """Draw the probability of a wrong hull that the rule knew, and the one that it stood by, against the calculations.

    Where none is stated the axes say so. Below 0.1 % values are drawn at 0.1 %.
    """
    decided = [
        (known.n_answered, decision)
        for known, decision in zip(history.moments, history.decided, strict=True)
        if decision is not None and decision.failure_probability is not None
    ]
    if not decided:
        rule = history.config.select
        _say(
            ax,
            "no probability has been\nstated yet"
            if rule.states_probability
            else f"the rule '{rule.rule}'\nstates no probability",
        )
        return ax
    n_known = [n for n, _ in decided]
    now = [_percent(decision.failure_probability) for _, decision in decided]
    stated = [_percent(decision.stated_failure_probability) for _, decision in decided]
    last = None if history.result is None else history.result.failure_probability
    n_stated = n_known if last is None else [*n_known, history.now.n_answered]
    stated = stated if last is None else [*stated, _percent(last)]
    ax.plot(n_known, now, "o", ls="", mfc="white", mec=DARK_ORANGE, ms=3.8, mew=0.9, label="of one round", zorder=4)
    ax.plot(n_stated, stated, "-", color=VERMILLION, lw=1.2, label="stated (with rounds before)", zorder=3)
    ax.plot(n_stated[-1:], stated[-1:], "s", color=VERMILLION, ms=3.2, zorder=3)
    accepted = history.config.stop.failure_probability
    ax.axhline(PERCENT * accepted, color="0.45", lw=0.8, ls="--", label=f"accepted, {PERCENT * accepted:g} %", zorder=1)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_ylim(0.5 * min(*now, *stated, PERCENT * accepted), 160.0)
    _finish(ax, history)
    ax.set_ylabel("P(wrong hull) (%)")
    return ax


def _say(ax: Axes, sentence: str) -> None:
    """A sentence in place of curves."""
    ax.text(0.5, 0.5, sentence, transform=ax.transAxes, ha="center", va="center", color="0.3")


def _percent(probability: float | None) -> float:
    return LEAST_PERCENT if probability is None else max(PERCENT * probability, LEAST_PERCENT)


def _finish(ax: Axes, history: History) -> None:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  slow to import

    n_now = history.now.n_answered
    ax.set_xlim(0, 1.04 * max(n_now, 1))
    ax.set_xlabel(f"calculations (of {len(history.pool)} candidates)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    is_narrow = ax.get_window_extent().width < 4.5 * ax.figure.dpi
    ax.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2 if is_narrow else 3, borderaxespad=0.5, columnspacing=1.0
    )
