"""A campaign in a notebook: make or open one, run it or ask and tell, then look at results as objects, tables and figures.

It decides nothing and keeps nothing: everything is read from the folder and written there, as by the commands. A campaign may
go from one to the other at any time; what others did is seen after the next `ask`, `tell` or `run`, or by opening it again.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hullscout.campaign import handoff, runner
from hullscout.campaign.awaited import awaited
from hullscout.campaign.exports import candidate_rows, computed_entries, rows_without_hull
from hullscout.campaign.history import Forecaster, read_history, read_result
from hullscout.campaign.result import Hull, hull_vertices
from hullscout.campaign.store import Store
from hullscout.display import html_sentences
from hullscout.errors import InvalidCampaignError, InvalidSettingError
from hullscout.hull import phase_diagram_of
from hullscout.pool import Candidate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import ase
    import pandas as pd
    from matplotlib.axes import Axes
    from pymatgen.core.structure import Structure

    from hullscout.campaign.config import CampaignConfig
    from hullscout.campaign.history import History, Outlook
    from hullscout.campaign.result import CampaignResult
    from hullscout.oracle import Outcome
    from hullscout.pool import Pool


class Campaign:
    """The campaign in a folder, finished or not; `Campaign.create` makes one.

    Args:
        folder: The output folder of a campaign.

    Raises:
        StoreError: There is no campaign, or it is damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._opened = runner.Opened.read(self.folder)

    @classmethod
    def create(
        cls,
        campaign_file: str | Path,
        folder: str | Path | None = None,
        *,
        settings: Iterable[str] = (),
        seed: int | None = None,
    ) -> Self:
        """Make a campaign from its file, or open the one that is in the folder; nothing is calculated yet.

        Args:
            campaign_file: The TOML file.
            folder: Made where there is none; `runs/<name>` if not given.
            settings: Settings to replace, as `section.key=value`.
            seed: Instead of the file's.

        Raises:
            InvalidCampaignError: The campaign file is not valid.
            InvalidPoolError: The pool holds something that no campaign can use.
            StoreError: The folder holds another campaign, or this one with other settings.
        """
        origin = runner.read_origin(Path(campaign_file), settings, seed=seed)
        out = Path("runs") / origin.config.folder_name if folder is None else Path(folder)
        runner.create(origin, out, pool=runner.open_pool(origin)[0])
        return cls(out)

    def run(self, *, retry_failed: bool = False, on_note: Callable[[str], None] = print) -> CampaignResult:
        """Run to the end, from where it stands; as `hullscout run` does. A campaign at its end computes nothing.

        Args:
            retry_failed: Calculate again what failed before.
            on_note: Called with a sentence for each calculation that a person should know of.

        Raises:
            InvalidCampaignError: Its energies come by hand.
            OracleError: The workers cannot be used or are gone, or all structures of a pure element failed.
        """
        if self.config.oracle.kind == "handoff":
            raise InvalidCampaignError(
                'oracle.kind: expected "table" or "calculator", found "handoff", whose energies come by hand. Use ask and tell.'
            )
        opened = self._opened
        try:
            result, standing = runner.run(
                opened.origin,
                self.folder,
                pool=opened.pool,
                oracle=opened.oracle,
                features=opened.features,
                retry_failed=retry_failed,
                on_note=on_note,
            )
            runner.save(self.folder, result, standing)
        finally:
            self._forget()
        return result

    def ask(self, n: int = 4, *, again: bool = False) -> tuple[Candidate, ...]:
        """The next up to n candidates whose energies are wanted; as `hullscout ask`, without files.

        What is under way is taken into account. Fewer come where more can be said only when some of those are told, and none at
        the end of the campaign: then `result` is there.

        Args:
            n: Number of candidates, at least 1.
            again: Those that were asked for before and are still awaited, instead of new ones.

        Raises:
            InvalidCampaignError: The campaign computes its energies itself.
            OracleError: All structures of a pure element failed.
            StoreError: Another process has the campaign at this moment.
        """
        if n < 1:
            raise InvalidSettingError(f"Expected n as a number of candidates, at least 1, found {n}.")
        asked = handoff.ask_for(self.folder, n=n, again=again, hand_out=lambda _: None, opened=self._opened)
        self._forget()
        return asked.candidates

    def tell(
        self,
        candidate_id: str,
        energy_ev: float,
        *,
        structure: ase.Atoms | Structure | Candidate | None = None,
        wall_s: float | None = None,
    ) -> Outcome:
        """Take the energy of a candidate that was asked for; it is committed at once. The same energy twice changes nothing.

        Args:
            candidate_id: Of the candidate.
            energy_ev: Total energy in eV of its cell.
            structure: What it was relaxed into, if it was: where that is another crystal than the one asked for, by
                `oracle.max_strain` and `oracle.max_displacement`, the calculation counts as failed.
            wall_s: Seconds that it took.

        Returns:
            What was kept, `Calculated` or `Failed`.

        Raises:
            InvalidSettingError: The energy is no number.
            ProtocolError: The candidate was not asked for, the energy is not finite, or another one was told before.
            ResultError: The structure does not hold the same atoms.
            InvalidCampaignError: The campaign computes its energies itself.
            StoreError: Another process has the campaign at this moment.
        """
        if isinstance(energy_ev, bool) or not isinstance(energy_ev, Real):
            raise InvalidSettingError(
                f"Expected energy_ev of {candidate_id!r} as a number in eV, found {energy_ev!r}. Convert it first."
            )
        end = None if structure is None else _as_candidate(candidate_id, structure)
        outcome = handoff.tell_energy(
            self.folder, candidate_id, float(energy_ev), opened=self._opened, structure=end, wall_s=wall_s
        )
        self._forget()
        return outcome

    def tell_failure(self, candidate_id: str, why: str) -> None:
        """Take it that the energy of a candidate that was asked for cannot be had; it counts as unknown, not as high.

        Args:
            candidate_id: Of the candidate.
            why: In a sentence, for people.

        Raises:
            ProtocolError: The candidate was not asked for, or its energy is known.
            InvalidCampaignError: The campaign computes its energies itself.
            StoreError: Another process has the campaign at this moment.
        """
        handoff.tell_failure(self.folder, candidate_id, why, opened=self._opened)
        self._forget()

    @property
    def config(self) -> CampaignConfig:
        """The settings in force."""
        return self._opened.origin.config

    @property
    def pool(self) -> Pool:
        """The candidates."""
        return self._opened.pool

    @property
    def pending(self) -> tuple[str, ...]:
        """Ids that were asked for and not answered yet; in a hand-off those that `ask` handed out."""
        with Store.read(self.folder) as store:
            return awaited(self.config, runner.open_state(store, self.pool), store.attempts())

    @property
    def result(self) -> CampaignResult | None:
        """What `result.json` says; None while the campaign is not finished."""
        return read_result(self.folder / runner.RESULT)

    @cached_property
    def history(self) -> History:
        """What was known, found and stated in each round.

        Raises:
            StoreError: There is no hull yet: the energies of both pure elements are needed.
        """
        return read_history(self.folder, opened=self._opened)

    @cached_property
    def hull(self) -> Hull:
        """The ground states found, by ascending x."""
        return hull_vertices(self.history.now.standing)

    @cached_property
    def outlook(self) -> Outlook | None:
        """What the model believes now; computed at the first use. None where nothing is left to ask or could be learned."""
        return Forecaster(self.history, features=self._opened.features).at(self.history.now)

    def candidates(self) -> pd.DataFrame:
        """All candidates by id: what is known and believed of each; see `CandidateRow`.

        What is not known is missing (NaN); before the energies of both pure elements are known, everything relative to them.
        """
        import pandas as pd  # noqa: PLC0415  slow to import

        with Store.read(self.folder) as store:
            state = runner.open_state(store, self.pool)
            pending = awaited(self.config, state, store.attempts())
        rows = (
            candidate_rows(self.history, self.outlook)
            if state.has_both_ends
            else rows_without_hull(state, awaited=pending)
        )
        table = pd.DataFrame([asdict(row) for row in rows]).set_index("id")
        return table.astype({name: float for name in table if table[name].isna().any()})

    def rounds(self) -> pd.DataFrame:
        """The moments of the campaign by number of calculations: hull error, model error and probabilities, eV/atom."""
        import pandas as pd  # noqa: PLC0415  slow to import

        return pd.DataFrame(
            {
                "n_calculations": moment.n_known,
                "hull_error_ev_per_atom": moment.standing.hull_error_ev_per_atom,
                "model_error_ev_per_atom": moment.model_error_ev_per_atom,
                "failure_probability": moment.failure_probability,
                "stated_failure_probability": moment.stated_failure_probability,
            }
            for moment in self.history.moments
        ).set_index("n_calculations")

    def entries(self) -> list[Any]:
        """What was calculated, as pymatgen's `ComputedStructureEntry`."""
        return computed_entries(self.history)

    def phase_diagram(self) -> Any:
        """The phase diagram of what was calculated, pymatgen's."""
        return phase_diagram_of(self.entries())

    def plot_hull(self, ax: Axes | None = None, *, has_lattices: bool = False) -> Axes:
        """Draw the phase diagram, with what the model still believes possible."""
        from hullscout.figures.phase_diagram import draw_phase_diagram  # noqa: PLC0415  loads matplotlib

        return draw_phase_diagram(_axes(ax), self.history.now.standing, outlook=self.outlook, has_lattices=has_lattices)

    def plot_distance(self, ax: Axes | None = None) -> Axes:
        """Draw the distance of every candidate to the hull."""
        from hullscout.figures.distance import draw_hull_distance  # noqa: PLC0415

        tolerance = self.history.config.stop.hull_tolerance
        return draw_hull_distance(
            _axes(ax), self.history.now.standing, outlook=self.outlook, tolerance_ev_per_atom=tolerance
        )

    def plot_errors(self, ax: Axes | None = None) -> Axes:
        """Draw hull error and model error by calculations."""
        from hullscout.figures.progress import draw_errors  # noqa: PLC0415

        return draw_errors(_axes(ax), self.history)

    def plot_failure_probability(self, ax: Axes | None = None) -> Axes:
        """Draw the stated probability of a wrong hull by calculations."""
        from hullscout.figures.progress import draw_failure_probability  # noqa: PLC0415

        return draw_failure_probability(_axes(ax), self.history)

    def plot_parity(self, ax: Axes | None = None) -> Axes:
        """Draw predicted against true energies."""
        from hullscout.figures.parity import draw_parity  # noqa: PLC0415

        return draw_parity(_axes(ax), self.history.now.standing, self._needed_outlook())

    def plot_calibration(self, ax: Axes | None = None) -> Axes:
        """Draw the share of energies inside the stated intervals."""
        from hullscout.figures.parity import draw_calibration  # noqa: PLC0415

        return draw_calibration(_axes(ax), self.history.now.standing, self._needed_outlook())

    def plot_learning(self, ax: Axes | None = None) -> Axes:
        """Draw the model's error by the number of random structures that it learns from.

        Raises:
            OutputError: Fewer than 40 energies are known.
        """
        from hullscout.figures.kinds import draw_learning  # noqa: PLC0415

        return draw_learning(_axes(ax), self.history, self._opened.features)

    def plot_mbtr(self, candidate_id: str | None = None, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
        """Draw the representation of a candidate, of the lowest calculated one by default: pairs and angles into two axes.

        Raises:
            OutputError: There is no such candidate.
        """
        from hullscout.figures.kinds import draw_representation, shown_candidate  # noqa: PLC0415

        candidate = shown_candidate(self.history, candidate_id)
        if axes is None:
            from hullscout.figures.style import new_pair  # noqa: PLC0415

            axes = new_pair()
        return draw_representation(axes, self.history, candidate)

    def write_report(self, path: str | Path | None = None, *, has_lattices: bool = False) -> Path:
        """Write everything about the campaign into one HTML page, as `hullscout report` does.

        Args:
            path: Of the page; `report.html` in the folder if not given.
            has_lattices: Whether markers tell candidates on fcc, bcc and hcp lattices.

        Returns:
            Where it is.

        Raises:
            OutputError: The suffix is no HTML file's, or the file cannot be written.
        """
        from hullscout.figures.report import REPORT, Reported, write_report  # noqa: PLC0415

        target = self.folder / REPORT if path is None else Path(path)
        write_report(target, Reported.of(self.history, features=self._opened.features, has_lattices=has_lattices))
        return target

    def __repr__(self) -> str:
        return f"Campaign({str(self.folder)!r}): {self._sentence()}"

    def _repr_html_(self) -> str:
        result = self.result
        if result is not None:
            return result._repr_html_()
        with Store.read(self.folder) as store:
            has_hull = runner.open_state(store, self.pool).has_both_ends
        return html_sentences(self._sentence()) + (self.hull._repr_html_() if has_hull else "")

    def _sentence(self) -> str:
        with Store.read(self.folder) as store:
            state = runner.open_state(store, self.pool)
            pending = awaited(self.config, state, store.attempts())
        known = f"{self.config.name}: {state.n_known} of {len(self.pool)} candidates calculated"
        result = self.result
        if result is not None:
            return f"{known}; {result.stop_sentence}"
        still = f", {len(pending)} asked for and not yet answered" if pending else ""
        return f"{known}{still}; not finished."

    def _forget(self) -> None:
        """Read everything again from the folder when it is next looked at."""
        for name in ("history", "hull", "outlook"):
            self.__dict__.pop(name, None)

    def _needed_outlook(self) -> Outlook:
        if self.outlook is None:
            standing = self.history.now.standing
            raise InvalidSettingError(
                "Expected something to predict and three or more energies that differ, found "
                f"{standing.n_known} of {standing.n_candidates} known. Draw another figure."
            )
        return self.outlook


def _as_candidate(candidate_id: str, structure: ase.Atoms | Structure | Candidate) -> Candidate:
    """A structure of ASE or pymatgen under the id of a candidate."""
    from pymatgen.core.structure import Structure  # noqa: PLC0415  slow to import

    if isinstance(structure, Structure):
        numbers, positions, cell = structure.atomic_numbers, structure.cart_coords, structure.lattice.matrix
    else:
        numbers, positions, cell = structure.numbers, structure.positions, np.asarray(structure.cell)
    return Candidate(id=candidate_id, numbers=np.asarray(numbers), positions=positions, cell=cell)


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    from hullscout.figures.style import new_axes  # noqa: PLC0415  loads matplotlib

    return new_axes()
