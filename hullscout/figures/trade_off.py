"""Savings against risk: one panel per campaign, one curve per rule, both with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import PERCENT
from hullscout.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from hullscout.planning.trade_off import SettingOutcome

# Okabe and Ito's colours, different markers and dashes: rules are told apart without colour as well.
STYLES = (
    ("#0072B2", "o", "-"),
    ("#D55E00", "s", "--"),
    ("#009E73", "^", "-."),
    ("#CC79A7", "D", ":"),
    ("#E69F00", "v", (0, (6, 1, 1, 1))),
    ("#56B4E9", "P", (0, (1, 1))),
)
# Rules are drawn side by side, so many points apart: often many have the same risk.
APART = 3.0
MOST_COLUMNS = 4


def draw_trade_off(ax: Axes, outcomes: Sequence[SettingOutcome], *, risk: float, rules: Sequence[str]) -> Axes:
    """Draw the settings of one campaign into `ax` and return it.

    Horizontally the share of replays beyond the tolerance with its 95 % interval, vertically the saved share with its 5th to 95th
    percentile, both in %. Rules are shifted to the right by a few points of the page, so that intervals at the same risk do not
    hide each other.

    Args:
        ax: Where to draw.
        outcomes: The settings of one campaign.
        risk: The wanted risk; where the interval ends left of it, a setting is safe with confidence (filled).
        rules: All rules of the plan, which fixes their colours.
    """
    from matplotlib.transforms import offset_copy  # noqa: PLC0415

    for rule in rules:
        of_rule = sorted((o for o in outcomes if o.rule == rule), key=lambda o: (o.risk.rate, o.saved_fraction.mean))
        if not of_rule:
            continue
        color, marker, dashes = STYLES[rules.index(rule) % len(STYLES)]
        beside = APART * rules.index(rule)  # to the right: none stands below 0 %
        place = offset_copy(ax.transData, ax.get_figure(root=True), x=beside, units="points")
        at = PERCENT * np.array([o.risk.rate for o in of_rule])
        saved = PERCENT * np.array([o.saved_fraction.mean for o in of_rule])
        to_low = PERCENT * np.array([[o.risk.low, o.risk.high] for o in of_rule]).T
        spread = PERCENT * np.array([[o.saved_fraction.p05, o.saved_fraction.p95] for o in of_rule]).T
        ax.plot(at, saved, ls=dashes, color=color, lw=1.0, alpha=0.7, zorder=2, transform=place)
        ax.errorbar(
            at, saved, xerr=np.abs(to_low - at), yerr=np.abs(spread - saved), fmt="none", ecolor=color, elinewidth=0.8,
            alpha=0.55, capsize=2, zorder=3, transform=place,
        )  # fmt: skip
        is_safe = np.array([o.risk.high <= risk for o in of_rule])
        for chosen, face in ((is_safe, color), (~is_safe, "white")):
            ax.plot(at[chosen], saved[chosen], marker, mfc=face, mec=color, ms=5.5, zorder=4, transform=place)
        ax.plot([], [], marker=marker, ls=dashes, color=color, lw=1.0, label=rule)
    ax.axvline(PERCENT * risk, color="0.4", lw=0.8, ls="--", zorder=1)
    # Shifted points do not count for matplotlib's own choice of limits.
    most = PERCENT * max(risk, *(o.risk.high for o in outcomes))
    lowest, highest = (
        PERCENT * f(getattr(o.saved_fraction, name) for o in outcomes) for f, name in ((min, "p05"), (max, "p95"))
    )
    margin = 0.05 * max(highest - lowest, 20.0)
    ax.set(xlim=(-0.04 * most, 1.04 * most), ylim=(lowest - margin, highest + margin))
    ax.set_xlabel("hulls beyond the tolerance (% of replays)")
    ax.set_ylabel("calculations saved (%)")
    first = outcomes[0]
    ax.set_title(f"{first.campaign}, {first.replicates} replays".replace("$", r"\$"), fontsize="medium")
    return ax


def save_trade_off(path: Path, outcomes: Sequence[SettingOutcome], *, risk: float) -> None:
    """Write the figure of a whole plan to a file, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    names = list(dict.fromkeys(outcome.campaign for outcome in outcomes))
    rules = list(dict.fromkeys(outcome.rule for outcome in outcomes))
    n_columns = min(len(names), MOST_COLUMNS)
    n_rows = -(-len(names) // n_columns)
    size = (max(6.4, 3.4 * n_columns), 0.8 + (3.4 if n_columns > 1 else 3.9) * n_rows)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for ax, name in zip(axes, names, strict=False):
        draw_trade_off(ax, [o for o in outcomes if o.campaign == name], risk=risk, rules=rules)
        if n_columns > 1:
            ax.set_xlabel(ax.get_xlabel().replace(" (", "\n("))  # a panel is narrower than the label
    for ax in axes[len(names) :]:
        ax.remove()
    handles = {label: h for ax in axes[: len(names)] for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    wanted = axes[0].plot([], [], color="0.4", lw=0.8, ls="--")[0]
    safe = axes[0].plot([], [], "o", mfc="0.4", mec="0.4")[0]
    figure.legend(
        [*handles.values(), wanted, safe], [*handles, f"wanted risk, {PERCENT * risk:g} %", "below it with 95 % confidence"],
        loc="outside lower center", ncols=4 if n_columns > 1 else 3, frameon=False, fontsize="small",
    )  # fmt: skip
    half_made = path.with_name(f".{path.name}.new")
    try:
        figure.savefig(half_made, format=path.suffix[1:])
        half_made.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}. The replays are kept; run again.") from error
