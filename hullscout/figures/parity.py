"""Does the model predict? Does its uncertainty hold? Parity, calibration, learning curve.

Predictions are honest ones: of what was not calculated, where a replay knows the truth, and of each known energy from the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hullscout.display import MILLI, PERCENT
from hullscout.errors import OutputError
from hullscout.figures import style
from hullscout.figures.axes import into_axes, n_cut
from hullscout.figures.legends import legend_below
from hullscout.regression import coverage, diagnose, plot_calibration, student_quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hullscout.campaign import History
    from hullscout.selection import Belief
    from hullscout.selection.known import Floats

# Room beyond the energies, of their range; intervals that reach further are cut, and counted.
BEYOND = 0.05
LEVELS = tuple(np.linspace(0.02, 0.98, 49).tolist())
# Learning curves: shares of the energies that are learned from, random orders, and the fewest energies that make a curve.
LEARNED_SHARES = (0.1, 0.2, 0.4, 0.8)
LEARNED_REPEATS = 3
MIN_LEARNED = 40


class HonestPredictions(NamedTuple):
    """Predictions (k,) held against true energies that did not take part in them, eV/atom, capped as in the model.

    `std` are scales of a Student-t. `look`: marker, line, colour, colour of the outline.
    """

    label: str
    look: tuple[str, str, str, str]
    true: Floats
    mean: Floats
    std: Floats


def honest_predictions(belief: Belief) -> tuple[HonestPredictions, ...]:
    """Of the known candidates, each left out; and of the unknown ones, where their energies are known to a replay."""
    known, true = belief.known, belief.known.true_formation_ev_per_atom
    unknown, formation = known.unknown, np.zeros(known.n_candidates)
    formation[known.answered] = known.formation_ev_per_atom
    label, look = f"calculated, left out ({known.n_answered})", ("o", "-", style.BLUE, "white")
    heights = belief.capped(formation)[known.answered]
    left_out = HonestPredictions(
        label, look, heights, belief.left_out_mean_ev_per_atom, belief.left_out_std_ev_per_atom
    )
    if true is None or not unknown.size:
        return (left_out,)
    label, look = f"not calculated ({unknown.size})", ("^", "--", style.NOT_CALCULATED, style.DARK_ORANGE)
    of_all = belief.capped(true), belief.mean_ev_per_atom, belief.std_ev_per_atom
    return HonestPredictions(label, look, *(values[unknown] for values in of_all)), left_out


@into_axes
def draw_parity(ax: Axes, belief: Belief) -> Axes:
    """Draw predicted against true formation energies with 95 % intervals.

    Heights above the hull are capped smoothly at `select.energy_cap`, as the model learns them.
    """
    known, sets, ends = belief.known, honest_predictions(belief), []
    per_std = student_quantile(0.975, belief.degrees_of_freedom)
    for order, those in enumerate(sets):
        marker, _, color, edge = those.look
        true, mean, half_width = those.true * MILLI, those.mean * MILLI, per_std * those.std * MILLI
        label = f"{those.label}, RMSE {float(np.sqrt(np.mean((those.mean - those.true) ** 2))) * MILLI:.3g} meV/atom"
        ends.append(np.stack([mean - half_width, mean + half_width]))
        ax.errorbar(true, mean, half_width, fmt="none", ecolor=color, elinewidth=0.5, alpha=0.55, zorder=2 + order)
        ax.plot(true, mean, marker, ls="", mfc=color, mec=edge, ms=3.2, mew=0.3, label=label, zorder=4 + order)
    every = np.concatenate([np.concatenate([those.true, those.mean]) for those in sets]) * MILLI
    span = float(np.ptp(every))
    limits = (float(every.min()) - BEYOND * span, float(every.max()) + BEYOND * span)
    low, high = np.concatenate(ends, axis=1)
    ax.plot(limits, limits, "-", color=style.found(), lw=0.8, label="predicted as they are", zorder=1)
    ax.errorbar([], [], [], fmt="none", ecolor="0.5", elinewidth=0.8, label="95 % intervals")
    ax.set(xlim=limits, ylim=limits, aspect="equal")
    ax.set_xlabel(f"{'calculated' if known.true_ev_per_atom is None else 'true'} formation energy (meV/atom)")
    ax.set_ylabel("predicted formation energy (meV/atom)")
    legend_below(ax, n_columns=1)
    at = np.concatenate([those.true for those in sets]) * MILLI
    style.keep_title(ax, known.name, lambda: _remark(n_cut(ax, at, low, high)))
    return ax


def _remark(n: int) -> str:
    """That n intervals are cut; empty where none is."""
    return f"{n} {'interval leaves' if n == 1 else 'intervals leave'} this range" if n else ""


@into_axes
def draw_calibration(ax: Axes, belief: Belief) -> Axes:
    """Draw the share of energies inside the stated central interval of each probability; the diagonal is honest.

    Grey: where 95 % of the shares of a perfectly honest model would lie, for as many independent energies as each curve has.
    """
    reports, styles = {}, {}
    for those in honest_predictions(belief):
        errors, tails = those.true - those.mean, belief.degrees_of_freedom
        (inside,) = coverage(errors / those.std, (0.95,), degrees_of_freedom=tails)
        label = f"{those.label}: {PERCENT * inside:.0f} % inside the 95 % interval"
        reports[label] = diagnose(errors, those.std, degrees_of_freedom=tails, levels=LEVELS)
        _, line, color, _ = those.look
        styles[label] = {"linestyle": line, "color": color}
    plot_calibration(reports, ax, styles=styles)
    legend_below(ax, n_columns=1)
    style.set_title(ax, belief.known.name)
    return ax


@into_axes
def draw_learning(ax: Axes, history: History) -> Axes:
    """Draw the error of the campaign's kind of model against the number of random structures that it learns from.

    All candidates of a replay, what was calculated otherwise; heights above their hull are capped as in the campaign.

    Raises:
        OutputError: Too few energies are known.
    """
    from hullscout.hull import lower_hull  # noqa: PLC0415
    from hullscout.regression import (  # noqa: PLC0415
        KernelModel,
        cap_height,
        learning_curve,
        plot_learning_curves,
    )
    from hullscout.selection import HullPosteriorRule  # noqa: PLC0415

    known, config, true = history.now, history.config, history.now.true_formation_ev_per_atom
    rows, energies = (known.answered, known.formation_ev_per_atom) if true is None else (np.arange(true.size), true)
    if rows.size < MIN_LEARNED:
        remedy = "Draw it when more is calculated." if true is None else "The pool is too small for one."
        raise OutputError(
            f"Expected at least {MIN_LEARNED} known energies for a learning curve, found {rows.size}. {remedy}"
        )
    cap = getattr(config.select, "energy_cap", HullPosteriorRule().energy_cap)
    at_hull = lower_hull(known.fractions[rows], energies).energy_at(known.fractions[rows])
    ends = np.cumsum([0, *(block.shape[1] for block in history.setup.features.values())]).tolist()
    blocks = {name: slice(*pair) for name, *pair in zip(history.setup.features, ends, ends[1:], strict=False)}
    shape = config.regression.kernel
    curve = learning_curve(
        lambda learned, y, new: np.asarray(KernelModel(shape, blocks=blocks).fit(learned, y).predict(new)),
        np.hstack(list(history.setup.features.values()))[rows],
        (at_hull + cap_height(energies - at_hull, cap)) * MILLI,
        sizes=[int(share * rows.size) for share in LEARNED_SHARES],
        n_repeats=LEARNED_REPEATS,
        seed=config.seed,
        label=f"{shape} kernel, random structures",
    )
    ax.set_prop_cycle(color=[style.BLUE])
    plot_learning_curves([curve], ax, unit="meV/atom")
    style.set_title(ax, f"{config.name}: {rows.size} energies, heights capped at {cap * MILLI:g} meV/atom")
    return ax
