"""Does the model predict? Does its uncertainty hold? Parity, calibration, learning curve.

Predictions are honest ones: of what was not calculated, where a replay knows the truth, and of each known energy from the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import MILLI, PERCENT
from hullscout.figures.style import BLUE, DARK_ORANGE, FOUND, NOT_CALCULATED, legend_below, set_title
from hullscout.regression import diagnose
from hullscout.regression.calibration import TailCalibration, student_quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from hullscout.selection import Belief

    Floats = NDArray[np.float64]

# Intervals that reach further beyond the energies than this share of their range are cut, and counted.
MOST_BEYOND = 0.4
LEVELS = np.linspace(0.02, 0.98, 49)


@dataclass(frozen=True, slots=True, kw_only=True)
class HonestPredictions:
    """Predictions held against energies that did not take part in them, in eV/atom.

    Attributes:
        label: Of what, for the legend.
        true: (k,) formation energies, heights above the hull capped as in the model.
        mean: (k,) predictions.
        std: (k,) their standard deviations: scales of a Student-t.
        degrees_of_freedom: Of that.
    """

    label: str
    true: Floats
    mean: Floats
    std: Floats
    degrees_of_freedom: float


def honest_predictions(belief: Belief) -> tuple[HonestPredictions, ...]:
    """Of the known candidates, each left out; and of the unknown ones, where their energies are known to a replay."""
    known = belief.known
    formation = np.zeros(known.n_candidates)
    formation[known.answered] = known.formation_ev_per_atom
    left_out = HonestPredictions(
        label="calculated, left out",
        true=belief.capped(formation)[known.answered],
        mean=belief.left_out_mean_ev_per_atom,
        std=belief.left_out_std_ev_per_atom,
        degrees_of_freedom=belief.degrees_of_freedom,
    )
    if known.true_formation_ev_per_atom is None or not known.unknown.size:
        return (left_out,)
    unknown = known.unknown
    unseen = HonestPredictions(
        label="not calculated",
        true=belief.capped(known.true_formation_ev_per_atom)[unknown],
        mean=belief.mean_ev_per_atom[unknown],
        std=belief.std_ev_per_atom[unknown],
        degrees_of_freedom=belief.degrees_of_freedom,
    )
    return unseen, left_out


def draw_parity(ax: Axes, belief: Belief) -> Axes:
    """Draw predicted against true formation energies with 95 % intervals.

    Heights above the hull are capped smoothly at `select.energy_cap`, as the model learns them.
    """
    known, sets = belief.known, honest_predictions(belief)
    styles = {"not calculated": ("^", NOT_CALCULATED), "calculated, left out": ("o", BLUE)}
    every = np.concatenate([np.concatenate([s.true, s.mean]) for s in sets]) * MILLI
    ends = []
    for order, predictions in enumerate(sets):
        marker, color = styles[predictions.label]
        error = predictions.mean - predictions.true
        rmse = float(np.sqrt(np.mean(error**2))) * MILLI
        label = f"{predictions.label} ({predictions.true.size}), RMSE {rmse:.3g} meV/atom"
        half_width = student_quantile(0.975, predictions.degrees_of_freedom) * predictions.std * MILLI
        true, mean = predictions.true * MILLI, predictions.mean * MILLI
        ends.append(np.stack([mean - half_width, mean + half_width]))
        ax.errorbar(true, mean, half_width, fmt="none", ecolor=color, elinewidth=0.5, alpha=0.55, zorder=2 + order)
        edge = "white" if color == BLUE else DARK_ORANGE
        ax.plot(true, mean, marker, ls="", mfc=color, mec=edge, ms=3.2, mew=0.3, label=label, zorder=4 + order)
    span = float(np.ptp(every))
    limits = (float(every.min()) - 0.05 * span, float(every.max()) + 0.05 * span)
    low, high = np.concatenate(ends, axis=1)
    bottom = min(limits[0], max(float(low.min()), limits[0] - MOST_BEYOND * span) - 0.02 * span)
    top = max(limits[1], min(float(high.max()), limits[1] + MOST_BEYOND * span) + 0.02 * span)
    n_cut = int(((low < bottom) | (high > top)).sum())
    ax.plot(limits, limits, "-", color=FOUND, lw=0.8, label="predicted as they are", zorder=1)
    ax.errorbar([], [], [], fmt="none", ecolor="0.5", elinewidth=0.8, label="95 % intervals")
    ax.set(xlim=limits, ylim=(bottom, top), aspect="equal")
    ax.set_xlabel(f"{'calculated' if known.true_formation_ev_per_atom is None else 'true'} formation energy (meV/atom)")
    ax.set_ylabel("predicted formation energy (meV/atom)")
    legend_below(ax, n_columns=1)
    set_title(
        ax,
        known.name,
        f"{n_cut} {'interval leaves' if n_cut == 1 else 'intervals leave'} this range" if n_cut else "",
    )
    return ax


def draw_calibration(ax: Axes, belief: Belief) -> Axes:
    """Draw the share of energies inside the stated central interval of each probability; the diagonal is honest.

    Grey: where 95 % of the shares of a perfectly honest model would lie, for as many independent energies as each curve has.
    """
    from scipy.stats import binom  # noqa: PLC0415  slow to import

    known, sets = belief.known, honest_predictions(belief)
    for order, n in enumerate(sorted({predictions.true.size for predictions in sets})):
        low, high = (PERCENT * binom.ppf(p, n, LEVELS) / n for p in (0.025, 0.975))
        label = f"honest model, 95 % range of {n} energies"
        ax.fill_between(
            PERCENT * LEVELS, low, high, fc=("0.88", "0.74")[order], ec="0.5", lw=0.4, zorder=0.1 * order, label=label
        )
    ax.plot([0, 100], [0, 100], "-", color=FOUND, lw=0.8, zorder=1, label="honest model, expected")
    styles = {"not calculated": ("--", NOT_CALCULATED), "calculated, left out": ("-", BLUE)}
    for order, predictions in enumerate(sets):
        z = np.abs(predictions.true - predictions.mean) / predictions.std
        tails = TailCalibration(degrees_of_freedom=predictions.degrees_of_freedom)
        share = [PERCENT * float(np.mean(z <= tails.half_width(float(level)))) for level in LEVELS]
        report = diagnose(
            predictions.true - predictions.mean, predictions.std, degrees_of_freedom=predictions.degrees_of_freedom
        )
        line, color = styles[predictions.label]
        label = f"{predictions.label} ({predictions.true.size}): {PERCENT * report.coverage[-1]:.0f} % inside the 95 % interval"
        ax.plot(PERCENT * LEVELS, share, line, color=color, lw=1.4, label=label, zorder=2 + order)
    ax.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
    ax.set_xlabel("stated probability of the interval (%)")
    ax.set_ylabel("energies inside (%)")
    legend_below(ax, n_columns=1)
    set_title(ax, known.name)
    return ax
