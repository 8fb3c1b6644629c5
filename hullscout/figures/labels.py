"""Labels that cover neither each other nor what they name: close to their points where there is room, else in rows below them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.text import Annotation, Text
from scipy.optimize import isotonic_regression

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
# Points of the line from the middle of a label to what it names, without the end there.
ALONG = np.linspace(0.0, 0.9, 20)
# Between labels in a row, points.
SPACE = 3.0


class Label(NamedTuple):
    """A text, the point that it names, in the units of the axes, and whether it stands above that or below."""

    text: str
    x: float
    y: float
    is_above: bool


def place_labels(ax: Axes, labels: Sequence[Label], *, avoid: Floats) -> None:
    """Write labels, each at the nearest place where no other label, line to a label, and none of the points of `avoid`, stands.

    If there is no such place for one of those below, all of those below stand in rows under the lowest point, in the order of
    their points, so that lines to them do not cross. Limits, legend and size of the axes must be final.

    Args:
        avoid: (k, 2) points, in the units of the axes.
    """
    if not labels:
        return
    placer, written = _written(ax, labels, np.vstack([avoid, [(label.x, label.y) for label in labels]]))
    above, below = (
        [pair for pair, label in zip(written, labels, strict=True) if label.is_above is up] for up in (True, False)
    )
    for pair in above:
        placer.beside(*pair, is_above=True)
    are_free = [placer.beside(*pair, is_above=False) for pair in below]
    if not all(are_free):
        placer.in_rows([annotation for annotation, _ in below], np.array([point for _, point in below]))


def place_around(ax: Axes, labels: Sequence[Label], *, away: Floats, avoid: Floats) -> None:
    """Write labels, each at the nearest free place in any direction, its own first; see `place_labels`.

    Where no place is free, its first line alone; if that has none either, at the place that covers fewest labels, then points.

    Args:
        away: (n, 2) direction that each label tries first; zero for one that would stand upon its point.
    """
    if not labels:
        return
    placer, written = _written(ax, labels, avoid)
    for (annotation, at), direction in zip(written, away, strict=True):
        if not placer.around(annotation, at, away=direction):
            placer.taken.pop()
            annotation.set_text(annotation.get_text().split("\n")[0])
            placer.around(annotation, at, away=direction)


def _written(ax: Axes, labels: Sequence[Label], avoid: Floats) -> tuple[_Placer, list[tuple[Annotation, Floats]]]:
    """Labels not placed yet, each with the pixel that it names, and what places them."""
    figure = ax.figure.get_figure(root=True)
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]  # every canvas of Agg has it
    at = ax.transData.transform([(label.x, label.y) for label in labels])
    obstacles = ax.transData.transform(avoid)
    placer = _Placer(renderer, ax.get_window_extent(renderer), figure.dpi / 72.0, obstacles)
    return placer, [(_annotate(ax, label), point) for label, point in zip(labels, at, strict=True)]


@dataclass(frozen=True, slots=True)
class _Placer:
    """Moves labels; boxes and points (k, 2) to be kept free are in pixels."""

    renderer: RendererBase
    frame: Bbox
    per_point: float
    obstacles: Floats
    taken: list[Bbox] = field(default_factory=list)

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
        frame, tried = self.frame, []
        for place in places:
            label.set_position(place)
            box = self.box(label)
            middle = np.array([0.5 * (box.x0 + box.x1), 0.5 * (box.y0 + box.y1)])
            leader = middle + ALONG[:, None] * (at - middle)
            is_outside = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
            n_labels = sum(bool(box.overlaps(other)) or other.count_contains(leader) > 0 for other in self.taken)
            covered = (n_labels, int(is_outside), int(box.count_contains(self.obstacles)))
            tried.append((covered, place))
            if not any(covered):
                break
        covered, position = min(tried, key=lambda attempt: attempt[0])
        label.set_position(position)
        self.taken.append(self.box(label))
        return not any(covered)

    def in_rows(self, labels: list[Annotation], at: Floats) -> None:
        """Move labels into one row under the lowest point, or two where they are too many; sideways as little as possible."""
        boxes = [self.box(label) for label in labels]
        widths = np.array([box.width for box in boxes])
        height = max(box.height for box in boxes)
        space = SPACE * self.per_point
        n_rows = 1 if float(widths.sum()) + space * len(labels) <= self.frame.width else 2
        # Between neighbours: half of both widths in one row; in two, a line that passes beside the wider one.
        neighbours = np.column_stack([widths[:-1], widths[1:]])
        steps = (neighbours.mean(axis=1) if n_rows == 1 else neighbours.max(axis=1) / 2) + space
        offsets = np.concatenate([[0.0], np.cumsum(steps)])
        fitted = isotonic_regression(at[:, 0] - offsets).x
        left = self.frame.x0 + widths[0] / 2 + space
        right = self.frame.x1 - widths[-1] / 2 - space - offsets[-1]
        x = np.clip(fitted, left, max(left, right)) + offsets
        top = float(at[:, 1].min()) - 2 * GAP * self.per_point
        for place, label in enumerate(labels):
            y = top - height * (place % n_rows + 0.5)
            label.set_position(tuple((np.array([x[place], y]) - at[place]) / self.per_point))


def _annotate(ax: Axes, label: Label) -> Annotation:
    annotation = ax.annotate(
        label.text, xy=(label.x, label.y), xytext=(0, 0), textcoords="offset points", ha="center", va="center",
        fontsize="small", linespacing=1.25, zorder=9, annotation_clip=False,
        bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8},
        arrowprops={"arrowstyle": "-", "color": "0.45", "lw": 0.5, "shrinkA": 0, "shrinkB": 3},
    )  # fmt: skip
    annotation.set_in_layout(False)  # or else far labels would shrink the axes
    return annotation
