"""Labels that cover neither each other nor what matters: close to their points where there is room, else in rows below them.

What they keep away from has a weight, `Kept`: where there is no free place, one is taken that hides least. They are placed
whenever the figure is drawn, in the place and size that its layout gave the axes by then.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.text import Annotation, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.transforms import Bbox

    from hullscout.selection.known import Floats

# Places tried for a label, nearest first: the gap to its point in points, then in units of its own height and width.
GAP = 5.0
ROWS = (1.0, 1.3, 1.7, 2.1)
COLUMNS = (0.0, -0.5, 0.5, -0.75, 0.75, -1.0, 1.0)
# Around a point: distances beyond the gap, points, and turns from the first direction.
RINGS = (0.0, 8.0, 18.0, 28.0, 40.0, 54.0)
TOWARDS, BACK = np.pi / 8 * np.array([0, 1, -1, 2, -2, 3, -3]), np.pi / 8 * np.array([4, -4, 5, -5, 6, -6, 7, -7, 8])
# Between labels side by side, points.
SPACE = 3.0
# In rows, in this order: lines of a label and sizes of its font, where nothing larger has room.
SMALLER = ((2, "small"), (1, "small"), (1, "x-small"), (1, "xx-small"))
# What matters weighs so much and more, and is hidden last; of what weighs less, a thousand points do not make up for it.
HEAVY, LIGHT = 1.0, 1e-3


class Label(NamedTuple):
    """A text, the point that it names, in the units of the axes, and whether it stands above that or below."""

    text: str
    x: float
    y: float
    is_above: bool


class Kept(NamedTuple):
    """Points (k, 2) that labels keep away from, in the units of the axes.

    Their weight, (k,) or of all, is how much it matters that each is seen: `LIGHT`, or `HEAVY` and more; the radius is that of
    their markers, in points of the page.
    """

    points: Floats
    weight: float | Floats = LIGHT
    radius: float = 0.0

    @classmethod
    def together(cls, kept: Iterable[Kept]) -> Floats:
        """(k, 4) points, weights and radii of all."""
        return np.vstack(
            [np.empty((0, 4)), *(np.column_stack(np.broadcast_arrays(*one.points.T, *one[1:])) for one in kept)]
        )


class _Cost(NamedTuple):
    """What a place for labels spoils, the worst first; nothing where it is free."""

    crossed: int = 0
    outside: float = 0.0
    heavy: int = 0
    light: float = 0.0

    @classmethod
    def together(cls, costs: Iterable[_Cost]) -> _Cost:
        """What several spoil."""
        crossed, outside, heavy, light = (sum(each) for each in zip(cls(), *costs, strict=True))
        return cls(int(crossed), outside, int(heavy), light)

    def rank(self, n_smaller: int) -> tuple[float, ...]:
        """Which of several is taken, the least: a text becomes smaller rather than hide what matters, but not for what is light."""
        return (self.outside > 0.0, self.crossed, self.heavy, n_smaller, self.light, self.outside)


class _Written(NamedTuple):
    """A label that is not placed yet, and the pixel that it names."""

    annotation: Annotation
    at: Floats
    label: Label


def place_labels(ax: Axes, labels: Sequence[Label], *, avoid: Iterable[Kept]) -> None:
    """Write labels, each at the nearest place where no other label, line to a label, and nothing of `avoid`, stands.

    If there is no such place for one of those below, all of those below stand in rows under the lowest point, in the order of
    their points, so that lines to them do not cross; without their second line and smaller where that has no room. Where no row
    is free either, they stand where they hide least.
    """

    def place(placer: _Placer, written: list[_Written]) -> None:
        below = [(one.annotation, one.at) for one in written if not one.label.is_above]
        for annotation, at, label in written:
            if label.is_above:
                _place_or_shorten(placer, annotation, partial(placer.beside, annotation, at, is_above=True))
        beside = _Cost.together(placer.beside(*pair, is_above=False) for pair in below)
        if any(beside):
            del placer.taken[-len(below) :], placer.leaders[-len(below) :]
            placer.in_rows([annotation for annotation, _ in below], np.array([point for _, point in below]), beside)

    _write(ax, labels, avoid, place)


def place_around(ax: Axes, labels: Sequence[Label], *, away: Floats, avoid: Iterable[Kept]) -> None:
    """Write labels, each at the nearest free place in any direction, its own first; see `place_labels`.

    Where no place is free, its first line alone; if that has none either, where it hides least.

    Args:
        away: (n, 2) direction that each label tries first; zero for one that would stand upon its point.
    """
    direction_of = dict(zip(labels, away, strict=True))

    def place(placer: _Placer, written: list[_Written]) -> None:
        for annotation, at, label in written:
            _place_or_shorten(placer, annotation, partial(placer.around, annotation, at, away=direction_of[label]))

    _write(ax, labels, avoid, place)


def _place_or_shorten(placer: _Placer, label: Annotation, place: Callable[[], _Cost]) -> None:
    """Place a label; without its second line and smaller where it has no free place with it."""
    lines, ranks = label.get_text().split("\n"), []
    for n_smaller in range(len(SMALLER)):
        _make_smaller(label, lines, n_smaller)
        cost = place()
        if not any(cost):
            return
        del placer.taken[-1], placer.leaders[-1]
        ranks.append(cost.rank(n_smaller))
    _make_smaller(label, lines, ranks.index(min(ranks)))
    place()


def _make_smaller(label: Annotation, lines: list[str], n_smaller: int) -> None:
    n_lines, size = SMALLER[n_smaller]
    label.set_text("\n".join(lines[:n_lines]))
    label.set_fontsize(size)


def _write(
    ax: Axes,
    labels: Sequence[Label],
    avoid: Iterable[Kept],
    place: Callable[[_Placer, list[_Written]], None],
) -> None:
    """Write labels into the axes, and have them placed anew whenever these are drawn."""
    if not labels:
        return
    written, kept = [_annotate(ax, label) for label in labels], Kept.together(avoid)

    def place_all(renderer: RendererBase) -> None:
        at = ax.transData.transform([(label.x, label.y) for label in labels])
        for annotation, label, is_seen in zip(written, labels, _within(ax.bbox, at), strict=True):
            _make_smaller(annotation, label.text.split("\n"), 0)
            _bend(annotation, None)
            annotation.set_visible(is_seen)
        per_point = float(renderer.points_to_pixels(1.0))  # type: ignore[arg-type]  # of one number it is one
        placer = _Placer(
            renderer, ax.get_window_extent(renderer), per_point, ax.transData.transform(kept[:, :2]), *kept[:, 2:].T
        )
        if (legend := ax.get_legend()) is not None and legend.get_visible():  # stands within, where there is no layout
            box = legend.get_window_extent(renderer)
            placer.taken.append(box)
            placer.leaders.append(np.array([[0.5 * (box.x0 + box.x1), 0.5 * (box.y0 + box.y1)]] * 2))
        every = (_Written(*one) for one in zip(written, at, labels, strict=True))
        place(placer, [one for one in every if one.annotation.get_visible()])

    ax.add_artist(_Placing(place_all, zorder=written[0].get_zorder() - 0.1))


def _within(box: Bbox, points: Floats) -> list[bool]:
    """Whether each of some points (k, 2) is in a box, or so near to it that nobody sees that it is not."""
    return [bool(box.padded(1.0).contains(*point)) for point in points.tolist()]


class _Placing(Artist):
    """What is not seen, and places labels just before they are drawn."""

    def __init__(self, place: Callable[[RendererBase], None], *, zorder: float) -> None:
        super().__init__()
        self._place = place
        self.set_zorder(zorder)
        self.set_in_layout(False)

    def draw(self, renderer: RendererBase) -> None:
        """Place them."""
        self._place(renderer)


def _cross(a: Floats, b: Floats, c: Floats, d: Floats) -> bool:
    """Whether the line from a to b crosses that from c to d; (2,) each."""

    def side(p: Floats, q: Floats, r: Floats) -> float:
        return float(np.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])))

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def _lines_cross(one: Floats, other: Floats) -> bool:
    """Whether two lines through points (n, 2) each cross."""
    pairs = itertools.product(itertools.pairwise(one), itertools.pairwise(other))
    return any(_cross(*start, *end) for start, end in pairs)


def _passes(line: Floats, box: Bbox) -> bool:
    """Whether a line through points (n, 2) passes through a box, or ends in it."""
    corners = [[box.x0, box.y0], [box.x1, box.y0], [box.x1, box.y1], [box.x0, box.y1], [box.x0, box.y0]]
    return box.count_contains(line) > 0 or _lines_cross(line, np.array(corners))


@dataclass(frozen=True, slots=True)
class _Placer:
    """Moves labels; boxes and points (k, 2) to be kept free are in pixels, as are the lines from labels to their points.

    The points have weights (k,), and radii (k,) in points of the page.
    """

    renderer: RendererBase
    frame: Bbox
    per_point: float
    obstacles: Floats
    weights: Floats
    radii: Floats
    taken: list[Bbox] = field(default_factory=list)
    leaders: list[Floats] = field(default_factory=list)

    def box(self, label: Annotation) -> Bbox:
        label.update_positions(self.renderer)
        return Text.get_window_extent(label, self.renderer).padded(2)

    def beside(self, label: Annotation, at: Floats, *, is_above: bool) -> _Cost:
        """Move a label to the first free place; to the one where it spoils least where none is. What it spoils."""
        own = self.box(label)
        width, height = own.width / self.per_point, own.height / self.per_point
        rows = (GAP + (row - 0.5) * height for row in ROWS)
        places = ((column * width, dy if is_above else -dy) for dy, column in itertools.product(rows, COLUMNS))
        return self._at_first_free(label, at, places)

    def around(self, label: Annotation, at: Floats, *, away: Floats) -> _Cost:
        """The same, in any direction, first in that of `away`; upon the point if that is zero."""
        own, places = self.box(label), [] if away.any() else [(0.0, 0.0)]
        half = np.array([own.width, own.height]) / self.per_point / 2
        first = np.arctan2(away[1], away[0])
        for ring, turn in [*itertools.product(RINGS, TOWARDS), *itertools.product(RINGS, BACK)]:
            direction = np.array([np.cos(first + turn), np.sin(first + turn)])
            reach = float((half / np.maximum(np.abs(direction), 1e-9)).min())  # from the middle of the box to its edge
            x, y = ((GAP + ring + reach) * direction).tolist()
            places.append((x, y))
        return self._at_first_free(label, at, places)

    def _at_first_free(self, label: Annotation, at: Floats, places: Iterable[tuple[float, float]]) -> _Cost:
        tried = []
        for place in places:
            label.set_position(place)
            tried.append((self._cost(self.box(label), self._leader(label, at)), place))
            if not any(tried[-1][0]):
                break
        cost, position = min(tried, key=lambda attempt: attempt[0])
        label.set_position(position)
        self._take(label, at)
        return cost

    def _leader(self, label: Annotation, at: Floats) -> Floats:
        """(2, 2) from the middle of a label to its point, which it does not quite reach; (3, 2) where an arm goes up first."""
        arrow: Any = label.arrow_patch
        box, arm = self.box(label), getattr(arrow.get_connectionstyle(), "armA", None)
        middle = np.array([0.5 * (box.x0 + box.x1), 0.5 * (box.y0 + box.y1)])
        line = [middle] if arm is None else [middle, middle + np.array([0.0, arm])]
        return np.array([*line, at + 0.1 * (line[-1] - at)])

    def _cost(self, box: Bbox, leader: Floats) -> _Cost:
        """What a label and its line spoil: labels that they cover or cross, with theirs, how far it is outside, what it hides."""
        apart = box.padded(SPACE * self.per_point, 0.0)  # side by side two would be read as one
        crossed = sum(
            bool(apart.overlaps(other)) or _passes(leader, other) or _passes(line, box) or _lines_cross(leader, line)
            for other, line in zip(self.taken, self.leaders, strict=True)
        )
        frame, (x, y), radii = self.frame, self.obstacles.T, self.radii * self.per_point
        outside = max(0.0, frame.x0 - box.x0, box.x1 - frame.x1) + max(0.0, frame.y0 - box.y0, box.y1 - frame.y1)
        is_hidden = (x > box.x0 - radii) & (x < box.x1 + radii) & (y > box.y0 - radii) & (y < box.y1 + radii)
        hidden = float(self.weights[is_hidden].sum())
        return _Cost(crossed, outside, int(hidden / HEAVY), hidden % HEAVY)

    def _take(self, label: Annotation, at: Floats) -> None:
        self.taken.append(self.box(label))
        self.leaders.append(self._leader(label, at))

    def in_rows(self, labels: list[Annotation], at: Floats, beside: _Cost) -> None:
        """Move labels into one row under the lowest point, or two where they are too many; sideways as little as possible.

        Where that spoils more than places beside their points, at which they stand, they stay there.
        """
        texts, n_taken = [label.get_text().split("\n") for label in labels], len(self.taken)
        straight: list[float | None] = [None] * len(labels)
        tried = [(beside.rank(0), 0, [label.get_position() for label in labels], straight)]
        for n_smaller, n_rows, top in itertools.product(range(len(SMALLER)), (1, 2), self._tops(at)):
            for label, lines in zip(labels, texts, strict=True):
                _make_smaller(label, lines, n_smaller)
            positions, arms = self._rows(labels, at, n_rows, top)
            cost = self._cost_in_rows(labels, at, positions, arms)
            del self.taken[n_taken:], self.leaders[n_taken:]
            tried.append((cost.rank(n_smaller), n_smaller, positions, arms))
            if not any(cost):
                break
        _, n_smaller, positions, arms = min(tried, key=lambda attempt: attempt[0])
        for label, lines, position, arm in zip(labels, texts, positions, arms, strict=True):
            _make_smaller(label, lines, n_smaller)
            label.set_position(position)
            _bend(label, arm)

    def _tops(self, at: Floats) -> list[float]:
        """Where rows may begin: under the points that they name, under what matters, and under all."""
        y, frame = self.obstacles[:, 1] - self.radii * self.per_point, self.frame
        is_in = y > frame.y0
        lowest = (float(y[is_in & (self.weights >= least)].min(initial=frame.y1)) for least in (HEAVY, 0.0))
        own = float(at[:, 1].min())
        return list(dict.fromkeys(min(own, each) - 2 * GAP * self.per_point for each in (own, *lowest)))

    def _cost_in_rows(
        self, labels: list[Annotation], at: Floats, positions: list[tuple[float, float]], arms: list[float | None]
    ) -> _Cost:
        """What all labels together spoil."""
        costs = []
        for label, point, position, arm in zip(labels, at, positions, arms, strict=True):
            label.set_position(position)
            _bend(label, arm)
            costs.append(self._cost(self.box(label), self._leader(label, point)))
            self._take(label, point)
        return _Cost.together(costs)

    def _rows(
        self, labels: list[Annotation], at: Floats, n_rows: int, top: float
    ) -> tuple[list[tuple[float, float]], list[float | None]]:
        """Offsets in points of labels in one row or two, and the arms, in pixels, by which lines pass upright between the upper."""
        from scipy.optimize import isotonic_regression  # noqa: PLC0415  slow to import

        boxes = [self.box(label) for label in labels]
        widths = np.array([box.width for box in boxes])
        height = max(box.height for box in boxes) + self.per_point  # rows that touch would count as overlapping
        space, row = (SPACE + 0.1) * self.per_point, np.arange(len(labels)) % n_rows
        offsets = np.zeros(len(labels))
        for place in range(1, len(labels)):
            beside_line = offsets[place - 1] + widths[[place - 1, place]][row[[place - 1, place]] == 0].max() / 2
            in_row = offsets[place - n_rows] + widths[[place - n_rows, place]].mean() if place >= n_rows else 0.0
            offsets[place] = max(beside_line, in_row) + space
        fitted = isotonic_regression(at[:, 0] - offsets).x
        left = self.frame.x0 + float((widths / 2 - offsets).max()) + space
        right = self.frame.x1 - float((widths / 2 + offsets).max()) - space
        x, y = np.clip(fitted, left, max(left, right)) + offsets, top - height * (row + 0.5)
        arms = [float(top - below) + GAP / 2 * self.per_point if below < top - height else None for below in y]
        return [(dx, dy) for dx, dy in ((np.column_stack([x, y]) - at) / self.per_point).tolist()], arms


def _bend(label: Annotation, arm: float | None) -> None:
    """Draw the line to a label's point straight, or upwards first, for so many pixels."""
    arrow: Any = label.arrow_patch
    if arm is None:
        arrow.set_connectionstyle("arc3")
    else:
        arrow.set_connectionstyle("arc", angleA=90.0, armA=arm)


def _annotate(ax: Axes, label: Label) -> Annotation:
    annotation = ax.annotate(
        label.text, xy=(label.x, label.y), xytext=(0, 0), textcoords="offset points", ha="center", va="center",
        fontsize="small", linespacing=1.25, zorder=9, annotation_clip=False,
        bbox={"boxstyle": "round,pad=0.1", "fc": ax.get_facecolor(), "ec": "none", "alpha": 0.8},
        arrowprops={"arrowstyle": "-", "color": "0.45", "lw": 0.5, "shrinkA": 0, "shrinkB": 3},
    )  # fmt: skip
    annotation.set_in_layout(False)  # or else far labels would shrink the axes
    return annotation
