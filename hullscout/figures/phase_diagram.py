"""The phase diagram: candidates, what was calculated, the found hull and the true one.

In the manner of figure 4 of Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022): every candidate at its true energy where
that is known, calculated structures as filled circles, the others as triangles.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.text import Text

from hullscout.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

    from hullscout.campaign.standing import Standing

# Okabe and Ito's colours: told apart by the colour-blind, and of different lightness in grey.
CALCULATED, NOT_CALCULATED, FOUND = "#0072B2", "#E69F00", "#000000"
MILLI = 1000.0
FORMATS = (".png", ".svg", ".pdf")
# The energy axis shows the hull and this many times its depth above it (at least 60 meV/atom); what lies higher is counted.
HEADROOM = 1.6
LEAST_HEADROOM_MEV = 60.0
# Places tried for a label, in points from its vertex to the middle of the text: below first, then further away and to the
# sides; at the pure elements above.
SIDES = (0, -18, 18, -36, 36, -54, 54)
PLACES = [(dx, -dy) for dy in (14, 25, 36, 47, 58, 69) for dx in SIDES]
PLACES_AT_ENDS = [(dx, dy) for dy in (14, 25, 36, 47) for dx in SIDES]


def draw_phase_diagram(ax: Axes, standing: Standing) -> Axes:
    """Draw a campaign's phase diagram into `ax` and return it."""
    pool, known = standing.pool, standing.known
    found, true = standing.found_hull, standing.true_hull
    if standing.reference_ev_per_atom is not None:
        unknown = standing.unknown
        ax.plot(
            pool.x[unknown], standing.reference_ev_per_atom[unknown] * MILLI, "^", color=NOT_CALCULATED, ms=4, mew=0, alpha=0.75,
            label=f"not calculated ({unknown.size})", zorder=2,
        )  # fmt: skip
    ax.plot(
        pool.x[known], standing.formation_ev_per_atom * MILLI, "o", color=CALCULATED, ms=4, mew=0, alpha=0.85,
        label=f"calculated ({known.size})", zorder=3,
    )  # fmt: skip
    ax.plot(found.x, found.energy_ev_per_atom * MILLI, "-", color=FOUND, lw=1.3, label="hull found", zorder=4)
    if true is not None:
        # White dashes upon the solid line: where the hulls agree both are seen.
        ax.plot(
            true.x,
            true.energy_ev_per_atom * MILLI,
            "--",
            color="#D55E00",
            lw=1.3,
            dashes=(4, 4),
            label="true hull",
            zorder=5,
        )
    ax.plot(found.x, found.energy_ev_per_atom * MILLI, "o", mfc="none", mec=FOUND, ms=7, mew=1.2, zorder=6)

    lowest = float(min(found.energy_ev_per_atom.min(), 0.0 if true is None else true.energy_ev_per_atom.min()) * MILLI)
    top = max(HEADROOM * -lowest, LEAST_HEADROOM_MEV)
    drawn = standing.formation_ev_per_atom if standing.reference_ev_per_atom is None else standing.reference_ev_per_atom
    top = min(top, max(float(drawn.max()) * MILLI * 1.05, LEAST_HEADROOM_MEV / 4))
    n_above = int((drawn * MILLI > top).sum())
    ax.set_xlim(-0.03, 1.03)
    ax.set_ylim(lowest - 0.3 * (top - lowest), top)
    ax.axhline(0, color="0.75", lw=0.6, zorder=1)
    ax.set_xlabel(f"$x$ in {pool.elements[0]}$_{{1-x}}${pool.elements[1]}$_x$ (atomic fraction)")
    ax.set_ylabel("formation energy (meV/atom)")
    saved = f"{standing.n_known} of {standing.n_candidates} calculated, {100 * standing.saved_fraction:.0f} % saved"
    ax.set_title(f"{standing.name}: {saved}".replace("$", r"\$"), fontsize="medium")
    if n_above:
        ax.annotate(
            f"{n_above} candidates above this range", xy=(0.5, 1), xycoords="axes fraction", xytext=(0, -4),
            textcoords="offset points", ha="center", va="top", fontsize="x-small", color="0.35",
            bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": "none", "alpha": 0.8}, zorder=8,
        )  # fmt: skip
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4, frameon=False, fontsize="small", handletextpad=0.4
    )
    _label_vertices(ax, standing)
    return ax


def save_phase_diagram(path: Path, standing: Standing) -> None:
    """Write a campaign's phase diagram to a file (PNG, SVG or PDF by its suffix), whole or not at all.

    Raises:
        OutputError: The suffix is another one, or the file cannot be written.
    """
    if path.suffix not in FORMATS:
        raise OutputError(
            f"{path}: expected a file that ends in {', '.join(FORMATS)}, found {path.suffix or 'no ending'!r}."
        )
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.4, 4.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    draw_phase_diagram(figure.add_subplot(), standing)
    half_made = path.with_name(f".{path.name}.new")
    try:
        figure.savefig(half_made, format=path.suffix[1:])
        half_made.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}. Give another file.") from error


def _label_vertices(ax: Axes, standing: Standing) -> None:
    """Write each vertex's formula below it, at the first place where no other label, vertex or hull line stands."""
    found = standing.found_hull
    figure = ax.get_figure(root=True)
    if figure is None:
        return
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]  # every canvas of Agg has it
    at = ax.transData.transform(np.column_stack([found.x, found.energy_ev_per_atom * MILLI]))
    line = np.column_stack([np.linspace(0, 1, 400), found.energy_at(np.linspace(0, 1, 400)) * MILLI])
    obstacles = np.vstack([at, ax.transData.transform(line)])
    taken: list[Bbox] = []
    for x, energy, formula in zip(found.x, found.energy_ev_per_atom * MILLI, standing.hull_formulas, strict=True):
        label = ax.annotate(
            mathtext_formula(formula), xy=(x, energy), xytext=PLACES[0], textcoords="offset points", ha="center", va="center",
            fontsize="small", zorder=7, annotation_clip=False,
            bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.75},
            arrowprops={"arrowstyle": "-", "color": "0.5", "lw": 0.6, "shrinkA": 0, "shrinkB": 4},
        )  # fmt: skip
        taken.append(_place(label, renderer, PLACES_AT_ENDS if x in (0, 1) else PLACES, taken, obstacles))


def _place(
    label: Annotation, renderer: RendererBase, places: list[tuple[int, int]], taken: list[Bbox], obstacles: np.ndarray
) -> Bbox:
    """Move a label to the first free place, to the last where none is, and return its box in pixels."""
    for place in places:
        label.set_position(place)
        label.update_positions(renderer)
        box = Text.get_window_extent(label, renderer).padded(2)
        if not any(box.overlaps(other) for other in taken) and not box.count_contains(obstacles):
            break
    return box


def mathtext_formula(formula: str) -> str:
    """A formula with its numbers as subscripts.

    >>> mathtext_formula("Ag5Pd3")
    'Ag$_{5}$Pd$_{3}$'
    """
    return re.sub(r"(\d+)", r"$_{\1}$", formula)
