"""Labels of many ground states in little room: none covers another, and no line to one crosses a label or another line."""

import itertools

import matplotlib as mpl
import numpy as np
import pytest
from ase.build import bulk
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from hullscout import Pool
from hullscout.figures.labels import HEAVY, SPACE, Kept, Label, place_around, place_labels
from hullscout.figures.look import Look
from hullscout.figures.style import RC

# Shapes of hulls of eleven vertices: deep in the middle, at one end, nearly flat, and with a steep end.
SHAPES = {
    "even": lambda x: -0.3 * x * (1 - x),
    "aside": lambda x: -0.3 * x * (1 - x) * (1.9 - x),
    "flat": lambda x: -0.004 * x * (1 - x),
    "steep": lambda x: -0.2 * (x**0.3) * (1 - x),
}


def eleven(shape):
    """A pool of Cu and Au of which every candidate is a ground state."""
    cells = []
    for n_gold in range(11):
        atoms = bulk("Cu", a=3.8) * (10, 1, 1)
        atoms.symbols[:n_gold] = "Au"
        atoms.info = {"id": f"c{n_gold}", "energy": 10 * SHAPES[shape](n_gold / 10)}
        cells.append(atoms)
    return Pool.of(cells, elements=("Cu", "Au"))


def drawn(pool, size):
    with mpl.rc_context(RC):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        ax = figure.add_subplot()
        pool.plot_hull(ax)
        figure.draw_without_rendering()
    return ax


def side(p, q, r):
    return np.sign(np.cross(np.append(q - p, 0), np.append(r - p, 0))[2])


def crosses(a, b, c, d):
    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def boxes_and_leaders(ax):
    """Of the labels that are seen: boxes, and lines from their middles to their points, all in pixels."""
    renderer = ax.figure.canvas.get_renderer()
    labels = [text for text in ax.texts if isinstance(text, Annotation) and text.get_visible()]
    boxes = [Text.get_window_extent(text, renderer) for text in labels]
    middles = [np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2]) for box in boxes]
    return boxes, [(middle, ax.transData.transform(text.xy)) for middle, text in zip(middles, labels, strict=True)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [(3.4, 3.7), (3.4, 2.4), (7.0, 4.5)])
def test_eleven_ground_states_are_named_and_no_line_crosses_a_label_or_a_line(shape, size):
    ax = drawn(eleven(shape), size)
    boxes, leaders = boxes_and_leaders(ax)
    assert len(boxes) == 11
    for (a, line), (b, other) in itertools.combinations(zip(boxes, leaders, strict=True), 2):
        assert not a.overlaps(b)
        assert not crosses(*line, *other)
        for box, one in ((a, other), (b, line)):
            corners = np.array([[box.x0, box.y0], [box.x1, box.y0], [box.x1, box.y1], [box.x0, box.y1]])
            assert not any(crosses(*one, corners[k - 1], corners[k]) for k in range(4))
    frame = ax.get_window_extent()
    assert all(frame.x0 - 1 <= box.x0 and box.x1 <= frame.x1 + 1 and box.y0 >= frame.y0 - 1 for box in boxes)


@pytest.mark.parametrize(("grid", "layout"), [((1, 2), "constrained"), ((1, 2), None), ((1, 1), None)])
def test_eleven_ground_states_stay_within_axes_of_ones_own(grid, layout):
    figure = Figure(figsize=(3.5 * grid[1], 2.8), layout=layout)
    FigureCanvasAgg(figure)
    every = figure.subplots(*grid, squeeze=False).ravel()
    for ax in every:
        eleven("even").plot_hull(ax)
    figure.draw_without_rendering()
    for ax in every:
        boxes, frame = boxes_and_leaders(ax)[0], ax.get_window_extent()
        assert all(frame.x0 - 1 <= box.x0 and box.x1 <= frame.x1 + 1 and box.y0 >= frame.y0 - 1 for box in boxes)
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
        if layout is None:
            legend = ax.get_legend().get_window_extent()
            assert not any(box.overlaps(legend) for box in boxes)


def test_labels_are_placed_anew_where_the_axes_change(ax):
    labels = [Label(text=f"Cu{k}\nfcc", x=0.1 * k, y=-0.08 * k * (10 - k), is_above=False) for k in range(1, 10)]
    ax.set(xlim=(0, 1), ylim=(-4, 1))
    place_labels(ax, labels, avoid=())
    for size in ((3.4, 3.4), (2.4, 2.6), (6.0, 3.0)):
        ax.figure.set_size_inches(size)
        ax.figure.draw_without_rendering()
        boxes, leaders = boxes_and_leaders(ax)
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
        assert not any(crosses(*a, *b) for a, b in itertools.combinations(leaders, 2))
    ax.set_xlim(0.35, 0.75)
    ax.figure.draw_without_rendering()
    seen = [text.xy[0] for text in ax.texts if text.get_visible()]
    np.testing.assert_allclose(seen, [0.4, 0.5, 0.6, 0.7])


@pytest.mark.parametrize("depth", [2, 8, 14])
def test_a_label_hides_light_points_rather_than_the_marker_and_interval_that_matter(ax, depth):
    """All around the vertex are points; one of them below it is heavy, with its interval."""
    ax.figure.set_size_inches(3.4, 3.0)
    ax.set(xlim=(0, 1), ylim=(-30, 10))
    everywhere = np.column_stack(
        [grid.ravel() for grid in np.meshgrid(np.linspace(0, 1, 60), np.linspace(-30, 10, 60))]
    )
    interval = np.column_stack([np.full(30, 0.5), np.linspace(-depth, -1, 30)])
    place_labels(
        ax,
        [Label(text="AuCu$_3$\nD0$_{22}$", x=0.5, y=0.0, is_above=False)],
        avoid=[Kept(everywhere), Kept(interval, HEAVY), Kept(interval[:1], 10 * HEAVY, radius=2.3)],
    )
    ax.figure.draw_without_rendering()
    (box,), _ = boxes_and_leaders(ax)
    assert box.count_contains(ax.transData.transform(interval)) == 0
    assert box.count_contains(ax.transData.transform(everywhere)) > 0


@pytest.mark.parametrize("deepest", [0.3, 0.5, 0.7])
def test_labels_keep_their_second_lines_in_rows_where_there_is_room_below(ax, deepest):
    """Of eight compounds, as of Pd-Ti, in the width of a column."""
    ax.figure.set_size_inches(3.4, 3.7)
    ax.set(xlim=(-0.04, 1.04), ylim=(-1400, 1000))
    at = np.array([1 / 9, 1 / 6, 1 / 5, 1 / 4, 1 / 3, 2 / 5, 1 / 2, 2 / 3])
    y = -600 * np.minimum(at / deepest, (1 - at) / (1 - deepest))
    seconds = ("TiPt$_8$ type", "$Cmmm$", "D1$_a$", "D0$_{22}$", "$Pnma$", "$Immm$", "L1$_0$", "$I4/mmm$")
    labels = [
        Label(text=f"Pd$_8$Ti\n{second}", x=x, y=energy, is_above=False)
        for x, energy, second in zip(at.tolist(), y.tolist(), seconds, strict=True)
    ]
    with mpl.rc_context(RC):
        place_labels(ax, labels, avoid=[Kept(np.column_stack([at, y + up])) for up in (0, 100, 200)])
        ax.figure.draw_without_rendering()
    boxes, _ = boxes_and_leaders(ax)
    assert [text.get_text() for text in ax.texts] == [label.text for label in labels]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    lines = [text.arrow_patch.get_path().interpolated(20).vertices for text in ax.texts]
    lines = [text.arrow_patch.get_transform().transform(line) for text, line in zip(ax.texts, lines, strict=True)]
    for (k, box), (other, line) in itertools.product(enumerate(boxes), enumerate(lines)):
        assert k == other or box.count_contains(line) == 0


def test_limits_that_are_asked_for_leave_out_labels_beyond_them():
    ax = drawn(eleven("even"), (3.4, 3.0))
    Look(x_range=(0.0, 0.55)).apply(ax.figure)
    ax.figure.draw_without_rendering()
    assert len(boxes_and_leaders(ax)[0]) == 6


@pytest.mark.parametrize("distance", np.linspace(18.0, 60.0, 15).tolist())
def test_labels_side_by_side_around_their_points_keep_a_gap_between_them(distance):
    figure = Figure(figsize=(4.0, 3.0), dpi=288)  # 4 pixels are a point
    FigureCanvasAgg(figure)
    ax = figure.add_axes((0.0, 0.0, 1.0, 1.0), xlim=(0, 288), ylim=(0, 216))
    labels = [Label(text="AgAu", x=144.0 + side * distance / 2, y=100.0, is_above=True) for side in (-1, 1)]
    place_around(ax, labels, away=np.array([[0.0, 1.0]] * 2), avoid=[])
    figure.draw_without_rendering()
    one, other = (Text.get_window_extent(text) for text in ax.texts)
    beside = max(one.x0 - other.x1, other.x0 - one.x1)
    is_level = one.y0 < other.y1 and other.y0 < one.y1
    assert not is_level or beside >= 4 * SPACE
