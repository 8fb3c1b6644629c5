"""Savings against risk: one panel per campaign, one curve per rule, both with their intervals."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.display import PERCENT
from hullscout.figures import saving, style
from hullscout.figures.axes import into_axes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hullscout.planning.trade_off import SettingOutcome

# Different markers and dashes: rules are told apart without colour as well.
COLOURS = (style.BLUE, style.VERMILLION, style.GREEN, style.PURPLE, style.ORANGE, style.SKY)
DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1)), (0, (1, 1)))
LOOKS = tuple(zip(COLOURS, "os^DvP", DASHES, strict=True))
# Rules are drawn side by side, so many points apart: often many have the same risk.
APART = 3.0
MAX_COLUMNS = 4


@into_axes
def draw_trade_off(ax: Axes, outcomes: Sequence[SettingOutcome], *, risk: float, rules: Sequence[str]) -> Axes:
    """Draw the settings of one campaign into `ax` and return it.

    Horizontally the share of replays beyond the tolerance with its 95 % interval, vertically the saved share with its 5th to 95th
    percentile, both in %. Rules are shifted to the right by a few points of the page, so that intervals at the same risk do not
    hide each other.

    Args:
        risk: The wanted risk; where the interval ends left of it, a setting is safe with confidence (filled).
        rules: All rules of the plan, which fixes their colours.
    """
    from matplotlib.transforms import offset_copy  # noqa: PLC0415

    for place, rule in enumerate(rules):
        of_rule = sorted((o for o in outcomes if o.rule == rule), key=lambda o: (o.risk.rate, o.saved_fraction.mean))
        if not of_rule:
            continue
        color, marker, dashes = LOOKS[place % len(LOOKS)]
        beside = offset_copy(ax.transData, ax.get_figure(root=True), x=APART * place, units="points")  # none below 0 %
        at, *to_low = PERCENT * np.array([[o.risk.rate, o.risk.low, o.risk.high] for o in of_rule]).T
        spreads = [[o.saved_fraction.mean, o.saved_fraction.p05, o.saved_fraction.p95] for o in of_rule]
        saved, *spread = PERCENT * np.array(spreads).T
        ax.plot(at, saved, ls=dashes, color=color, lw=1.0, alpha=0.7, zorder=2, transform=beside)
        ax.errorbar(
            at, saved, xerr=np.abs(to_low - at), yerr=np.abs(spread - saved), fmt="none", ecolor=color, elinewidth=0.8,
            alpha=0.55, capsize=2, zorder=3, transform=beside,
        )  # fmt: skip
        is_safe = np.array([o.risk.high <= risk for o in of_rule])
        for chosen, face in ((is_safe, color), (~is_safe, "white")):
            ax.plot(at[chosen], saved[chosen], marker, mfc=face, mec=color, ms=5.5, zorder=4, transform=beside)
        ax.plot([], [], marker=marker, ls=dashes, color=color, lw=1.0, label=rule)
    ax.axvline(PERCENT * risk, color="0.4", lw=0.8, ls="--", zorder=1)
    # Shifted points do not count for matplotlib's own choice of limits.
    most = PERCENT * max(risk, *(o.risk.high for o in outcomes))
    lowest = PERCENT * min(o.saved_fraction.p05 for o in outcomes)
    highest = PERCENT * max(o.saved_fraction.p95 for o in outcomes)
    margin = 0.05 * max(highest - lowest, 20.0)
    ax.set(xlim=(-0.04 * most, 1.04 * most), ylim=(lowest - margin, highest + margin))
    ax.set_xlabel("hulls beyond the tolerance (% of replays)")
    ax.set_ylabel("calculations saved (%)")
    ax.set_title(style.plain(f"{outcomes[0].campaign}, {outcomes[0].replicates} replays"), fontsize="medium")
    return ax


def trade_off_bytes(
    outcomes: Sequence[SettingOutcome],
    *,
    risk: float,
    width: style.Width = style.Width.PAGE,
    on_note: Callable[[str], object] | None = None,
) -> bytes:
    """The figure of a whole plan as PNG; of the width of a column its panels stand below each other."""
    n_campaigns = len({outcome.campaign for outcome in outcomes})
    is_column = width is style.Width.COLUMN
    n_columns = 1 if is_column else min(n_campaigns, MAX_COLUMNS)
    n_rows = -(-n_campaigns // n_columns)
    size = (max(6.4, 3.4 * n_columns), 0.8 + (3.4 if n_columns > 1 else 3.9) * n_rows)
    if is_column:
        size = (4.2, 1.2 + 3.1 * n_rows)
    draw = partial(_draw_campaigns, outcomes=outcomes, risk=risk, shape=(n_rows, n_columns))
    return saving.figure_bytes(draw, suffix=".png", inches=size, dpi=150, rc={}, on_note=on_note)


def _draw_campaigns(figure: Figure, *, outcomes: Sequence[SettingOutcome], risk: float, shape: tuple[int, int]) -> None:
    names, rules = (list(dict.fromkeys(found)) for found in zip(*((o.campaign, o.rule) for o in outcomes), strict=True))
    axes = figure.subplots(*shape, squeeze=False).ravel()
    handles: dict[str, Any] = {}
    for ax, name in zip(axes, names, strict=False):
        draw_trade_off(ax, [o for o in outcomes if o.campaign == name], risk=risk, rules=rules)
        handles |= {label: h for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        if shape[1] > 1:
            ax.set_xlabel(ax.get_xlabel().replace(" (", "\n("))  # a panel is narrower than the label
    for ax in axes[len(names) :]:
        ax.remove()
    handles[f"wanted risk, {PERCENT * risk:g} %"] = axes[0].plot([], [], color="0.4", lw=0.8, ls="--")[0]
    handles["below it with 95 % confidence"] = axes[0].plot([], [], "o", mfc="0.4", mec="0.4")[0]
    look = {
        "ncols": 4 if shape[1] > 1 else 2 if axes[0].figure.get_figwidth() < style.NARROW else 3,
        "frameon": False,
        "fontsize": "small",
    }
    figure.legend([*handles.values()], [*handles], loc="outside lower center", **look)
