"""In axes of one's own, beside others and in any layout, nothing is cut off and nothing takes the room of what is drawn."""

import itertools

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.text import Text

from hullscout import Campaign

mpl.use("Agg")
KINDS = ("hull", "distance", "errors", "failure_probability", "calibration", "parity")


@pytest.fixture(scope="module")
def campaign(stopped):
    """The replay that ran out of its budget."""
    return Campaign(stopped)


@pytest.fixture
def grid():
    """Figures with axes in rows and columns, in matplotlib's own style."""
    import matplotlib.pyplot as plt

    made = []

    def subplots(*shape, **options):
        with mpl.rc_context({"figure.dpi": 100}):
            figure, axes = plt.subplots(*shape, squeeze=False, **options)
        made.append(figure)
        return figure, list(axes.flat)

    yield subplots
    for figure in made:
        plt.close(figure)


def boxes(figure):
    """What each of the axes takes up, with its labels, title, legend and bar, in pixels."""
    renderer = figure.canvas.get_renderer()
    return [ax.get_tightbbox(renderer) for ax in figure.axes]


@pytest.mark.parametrize("layout", ["tight", "constrained"])
@pytest.mark.parametrize(("shape", "size"), [((1, 1), (3.4, 4.2)), ((1, 2), (7.0, 3.6)), ((2, 3), (10.0, 7.5))])
def test_figures_in_a_grid_lose_nothing(campaign, grid, shape, size, layout):
    figure, axes = grid(*shape, figsize=size, layout=layout)
    for kind, ax in zip(KINDS, axes, strict=False):
        getattr(campaign, f"plot_{kind}")(ax)
    figure.draw_without_rendering()
    figure.draw_without_rendering()
    every, window = boxes(figure), figure.bbox
    for box in every:
        assert window.x0 - 2 <= box.x0 < box.x1 <= window.x1 + 2
        assert window.y0 - 2 <= box.y0 < box.y1 <= window.y1 + 2
    panels = [box for ax, box in zip(figure.axes, every, strict=True) if ax.get_label() != "<colorbar>"]
    for a, b in itertools.combinations(panels, 2):
        assert min(a.x1, b.x1) - max(a.x0, b.x0) < 2 or min(a.y1, b.y1) - max(a.y0, b.y0) < 2
    rows, columns = shape
    for ax in axes:
        drawn = ax.get_window_extent()
        assert drawn.width > 0.3 * window.width / columns
        assert drawn.height > 0.3 * window.height / rows


def test_parity_is_a_square_that_its_points_fill(campaign, grid):
    _, (ax,) = grid(1, 1, figsize=(3.4, 4.2), layout="constrained")
    campaign.plot_parity(ax)
    assert ax.get_xlim() == ax.get_ylim()
    points = np.vstack([line.get_xydata() for line in ax.lines if line.get_linestyle() == "None"])
    low, high = ax.get_xlim()
    assert (points.max() - points.min()) / (high - low) == pytest.approx(1 / 1.1)


def legend_of(ax):
    """Names in the legend of the axes or of their figure."""
    legends = [*ax.figure.legends, *([ax.get_legend()] if ax.get_legend() else [])]
    return {text.get_text().split(" (")[0] for legend in legends for text in legend.get_texts()}


@pytest.mark.parametrize("layout", ["tight", "constrained", None])
def test_a_legend_names_only_what_is_drawn_within_the_limits(history, belief, grid, layout):
    from dataclasses import replace

    from hullscout.figures.hulls import draw_hull

    known = history.now
    _, (ax,) = grid(1, 1, figsize=(5, 4), layout=layout)
    draw_hull(ax, known, belief=belief)
    assert {"calculated", "not calculated", "true hull"} <= legend_of(ax)
    far = known.true_ev_per_atom.copy()
    far[known.unknown] += 30.0
    _, (ax,) = grid(1, 1, figsize=(5, 4), layout=layout)
    draw_hull(ax, replace(known, true_ev_per_atom=far), belief=belief)
    assert ("calculated" in legend_of(ax), "not calculated" in legend_of(ax)) == (True, False)


def test_every_text_of_a_legend_is_one_of_what_is_drawn(campaign, grid):
    _, axes = grid(2, 3, figsize=(10, 7), layout="constrained")
    for kind, ax in zip(KINDS, axes, strict=True):
        getattr(campaign, f"plot_{kind}")(ax)
        drawn = {label.split(" (")[0] for label in ax.get_legend_handles_labels()[1]}
        assert {text.replace("\n", " ") for text in legend_of(ax)} <= drawn
        assert all(isinstance(text, Text) and text.get_text() for text in ax.get_legend().get_texts())


def limits(axes):
    return [(ax.get_xlim(), ax.get_ylim()) for ax in axes]


@pytest.mark.parametrize("layout", ["tight", "constrained", None])
@pytest.mark.parametrize(("shape", "size"), [((1, 2), (7.0, 3.6)), ((2, 1), (3.6, 7.0)), ((2, 3), (10.0, 7.5))])
def test_limits_are_the_same_in_whatever_order_panels_are_drawn(campaign, grid, shape, size, layout):
    found = []
    for step in (1, -1):
        _, axes = grid(*shape, figsize=size, layout=layout)
        for kind, ax in list(zip(KINDS, axes, strict=False))[::step]:
            getattr(campaign, f"plot_{kind}")(ax)
        found.append(limits(axes))
    assert found[0] == found[1]


def test_limits_that_neighbours_share_hold_what_is_drawn_in_each(campaign, finished, grid):
    other, alone, found = Campaign(finished), [], []
    drawn = [(campaign, "hull"), (other, "hull"), (campaign, "errors"), (other, "errors")]
    for one, kind in drawn:
        _, (ax,) = grid(1, 1, figsize=(5, 4))
        getattr(one, f"plot_{kind}")(ax)
        alone += limits([ax])
    for step in (1, -1):
        _, axes = grid(2, 2, figsize=(8, 7), sharex="row", sharey="row")
        for (one, kind), ax in list(zip(drawn, axes, strict=True))[::step]:
            getattr(one, f"plot_{kind}")(ax)
        found.append(limits(axes))
    assert found[0] == found[1]
    (x, y), of_both = found[0][2], alone[2:]
    assert x == (min(one[0][0] for one in of_both), max(one[0][1] for one in of_both))
    assert y == (min(one[1][0] for one in of_both), max(one[1][1] for one in of_both))
    assert alone[2] != alone[3]


@pytest.mark.parametrize("kind", [*KINDS, "learning", "chemical_potentials", "mbtr", "section"])
def test_what_is_no_axes_is_refused_with_what_was_found(campaign, grid, kind):
    figure, axes = grid(1, 2)
    draw = getattr(campaign, f"plot_{kind}")
    words = ("Ag", "Pd") if kind == "section" else ()
    named = "axes" if kind == "mbtr" else "ax"
    for wrong, what in ((figure, "Figure"), ("here", "str"), (axes, "list")):
        if kind == "mbtr" and wrong is axes:
            continue
        with pytest.raises(TypeError, match=rf"Expected .*matplotlib's Axes.*, found an object of class {what}\."):
            draw(*words, **{named: wrong})


def test_drawing_functions_refuse_what_is_no_axes(history, belief):
    from hullscout.figures.hulls import draw_hull
    from hullscout.regression import plot_learning_curves

    with pytest.raises(TypeError, match=r"found an object of class NoneType\. Give what figure.add_subplot"):
        draw_hull(None, history.now, belief=belief)
    with pytest.raises(TypeError, match=r"found an object of class list\. Give one of them"):
        plot_learning_curves([object()], [1, 2])
