"""The figures of a campaign as methods, for notebooks: each into the `Axes` that are given, else into new ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from hullscout.errors import InvalidSettingError
from hullscout.figures import shown_candidate
from hullscout.figures.parity import draw_calibration, draw_learning, draw_parity
from hullscout.figures.progress import draw_errors, draw_failure_probability
from hullscout.figures.representation import draw_panels
from hullscout.figures.style import axes_or_new, new_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from hullscout.campaign import History
    from hullscout.selection import Belief


class Drawn(ABC):
    """What has a history and a belief, and draws them."""

    @property
    @abstractmethod
    def history(self) -> History:
        """What was known in each round."""

    @property
    @abstractmethod
    def belief(self) -> Belief | None:
        """What the model believes now, if anything."""

    def plot_hull(self, ax: Axes | None = None, *, lattices: bool = False) -> Axes:
        """Draw the phase diagram, with what the model still believes possible; of three elements a triangle.

        Args:
            lattices: Whether candidates of two elements on fcc, bcc and hcp lattices get markers of their own, as by `--lattices`.
        """
        from hullscout.figures.hulls import draw_hull  # noqa: PLC0415  loads matplotlib

        return draw_hull(axes_or_new(ax), self.history.now, belief=self.belief, lattices=lattices)

    def plot_section(self, start: str, end: str, ax: Axes | None = None, *, lattices: bool = False) -> Axes:
        """Draw the phase diagram between two compositions, each a formula or a candidate's id."""
        from hullscout.figures.phase_diagram import draw_section  # noqa: PLC0415

        between, known = (start, end), self.history.now
        return draw_section(axes_or_new(ax), known, between=between, belief=self.belief, lattices=lattices)

    def plot_chemical_potentials(self, ax: Axes | None = None) -> Axes:
        """Draw the chemical potentials at which each ground state is stable, of two or three elements."""
        from hullscout.figures.potentials import draw_potentials  # noqa: PLC0415

        return draw_potentials(axes_or_new(ax), self.history.now, belief=self.belief)

    def plot_distance(self, ax: Axes | None = None) -> Axes:
        """Draw the distance of every candidate to the hull."""
        from hullscout.figures.phase_diagram import draw_hull_distance  # noqa: PLC0415

        tolerance = self.history.config.stop.hull_tolerance
        return draw_hull_distance(
            axes_or_new(ax), self.history.now, belief=self.belief, tolerance_ev_per_atom=tolerance
        )

    def plot_errors(self, ax: Axes | None = None) -> Axes:
        """Draw hull error and model error by calculations."""
        return draw_errors(axes_or_new(ax), self.history)

    def plot_failure_probability(self, ax: Axes | None = None) -> Axes:
        """Draw the stated probability of a wrong hull by calculations."""
        return draw_failure_probability(axes_or_new(ax), self.history)

    def plot_parity(self, ax: Axes | None = None) -> Axes:
        """Draw predicted against true energies."""
        return draw_parity(axes_or_new(ax), self._needed_belief())

    def plot_calibration(self, ax: Axes | None = None) -> Axes:
        """Draw the share of energies inside the stated intervals."""
        return draw_calibration(axes_or_new(ax), self._needed_belief())

    def plot_learning(self, ax: Axes | None = None) -> Axes:
        """Draw the model's error by the number of random structures that it learns from; 40 known energies are needed."""
        return draw_learning(axes_or_new(ax), self.history)

    def plot_mbtr(self, candidate_id: str | None = None, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
        """Draw the representation of a candidate, of the lowest calculated one by default: the MBTR has two panels."""
        candidate = shown_candidate(self.history, candidate_id)
        panels = self.history.setup.representation.panels(candidate)
        shown = new_row(len(panels)) if axes is None else axes
        return draw_panels(shown, panels, candidate, elements=self.history.pool.elements)

    def _needed_belief(self) -> Belief:
        if self.belief is None:
            self.history.setup.refuse_not_imported()
            known = self.history.now
            raise InvalidSettingError(
                "Expected something to predict and three or more energies that differ, found "
                f"{known.n_answered} of {known.n_calculable} known. Draw another figure."
            )
        return self.belief
