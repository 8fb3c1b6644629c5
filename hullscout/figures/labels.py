"""Labels that cover neither each other nor what they name: close to their points where there is room, else in rows below them.

They are placed whenever the figure is drawn, in the place and size that its layout gave the axes by then.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.text import Annotation, Text
from scipy.optimize import isotonic_regression

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.transforms import Bbox

    from hullscout.selection.known import Floats

# Places tried for a label, nearest first: the gap to its point in points, then in units of its own height and width.
GAP = 5.0
ROWS = (1.0, 1.3, 1.7, 2.1)
COLUMNS = (0.0, -0.5, 0.5, -1.0, 1.0)
# Around a point: distances beyond the gap, points, and turns from the first direction.
RINGS = (0.0, 8.0, 18.0, 28.0, 40.0, 54.0)
TOWARDS, BACK = np.pi / 8 * np.array([0, 1, -1, 2, -2, 3, -3]), np.pi / 8 * np.array([4, -4, 5, -5, 6, -6, 7, -7, 8])
# Between labels in a row, points.
SPACE = 3.0
# In rows, in this order: lines of a label and sizes of its font, where nothing larger has room.
SMALLER = ((2, "small"), (1, "small"), (1, "x-small"), (1, "xx-small"))


class Label(NamedTuple):
    """A text, the point that it names, in the units of the axes, and whether it stands above that or below."""

    text: str
    x: float
    y: float
    is_above: bool


class _Written(NamedTuple):
    """A label that is not placed yet, and the pixel that it names."""

    annotation: Annotation
    at: Floats
    label: Label


def place_labels(ax: Axes, labels: Sequence[Label], *, avoid: Floats) -> None:
    """Write labels, each at the nearest place where no other label, line to a label, and none of the points of `avoid`, stands.

    If there is no such place for one of those below, all of those below stand in rows under the lowest point, in the order of
    their points, so that lines to them do not cross; without their second line and smaller where that has no room.

    Args:
        avoid: (k, 2) points, in the units of the axes.
    """
    every = np.vstack([avoid, [(label.x, label.y) for label in labels]]) if labels else avoid

    def place(placer: _Placer, written: list[_Written]) -> None:
        below = [(one.annotation, one.at) for one in written if not one.label.is_above]
        for annotation, at, label in written:
            if label.is_above:
                _place_or_shorten(placer, annotation, partial(placer.beside, annotation, at, is_above=True))
        n_above = len(placer.taken)
        if not all(placer.beside(*pair, is_above=False) for pair in below):
            del placer.taken[n_above:], placer.leaders[n_above:]
            placer.in_rows([annotation for annotation, _ in below], np.array([point for _, point in below]))

    _write(ax, labels, every, place)


def place_around(ax: Axes, labels: Sequence[Label], *, away: Floats, avoid: Floats) -> None:
    """Write labels, each at the nearest free place in any direction, its own first; see `place_labels`.

    Where no place is free, its first line alone; if that has none either, at the place that covers fewest labels, then points.

    Args:
        away: (n, 2) direction that each label tries first; zero for one that would stand upon its point.
    """
    direction_of = dict(zip(labels, away, strict=True))

    def place(placer: _Placer, written: list[_Written]) -> None:
        for annotation, at, label in written:
            _place_or_shorten(placer, annotation, partial(placer.around, annotation, at, away=direction_of[label]))

    _write(ax, labels, avoid, place)


def _place_or_shorten(placer: _Placer, label: Annotation, place: Callable[[], bool]) -> None:
    """Place a label; without its second line and smaller where it has no free place with it."""
    lines = label.get_text().split("\n")
    for n_lines, size in SMALLER:
        label.set_text("\n".join(lines[:n_lines]))
        label.set_fontsize(size)
        if place() or (n_lines, size) == SMALLER[-1]:
            return
        del placer.taken[-1], placer.leaders[-1]


def _write(
    ax: Axes,
    labels: Sequence[Label],
    avoid: Floats,
    place: Callable[[_Placer, list[_Written]], None],
) -> None:
    """Write labels into the axes, and have them placed anew whenever these are drawn."""
    if not labels:
        return
    written = [_annotate(ax, label) for label in labels]

    def place_all(renderer: RendererBase) -> None:
        at = ax.transData.transform([(label.x, label.y) for label in labels])
        for annotation, label, is_seen in zip(written, labels, _within(ax.bbox, at), strict=True):
            annotation.set_text(label.text)
            annotation.set_fontsize(SMALLER[0][1])
            annotation.set_visible(is_seen)
        per_point = float(renderer.points_to_pixels(1.0))  # type: ignore[arg-type]  # of one number it is one
        placer = _Placer(renderer, ax.get_window_extent(renderer), per_point, ax.transData.transform(avoid))
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


def _passes(line: Floats, box: Bbox) -> bool:
    """Whether a line between two points (2, 2) passes through a box, or ends in it."""
    corners = np.array([[box.x0, box.y0], [box.x1, box.y0], [box.x1, box.y1], [box.x0, box.y1]])
    is_inside = box.count_contains(line) > 0
    start, end = line
    return is_inside or any(_cross(start, end, corners[k - 1], corners[k]) for k in range(4))


@dataclass(frozen=True, slots=True)
class _Placer:
    """Moves labels; boxes and points (k, 2) to be kept free are in pixels, as are the lines from labels to their points."""

    renderer: RendererBase
    frame: Bbox
    per_point: float
    obstacles: Floats
    taken: list[Bbox] = field(default_factory=list)
    leaders: list[Floats] = field(default_factory=list)

    def box(self, label: Annotation) -> Bbox:
        label.update_positions(self.renderer)
        return Text.get_window_extent(label, self.renderer).padded(2)

    def beside(self, label: Annotation, at: Floats, *, is_above: bool) -> bool:
        """Move a label to the first free place; to the one where it covers fewest labels where none is. Whether it is free."""
        own = self.box(label)
        width, height = own.width / self.per_point, own.height / self.per_point
        rows = (GAP + (row - 0.5) * height for row in ROWS)
        places = ((column * width, dy if is_above else -dy) for dy, column in itertools.product(rows, COLUMNS))
        return self._at_first_free(label, at, places)

    def around(self, label: Annotation, at: Floats, *, away: Floats) -> bool:
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

    def _at_first_free(self, label: Annotation, at: Floats, places: Iterable[tuple[float, float]]) -> bool:
        tried = []
        for place in places:
            label.set_position(place)
            box = self.box(label)
            crossed, outside = self._crossed(box, self._leader(box, at))
            covered = (crossed, outside, int(box.count_contains(self.obstacles)))
            tried.append((covered, place))
            if not any(covered):
                break
        covered, position = min(tried, key=lambda attempt: attempt[0])
        label.set_position(position)
        self._take(label, at)
        return not any(covered)

    def _leader(self, box: Bbox, at: Floats) -> Floats:
        """(2, 2) from the middle of a box to the point that it names, which the line does not quite reach."""
        middle = np.array([0.5 * (box.x0 + box.x1), 0.5 * (box.y0 + box.y1)])
        return np.array([middle, at + 0.1 * (middle - at)])

    def _crossed(self, box: Bbox, leader: Floats) -> tuple[int, float]:
        """How many labels it and its line cover or cross, with theirs, and how far it is outside."""
        n_crossed = sum(
            bool(box.overlaps(other)) or _passes(leader, other) or _passes(line, box) or _cross(*leader, *line)
            for other, line in zip(self.taken, self.leaders, strict=True)
        )
        frame = self.frame
        outside = max(0.0, frame.x0 - box.x0, box.x1 - frame.x1) + max(0.0, frame.y0 - box.y0, box.y1 - frame.y1)
        return n_crossed, outside

    def _take(self, label: Annotation, at: Floats) -> None:
        box = self.box(label)
        self.taken.append(box)
        self.leaders.append(self._leader(box, at))

    def in_rows(self, labels: list[Annotation], at: Floats) -> None:
        """Move labels into one row under the lowest point, or two where they are too many; sideways as little as possible."""
        texts, n_taken = [label.get_text().split("\n") for label in labels], len(self.taken)
        tried = []
        for (n_lines, size), n_rows in itertools.product(SMALLER, (1, 2)):
            for label, lines in zip(labels, texts, strict=True):
                label.set_text("\n".join(lines[:n_lines]))
                label.set_fontsize(size)
            positions = self._rows(labels, at, n_rows)
            crossed = self._crossed_in_rows(labels, at, positions)
            del self.taken[n_taken:], self.leaders[n_taken:]
            tried.append((crossed, n_lines, size, positions))
            if not any(crossed):
                break
        _, n_lines, size, positions = min(tried, key=lambda attempt: (attempt[0][1] > 0.0, *attempt[0]))
        for label, lines, position in zip(labels, texts, positions, strict=True):
            label.set_text("\n".join(lines[:n_lines]))
            label.set_fontsize(size)
            label.set_position(position)

    def _crossed_in_rows(
        self, labels: list[Annotation], at: Floats, positions: list[tuple[float, float]]
    ) -> tuple[int, float]:
        """What `_crossed` says of all labels together."""
        every = []
        for label, point, position in zip(labels, at, positions, strict=True):
            label.set_position(position)
            box = self.box(label)
            every.append(self._crossed(box, self._leader(box, point)))
            self._take(label, point)
        return sum(crossed for crossed, _ in every), sum(outside for _, outside in every)

    def _rows(self, labels: list[Annotation], at: Floats, n_rows: int) -> list[tuple[float, float]]:
        """Offsets in points of labels in one row or two."""
        boxes = [self.box(label) for label in labels]
        widths = np.array([box.width for box in boxes])
        height = max(box.height for box in boxes) + self.per_point  # rows that touch would count as overlapping
        space = SPACE * self.per_point
        # Between neighbours: half of both widths in one row; in two, a line that passes beside the wider one.
        neighbours = np.column_stack([widths[:-1], widths[1:]])
        steps = (neighbours.mean(axis=1) if n_rows == 1 else neighbours.max(axis=1) / 2) + space
        offsets = np.concatenate([[0.0], np.cumsum(steps)])
        fitted = isotonic_regression(at[:, 0] - offsets).x
        left = self.frame.x0 + widths[0] / 2 + space
        right = self.frame.x1 - widths[-1] / 2 - space - offsets[-1]
        x = np.clip(fitted, left, max(left, right)) + offsets
        top = float(at[:, 1].min()) - 2 * GAP * self.per_point
        y = top - height * (np.arange(len(labels)) % n_rows + 0.5)
        return [(dx, dy) for dx, dy in ((np.column_stack([x, y]) - at) / self.per_point).tolist()]


def _annotate(ax: Axes, label: Label) -> Annotation:
    annotation = ax.annotate(
        label.text, xy=(label.x, label.y), xytext=(0, 0), textcoords="offset points", ha="center", va="center",
        fontsize="small", linespacing=1.25, zorder=9, annotation_clip=False,
        bbox={"boxstyle": "round,pad=0.1", "fc": ax.get_facecolor(), "ec": "none", "alpha": 0.8},
        arrowprops={"arrowstyle": "-", "color": "0.45", "lw": 0.5, "shrinkA": 0, "shrinkB": 3},
    )  # fmt: skip
    annotation.set_in_layout(False)  # or else far labels would shrink the axes
    return annotation
