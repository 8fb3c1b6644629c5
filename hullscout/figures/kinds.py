"""The figures of a campaign by name: from its folder to a file."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import MILLI
from hullscout.errors import OutputError
from hullscout.figures.style import BLUE, Width, mathtext_formula, plain, refuse_other_formats, save_figure, set_title

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hullscout.campaign.history import History
    from hullscout.pool import Candidate
    from hullscout.selection import Belief


# Learning curves: shares of the energies that are learned from, random orders, and the fewest energies that make a curve.
LEARNED_SHARES = (0.1, 0.2, 0.4, 0.8)
LEARNED_REPEATS = 3
LEAST_LEARNED = 40


class Kind(StrEnum):
    """What a figure shows."""

    HULL = "hull"
    DISTANCE = "distance"
    PROGRESS = "progress"
    PARITY = "parity"
    CALIBRATION = "calibration"
    LEARNING = "learning"
    MBTR = "mbtr"

    def aspect(self, width: Width) -> float:
        """Height of the figure over its width; legends stand below each other in a column."""
        on_page, in_column = {
            Kind.PROGRESS: (0.72, 1.2),
            Kind.PARITY: (1.45, 1.45),
            Kind.CALIBRATION: (1.25, 1.25),
            Kind.MBTR: (0.45, 1.3),
        }.get(self, (0.65, 1.1))
        return on_page if width is Width.PAGE else in_column


def save_campaign_figure(
    folder: Path,
    path: Path,
    *,
    kind: Kind = Kind.HULL,
    width: Width = Width.PAGE,
    has_lattices: bool = False,
    candidate_id: str | None = None,
) -> None:
    """Draw a figure of the campaign in `folder`, finished or not, into the file `path`.

    Args:
        folder: Of the campaign.
        path: PNG, SVG or PDF by its suffix.
        kind: What it shows.
        width: A column or the page.
        has_lattices: `hull`: markers of their own for candidates on fcc, bcc and hcp lattices.
        candidate_id: `mbtr`: whose representation; of the lowest structure by default.

    Raises:
        OutputError: The suffix is another one, the file cannot be written, or there is not enough to draw.
        StoreError: There is no campaign, it is damaged, or it has no hull yet.
    """
    refuse_other_formats(path)
    from hullscout.campaign.history import read_history  # noqa: PLC0415  loads the scientific packages
    from hullscout.campaign.setup import Beliefs  # noqa: PLC0415

    history = read_history(folder)
    square = width is Width.PAGE and kind in (Kind.PARITY, Kind.CALIBRATION)
    width = Width.COLUMN if square else width  # square figures are as wide as a column
    if kind is Kind.PROGRESS:
        save_figure(path, lambda figure: draw_progress(figure, history), width=width, aspect=kind.aspect(width))
        return
    if kind is Kind.MBTR:
        candidate = shown_candidate(history, candidate_id)
        save_figure(
            path,
            lambda figure: draw_representation(
                figure.subplots(2, 1) if width is Width.COLUMN else figure.subplots(1, 2), history, candidate
            ),
            width=width,
            aspect=kind.aspect(width),
        )
        return
    if kind is Kind.LEARNING:
        save_figure(
            path,
            lambda figure: draw_learning(figure.add_subplot(), history),
            width=width,
            aspect=kind.aspect(width),
        )
        return
    belief = Beliefs(history.setup).at(history.now)
    save_figure(
        path,
        lambda figure: _draw_outlook(figure, history, belief, kind=kind, has_lattices=has_lattices),
        width=width,
        aspect=kind.aspect(width),
    )


def draw_progress(figure: Figure, history: History) -> None:
    """Errors against the calculations, and below them probabilities of a wrong hull where the rule states any."""
    from hullscout.figures.progress import draw_errors, draw_failure_probability  # noqa: PLC0415

    states_probability = any(d is not None and d.failure_probability is not None for d in history.decided)
    if states_probability:
        above, below = figure.subplots(2, 1, sharex=True)
        draw_errors(above, history)
        draw_failure_probability(below, history)
        above.set_xlabel("")
    else:
        draw_errors(figure.add_subplot(), history)
    figure.suptitle(f"{plain(history.config.name)}, rule {history.config.select.rule}", fontsize="medium")


def draw_representation(axes: Sequence[Axes], history: History, candidate: Candidate) -> Sequence[Axes]:
    """Draw the pairs and the angles of one candidate, as the campaign represents it, into two axes of one figure."""
    from hullscout.figures.representation import draw_curves  # noqa: PLC0415

    for ax, panel in zip(axes, history.setup.representation.panels(candidate), strict=True):
        draw_curves(ax, panel)
    axes[0].figure.suptitle(f"{mathtext_formula(candidate.formula)}, {plain(candidate.id)}", fontsize="medium")
    return axes


def draw_learning(ax: Axes, history: History) -> Axes:
    """Draw the error of the campaign's kind of model against the number of random structures that it learns from.

    All candidates of a replay, what was calculated otherwise; heights above their hull are capped as in the campaign.

    Raises:
        OutputError: Too few energies are known.
    """
    from hullscout.hull import lower_hull  # noqa: PLC0415
    from hullscout.regression import KernelModel, learning_curve, plot_learning_curves  # noqa: PLC0415
    from hullscout.selection.hull_posterior import HullPosteriorRule  # noqa: PLC0415
    from hullscout.selection.transforms import cap_height  # noqa: PLC0415

    known = history.now
    is_replay = known.true_formation_ev_per_atom is not None
    rows = np.arange(known.n_candidates) if is_replay else known.answered
    energies = (
        known.formation_ev_per_atom if known.true_formation_ev_per_atom is None else known.true_formation_ev_per_atom
    )
    if rows.size < LEAST_LEARNED:
        remedy = "The pool is too small for one." if is_replay else "Draw it when more is calculated."
        raise OutputError(
            f"Expected at least {LEAST_LEARNED} known energies for a learning curve, found {rows.size}. {remedy}"
        )
    cap = getattr(history.config.select, "energy_cap", HullPosteriorRule().energy_cap)
    x = known.pool.x[rows]
    at_hull = lower_hull(x, energies).energy_at(x)
    labels = (at_hull + cap_height(energies - at_hull, cap)) * MILLI
    features = history.setup.features
    blocks, start = {}, 0
    for name, block in features.items():
        blocks[name] = slice(start, start + block.shape[1])
        start += block.shape[1]
    shape = history.config.regression.kernel
    curve = learning_curve(
        lambda known, y, new: np.asarray(KernelModel(shape, blocks=blocks).fit(known, y).predict(new)),
        np.hstack(list(features.values()))[rows],
        labels,
        sizes=[int(share * rows.size) for share in LEARNED_SHARES],
        n_repeats=LEARNED_REPEATS,
        seed=history.config.seed,
        label=f"{shape} kernel, random structures",
    )
    ax.set_prop_cycle(color=[BLUE])
    plot_learning_curves([curve], ax, unit="meV/atom")
    set_title(ax, f"{history.config.name}: {rows.size} energies, heights capped at {cap * MILLI:g} meV/atom")
    return ax


def _draw_outlook(figure: Figure, history: History, belief: Belief | None, *, kind: Kind, has_lattices: bool) -> None:
    from hullscout.figures.distance import draw_hull_distance  # noqa: PLC0415  loads matplotlib
    from hullscout.figures.parity import draw_calibration, draw_parity  # noqa: PLC0415
    from hullscout.figures.phase_diagram import draw_phase_diagram  # noqa: PLC0415

    ax, known = figure.add_subplot(), history.now
    match kind:
        case Kind.HULL:
            draw_phase_diagram(ax, known, belief=belief, has_lattices=has_lattices)
        case Kind.DISTANCE:
            draw_hull_distance(ax, known, belief=belief, tolerance_ev_per_atom=history.config.stop.hull_tolerance)
        case _ if belief is None:
            raise OutputError(
                f"{kind}: expected something to predict and three or more energies that differ, found {known.n_answered} of "
                f"{known.n_candidates} known. Draw another kind."
            )
        case Kind.PARITY:
            draw_parity(ax, belief)
        case _:
            draw_calibration(ax, belief)


def shown_candidate(history: History, candidate_id: str | None) -> Candidate:
    """The candidate with an id; the lowest on the hull found where none is given.

    Raises:
        OutputError: There is no such candidate.
    """
    hull = history.now.hull
    if candidate_id is None:
        return history.pool.candidates[int(hull.indices[hull.energy_ev_per_atom.argmin()])]
    if candidate_id not in history.pool.ids:
        raise OutputError(
            f"Expected the id of one of the {len(history.pool)} candidates, found {candidate_id!r}. The first are "
            f"{', '.join(history.pool.ids[:3])}."
        )
    return history.pool.candidates[history.pool.ids.index(candidate_id)]
