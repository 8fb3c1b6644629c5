"""The figure of a plan: a budget stands with its unit where nothing crosses it."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from hullscout.figures.chances import draw_chance
from hullscout.planning.curves import Curve


def curve(budget):
    ends = np.array([0.0, 300.0])
    return Curve(
        name="Ni-Al", about="predicted", amounts=ends, chance=ends / 400, low=ends / 500, high=ends / 300, is_step=False,
        asked=296.0, budget=budget,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("budget", "label"),
    [(1000.0, "core-hours (budget: 1000 \N{RIGHTWARDS ARROW})"), (200.0, "core-hours"), (None, "core-hours")],
)
def test_a_budget_beyond_the_axis_stands_with_its_unit_outside_of_what_is_drawn(budget, label):
    ax = Figure().subplots()
    draw_chance(ax, curve(budget), unit="core-hours", wanted=0.95)
    assert ax.get_xlabel() == label
    assert not [text for text in ax.texts if text.get_text()]
    assert ("budget" in ax.get_legend_handles_labels()[1]) == (budget == 200.0)
