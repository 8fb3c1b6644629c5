"""Figures of campaigns and plans, and the report; matplotlib loads when the first is drawn.

A figure is a function of `Axes` (or of a `Figure`, where it has several) and of what it shows of a campaign. `KINDS` has them by
name, and `save_campaign_figure` draws one from a campaign's folder. To add a figure write its function, and a line in `KINDS`:
the command line reads it there. The report is in `hullscout.figures.report`. Here stands what scripts and notebooks need: the look
(`RC`, colours, `new_axes`), figures into axes of one's own, and names of crystals; what loads matplotlib is loaded by its name.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from hullscout.errors import OutputError
from hullscout.figures.saving import refuse_other_formats, save_figure
from hullscout.figures.style import BLACK, BLUE, ORANGE, RC, VERMILLION, Width, new_axes
from hullscout.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hullscout.campaign import CampaignResult, History, Setup
    from hullscout.figures.look import Look
    from hullscout.figures.phase_diagram import draw_phase_diagram
    from hullscout.figures.prototypes import prototype, space_group
    from hullscout.figures.representation import draw_panel
    from hullscout.figures.trade_off import draw_trade_off
    from hullscout.pool import Candidate
    from hullscout.selection import Known

__all__ = [
    "BLACK",
    "BLUE",
    "KINDS",
    "ORANGE",
    "RC",
    "VERMILLION",
    "Kind",
    "Width",
    "draw_panel",
    "draw_phase_diagram",
    "draw_trade_off",
    "new_axes",
    "prototype",
    "save_campaign_figure",
    "save_result",
    "space_group",
]
_WHERE = {
    "draw_panel": "representation",
    "draw_phase_diagram": "phase_diagram",
    "draw_trade_off": "trade_off",
    "prototype": "prototypes",
    "space_group": "prototypes",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  only where it is needed

    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of figure of a campaign.

    Attributes:
        draw: Dotted path of the function that draws it; anybody's.
        shows: What it shows, in a line.
        takes: What the function takes after the axes, by its parameters: `known` and `history` of the campaign, the `belief` (None
            where nothing is believed), `tolerance_ev_per_atom`, `lattices`, the `candidate` that is asked for, and the two
            compositions `between` which to draw.
        is_of_axes: Whether the function draws into one `Axes`; else into the `Figure`.
        needs_belief: Whether a campaign of which nothing is believed is refused.
        aspect: Height over width, on the page and in a column, where legends stand below each other.
        is_narrow: Whether it is as wide as a column on the page too.
        aspect_of_three: The same for three elements, where that is another.
    """

    draw: str
    shows: str
    takes: tuple[str, ...]
    _: KW_ONLY
    is_of_axes: bool = True
    needs_belief: bool = False
    aspect: tuple[float, float] = (0.65, 1.1)
    is_narrow: bool = False
    aspect_of_three: tuple[float, float] | None = None

    def aspect_of(self, n_ends: int, width: Width) -> float:
        """Height over width of the figure of so many elements or ends."""
        of_three = self.aspect_of_three if n_ends == 3 else None
        return (of_three or self.aspect)[0 if width is Width.PAGE else 1]


_REPRESENTATION = Kind("hullscout.figures.representation.draw_representation", "the representation of a structure",
                       ("history", "candidate"), is_of_axes=False, aspect=(0.45, 1.3))  # fmt: skip
KINDS = {
    "hull": Kind("hullscout.figures.hulls.draw_hull",
                 "phase diagram, with what the model still believes possible; of three elements a triangle",
                 ("known", "belief", "lattices"), aspect_of_three=(0.86, 1.2)),
    "section": Kind("hullscout.figures.phase_diagram.draw_section", "phase diagram between two compositions, --from and --to",
                    ("known", "belief", "lattices", "between")),
    "potentials": Kind("hullscout.figures.potentials.draw_potentials",
                       "chemical potentials at which each ground state is stable, of two or three elements", ("known", "belief")),
    "distance": Kind("hullscout.figures.phase_diagram.draw_hull_distance", "distance of every candidate to the hull",
                     ("known", "belief", "tolerance_ev_per_atom")),
    "progress": Kind("hullscout.figures.progress.draw_progress", "errors and the probability of a wrong hull, by calculations",
                     ("history",), is_of_axes=False, aspect=(0.72, 1.2)),
    "parity": Kind("hullscout.figures.parity.draw_parity", "predicted against true energies", ("belief",),
                   needs_belief=True, aspect=(1.25, 1.25), is_narrow=True),
    "calibration": Kind("hullscout.figures.parity.draw_calibration", "whether the stated uncertainty holds", ("belief",),
                        needs_belief=True, aspect=(1.25, 1.25), is_narrow=True),
    "learning": Kind("hullscout.figures.parity.draw_learning",
                     "model error by number of random structures (40 or more energies)", ("history",)),
    "mbtr": _REPRESENTATION,
    "representation": _REPRESENTATION,
}  # fmt: skip
"""The figures of a campaign by name."""


def save_campaign_figure(
    folder: Path,
    path: Path,
    *,
    setup: Setup | None = None,
    kind: str = "hull",
    width: Width = Width.PAGE,
    lattices: bool = False,
    candidate_id: str | None = None,
    between: tuple[str, str] | None = None,
    look: Look | None = None,
    on_note: Callable[[str], object] | None = None,
) -> None:
    """Draw a figure of the campaign in `folder`, finished or not, into the file `path`.

    Args:
        path: PNG, SVG, PDF or EPS by its suffix.
        setup: What the campaign works with, where that was read already.
        width: A column or the page.
        lattices: `hull`: markers of their own for candidates on fcc, bcc and hcp lattices.
        candidate_id: `mbtr`: whose representation; of the lowest structure by default.
        look: What is to be otherwise than it is drawn: size, title, limits, units.
        on_note: Called with a sentence for each thing that the file cannot show as it is meant; by default these are warnings.
        between: `section`: two compositions, each a formula or a candidate's id; by default the first two elements.

    Raises:
        OutputError: The suffix is another one, the file cannot be written, or there is not enough to draw.
        StoreError: There is no campaign, it is damaged, or it has no hull yet.
    """
    refuse_other_formats(path)
    from hullscout.campaign import Beliefs, read_history  # noqa: PLC0415  loads the scientific packages
    from hullscout.figures.structure_names import read_names  # noqa: PLC0415
    from hullscout.settings import object_at  # noqa: PLC0415

    read_names(folder)
    chosen, history = KINDS[kind], read_history(folder, setup=setup)
    known = history.now
    belief = Beliefs(history.setup).at(known) if "belief" in chosen.takes else None
    if belief is None and chosen.needs_belief:
        history.setup.refuse_not_imported()
        raise OutputError(
            f"{kind}: expected something to predict and three or more energies that differ, found {known.n_answered} of "
            f"{known.n_calculable} known. Draw another kind."
        )
    offered: dict[str, Any] = {
        "known": known,
        "history": history,
        "belief": belief,
        "tolerance_ev_per_atom": history.config.stop.hull_tolerance,
        "lattices": lattices,
        "candidate": shown_candidate(history, candidate_id),
        "between": between or known.pool.end_names[:2],
    }
    draw, taken = object_at(chosen.draw), {name: offered[name] for name in chosen.takes}
    width = Width.COLUMN if chosen.is_narrow else width
    save_figure(
        path,
        lambda f: draw(f.add_subplot() if chosen.is_of_axes else f, **taken),
        width=width,
        aspect=chosen.aspect_of(len(known.pool.end_names), width),
        look=look,
        on_note=on_note,
    )


def shown_candidate(history: History, candidate_id: str | None) -> Candidate:
    """The candidate with an id; the lowest on the hull found where none is given.

    Raises:
        OutputError: There is no such candidate.
    """
    hull, pool = history.now.hull, history.pool
    if candidate_id is None:
        return pool.candidates[int(hull.indices[hull.energy_ev_per_atom.argmin()])]
    if candidate_id not in pool.ids:
        first = ", ".join(pool.ids[:3])
        raise OutputError(
            f"Expected the id of one of the {len(pool)} candidates, found {candidate_id!r}. The first are {first}."
        )
    return pool.candidates[pool.ids.index(candidate_id)]


def save_result(
    folder: Path, result: CampaignResult, known: Known, *, on_note: Callable[[str], object] | None = None
) -> None:
    """Write `hull.png` and then `result.json` into a campaign's folder, each whole or not at all, with what was known at its end.

    Raises:
        OutputError: One of them cannot be written.
    """
    from hullscout.campaign.result import RESULT  # noqa: PLC0415  loads the scientific packages
    from hullscout.figures.hulls import draw_overview  # noqa: PLC0415  loads matplotlib
    from hullscout.figures.structure_names import keep_names  # noqa: PLC0415

    save_figure(
        folder / "hull.png",
        lambda figure: draw_overview(figure.add_subplot(), known),
        aspect=KINDS["hull"].aspect_of(len(known.pool.end_names), Width.PAGE),
        on_note=on_note,
    )
    keep_names(folder, (known.pool.candidates[index] for index in known.hull.indices))
    write_whole(folder / RESULT, result.to_json(), remedy="The energies are kept; run again.")
