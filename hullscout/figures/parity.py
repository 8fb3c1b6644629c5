"""Does the model predict? Does its uncertainty hold? Parity, calibration, learning curve.

Predictions are honest ones: of what was not calculated, where a replay knows the truth, and of each known energy from the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hullscout.figures.style import BLUE, FOUND, MILLI, NOT_CALCULATED, PERCENT, plain
from hullscout.regression import diagnose
from hullscout.regression.calibration import TailCalibration, student_quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from hullscout.campaign.history import Outlook
    from hullscout.campaign.standing import Standing

    Floats = NDArray[np.float64]

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
    for order, predictions in enumerate(sets):
        marker, color = styles[predictions.label]
        error = predictions.mean - predictions.true
        rmse = float(np.sqrt(np.mean(error**2))) * MILLI
        label = f"{predictions.label} ({predictions.true.size}), RMSE {rmse:.3g} meV/atom"
        half_width = student_quantile(0.975, predictions.degrees_of_freedom) * predictions.std * MILLI
        true, mean = predictions.true * MILLI, predictions.mean * MILLI
        ax.errorbar(true, mean, half_width, fmt="none", ecolor=color, elinewidth=0.4, alpha=0.45, zorder=2 + order)
        ax.plot(true, mean, marker, ls="", color=color, ms=2.6, mew=0, alpha=0.85, label=label, zorder=4 + order)
    margin = 0.05 * float(np.ptp(every))
    limits = (float(every.min()) - margin, float(every.max()) + margin)
    ax.plot(limits, limits, "-", color=FOUND, lw=0.8, zorder=1)
    ax.set(xlim=limits, ylim=limits, aspect="equal")
    ax.set_title(plain(standing.name))
    ax.set_xlabel("formation energy (meV/atom)")
    ax.set_ylabel("predicted (meV/atom)")
    ax.figure.legend(
        *ax.get_legend_handles_labels(), loc="outside lower center", fontsize="small", frameon=False, ncols=1
    )
    return ax


def draw_calibration(ax: Axes, standing: Standing, outlook: Outlook) -> Axes:
    """Draw the share of energies inside the stated central interval of each probability; the diagonal is honest.

    Grey: where 95 % of the shares of a perfectly honest model would lie, if the smallest set's energies were independent.
    """
    from scipy.stats import binom  # noqa: PLC0415  slow to import

    sets = honest_predictions(standing, outlook)
    n = min(predictions.true.size for predictions in sets)
    low, high = (PERCENT * binom.ppf(p, n, LEVELS) / n for p in (0.025, 0.975))
    ax.fill_between(PERCENT * LEVELS, low, high, color="0.85", lw=0, zorder=0, label=f"honest, {n} energies")
    ax.plot([0, 100], [0, 100], "-", color=FOUND, lw=0.8, zorder=1)
    styles = {"not calculated": ("--", NOT_CALCULATED), "calculated, left out": ("-", BLUE)}
    for order, predictions in enumerate(sets):
        z = np.abs(predictions.true - predictions.mean) / predictions.std
        tails = TailCalibration(degrees_of_freedom=predictions.degrees_of_freedom)
        share = [PERCENT * float(np.mean(z <= tails.half_width(float(level)))) for level in LEVELS]
        report = diagnose(
            predictions.true - predictions.mean, predictions.std, degrees_of_freedom=predictions.degrees_of_freedom
        )
        line, color = styles[predictions.label]
        label = f"{predictions.label}: {PERCENT * report.coverage[-1]:.0f} % inside the 95 % interval"
        ax.plot(PERCENT * LEVELS, share, line, color=color, lw=1.4, label=label, zorder=2 + order)
    ax.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
    ax.set_title(plain(standing.name))
    ax.set_xlabel("stated probability of the interval (%)")
    ax.set_ylabel("energies inside (%)")
    ax.figure.legend(
        *ax.get_legend_handles_labels(), loc="outside lower center", fontsize="small", frameon=False, ncols=1
    )
    return ax
