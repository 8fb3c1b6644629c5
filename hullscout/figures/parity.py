"""Does the model predict? Does its uncertainty hold? Parity, calibration, learning curve.

Predictions are honest ones: of what was not calculated, where a replay knows the truth, and of each known energy from the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import MILLI, PERCENT
from hullscout.figures.style import BLUE, DARK_ORANGE, FOUND, NOT_CALCULATED, legend_below, set_title
from hullscout.regression import coverage, diagnose, plot_calibration, student_quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from hullscout.campaign.history import Outlook
    from hullscout.campaign.standing import Standing

    Floats = NDArray[np.float64]

# Intervals that reach further beyond the energies than this share of their range are cut, and counted.
MOST_BEYOND = 0.4
LEVELS = tuple(np.linspace(0.02, 0.98, 49).tolist())


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


def honest_predictions(standing: Standing, outlook: Outlook) -> tuple[HonestPredictions, ...]:
    """Of the known candidates, each left out; and of the unknown ones, where their energies are known to a replay."""
    x = standing.pool.x
    formation = np.zeros(x.size)
    formation[standing.known] = standing.formation_ev_per_atom
    left_out = HonestPredictions(
        label="calculated, left out",
        true=outlook.capped(formation)[standing.known],
        mean=outlook.left_out_mean_ev_per_atom,
        std=outlook.left_out_std_ev_per_atom,
        degrees_of_freedom=outlook.degrees_of_freedom,
    )
    if standing.reference_ev_per_atom is None or not standing.unknown.size:
        return (left_out,)
    unknown = standing.unknown
    unseen = HonestPredictions(
        label="not calculated",
        true=outlook.capped(standing.reference_ev_per_atom)[unknown],
        mean=outlook.mean_ev_per_atom[unknown],
        std=outlook.std_ev_per_atom[unknown],
        degrees_of_freedom=outlook.degrees_of_freedom,
    )
    return unseen, left_out


def draw_parity(ax: Axes, standing: Standing, outlook: Outlook) -> Axes:
    """Draw predicted against true formation energies with 95 % intervals.

    Heights above the hull are capped smoothly at `select.energy_cap`, as the model learns them.
    """
    sets = honest_predictions(standing, outlook)
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
    ax.set_xlabel(f"{'calculated' if standing.reference_ev_per_atom is None else 'true'} formation energy (meV/atom)")
    ax.set_ylabel("predicted formation energy (meV/atom)")
    legend_below(ax, n_columns=1)
    set_title(
        ax,
        standing.name,
        f"{n_cut} {'interval leaves' if n_cut == 1 else 'intervals leave'} this range" if n_cut else "",
    )
    return ax


def draw_calibration(ax: Axes, standing: Standing, outlook: Outlook) -> Axes:
    """Draw the share of energies inside the stated central interval of each probability; the diagonal is honest.

    Grey: where 95 % of the shares of a perfectly honest model would lie, for as many independent energies as each curve has.
    """
    lines = {"not calculated": ("--", NOT_CALCULATED), "calculated, left out": ("-", BLUE)}
    reports, styles = {}, {}
    for predictions in honest_predictions(standing, outlook):
        residuals, tails = predictions.true - predictions.mean, predictions.degrees_of_freedom
        (inside,) = coverage(residuals / predictions.std, (0.95,), degrees_of_freedom=tails)
        label = f"{predictions.label} ({predictions.true.size}): {PERCENT * inside:.0f} % inside the 95 % interval"
        reports[label] = diagnose(residuals, predictions.std, degrees_of_freedom=tails, levels=LEVELS)
        linestyle, color = lines[predictions.label]
        styles[label] = {"linestyle": linestyle, "color": color}
    plot_calibration(reports, ax, styles=styles)
    legend_below(ax, n_columns=1)
    set_title(ax, standing.name)
    return ax
