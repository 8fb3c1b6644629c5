"""A campaign in a notebook: make or open one, run it or ask and tell, then look at results as objects, tables and figures.

It decides nothing and keeps nothing: everything is read from the folder and written there, as by the commands. A campaign may
go from one to the other at any time; what others did is seen after the next `ask`, `tell` or `run`, or by opening it again.
"""

from __future__ import annotations

from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from hullscout.campaign import (
    Beliefs,
    GroundStates,
    Setup,
    create,
    growth,
    handoff,
    read_history,
    read_origin,
    read_result,
    run,
)
from hullscout.campaign.candidate_rows import candidate_rows
from hullscout.campaign.cautions import cautions
from hullscout.campaign.energy_settings import settings_of_answers
from hullscout.campaign.exports import Structures, computed_entries
from hullscout.campaign.ground_states import ground_states
from hullscout.campaign.origin import origin_of
from hullscout.display import html_sentences, notebook_line
from hullscout.errors import InvalidCampaignError, InvalidSettingError
from hullscout.figures import save_result
from hullscout.figures.drawn import Drawn
from hullscout.hull import phase_diagram_of
from hullscout.planning.progress import progress_figures
from hullscout.pool import Candidate
from hullscout.selection import ChemicalPotentials, Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import ase
    import pandas as pd
    from pymatgen.analysis.phase_diagram import PhaseDiagram
    from pymatgen.core.structure import Structure
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    from hullscout.campaign import CampaignConfig, CampaignResult, History, Origin
    from hullscout.campaign.additions import Added
    from hullscout.oracle import Outcome
    from hullscout.pool import Pool
    from hullscout.selection import Belief, Known


class Campaign(Drawn):
    """The campaign in a folder, finished or not; `Campaign.create` and `Campaign.of` make one, in `runs/<name>` by default.

    Everything raises `StoreError` where the folder holds no campaign, another one or a damaged one, or another process has it;
    `InvalidCampaignError` and `InvalidPoolError` say which setting or structure is not valid. `run` is for campaigns that compute
    their energies, `ask` and `tell` are for the others; `run` and `ask` raise `OracleError` where all structures of a pure element
    failed.

    Args:
        trust: Import the rule or representation of one's own that the folder names; without it, or an import of its module before,
            what only these tell is left out. `run` imports them, and the calculator or function.
    """

    def __init__(self, folder: str | Path, *, trust: bool = False) -> None:
        self.folder = Path(folder)
        setup = Setup.read(self.folder)
        self._setup = setup.trusted() if trust else setup

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
            settings: Settings to replace, as `section.key=value`.
            seed: Instead of the file's.
        """
        return cls._made(read_origin(Path(campaign_file), settings, seed=seed), folder)

    @classmethod
    def of(
        cls,
        structures: Pool | Iterable[ase.Atoms | Structure | Candidate],
        folder: str | Path | None = None,
        *,
        name: str,
        elements: Sequence[str] | None = None,
        **sections: object,
    ) -> Self:
        """Make a campaign of structures in memory, without a file, or open the one that is in the folder.

        Args:
            structures: A pool, with its costs and baseline, or crystals of ASE, pymatgen or Hullscout; energies that ASE's atoms
                carry are those of the table.
            elements: In the order of the axis; in alphabetical order if not given.
            sections: What stands in a campaign file, as objects: `select=HullPosteriorRule(batch=8)`, `stop=StopSettings(...)`,
                `oracle=CalculatorSettings(...)`, `representation`, `regression`, `cost`, `executor`, `seed`; or as dictionaries.
        """
        return cls._made(origin_of(structures, name=name, elements=elements, **sections), folder)

    @classmethod
    def _made(cls, origin: Origin, folder: str | Path | None) -> Self:
        setup = Setup(origin)
        out = Path("runs") / setup.config.folder_name if folder is None else Path(folder)
        create(setup, out)
        return cls(out)

    def run(
        self,
        *,
        retry_failed: bool = False,
        on_note: Callable[[str], None] = print,
        on_progress: Callable[[str], None] | None = None,
    ) -> CampaignResult:
        """Run to the end, from where it stands; as `hullscout run` does. A campaign at its end computes nothing.

        Args:
            retry_failed: Calculate again what failed before.
            on_note: Called with a sentence for each calculation that a person should know of.
            on_progress: Called after each answer with where the campaign stands; by default a notebook shows it on one line.

        Raises:
            OracleError: The workers cannot be used or are gone. Every answer is kept.
        """
        if self.config.oracle.kind == "handoff":
            raise InvalidCampaignError(
                'oracle.kind: expected "table", "calculator" or "function", found "handoff", whose energies come by hand. '
                "Use ask and tell."
            )
        self._setup = self._setup.now_in(self.folder).trusted()
        try:
            show = self._shown_by(on_progress or notebook_line())
            result, known = run(self._setup, self.folder, retry_failed=retry_failed, on_note=on_note, on_progress=show)
            save_result(self.folder, result, known, on_note=on_note)
        finally:
            self._forget()
        return result

    def ask(self, n: int = 4, *, again: bool = False) -> tuple[Candidate, ...]:
        """The next up to n candidates whose energies are wanted; as `hullscout ask`, without files.

        What is under way is taken into account. Fewer come where more can be said only when some of those are told, and none at
        the end of the campaign: then `result` is there. `again` gives those that were asked for before and are still awaited.
        """
        if type(n) is not int or n < 1:
            raise InvalidSettingError(f"Expected n as a number of candidates, at least 1, found {n!r}.")
        asked = handoff.ask_for(self.folder, n=n, again=again, hand_out=lambda _: None, setup=self._now())
        if asked.result is not None and asked.known is not None:
            save_result(self.folder, asked.result, asked.known)
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
        """Take the energy of a candidate, at once, and return what was kept. Telling it twice changes nothing.

        One that was never asked for is known from then on, and no calculation of the campaign.

        Args:
            energy_ev: Total energy in eV of its cell.
            structure: What it was relaxed into, if it was: where that is another crystal than the one asked for, by
                `oracle.max_strain` and `oracle.max_displacement`, the calculation counts as failed.
            wall_s: Seconds that it took.

        Raises:
            ProtocolError: The energy is not finite or no alloy's beside the others, or another one was told before, or it was
                never asked for and failed.
            ResultError: The structure does not hold the same atoms.
        """
        if isinstance(energy_ev, bool) or not isinstance(energy_ev, Real):
            raise InvalidSettingError(
                f"Expected energy_ev of {candidate_id!r} as a number in eV, found {energy_ev!r}. Convert it first."
            )
        end = None if structure is None else Candidate.from_ase(structure, candidate_id)
        outcome = handoff.tell_energy(
            self.folder, candidate_id, float(energy_ev), setup=self._now(), structure=end, wall_s=wall_s
        )
        self._forget()
        return outcome

    def tell_failure(self, candidate_id: str, why: str) -> None:
        """Take it that the energy of a candidate that was asked for cannot be had; it counts as unknown, not as high.

        `why` is a sentence for people. `ProtocolError` where it was not asked for, or its energy is known.
        """
        handoff.tell_failure(self.folder, candidate_id, why, setup=self._now())
        self._forget()

    def add(self, structures: str | Path | Pool | Iterable[ase.Atoms | Structure | Candidate]) -> Added:
        """Add structures, or those of a pool file, under way or at the end; as `hullscout add` does.

        What the campaign has is not added again. It goes on with the rest by `run` or `ask`, and what it states then covers them;
        `sentences` of what is returned say what was added and what was not.
        """
        if isinstance(structures, str | Path):
            added = growth.add_file(self.folder, Path(structures))
        else:
            added = growth.add(self.folder, structures)
        self._forget()
        return added

    @property
    def config(self) -> CampaignConfig:
        """The settings in force."""
        return self._setup.config

    @property
    def pool(self) -> Pool:
        """The candidates."""
        return self._setup.pool

    @property
    def cautions(self) -> tuple[str, ...]:
        """What should be known before anything is calculated, in sentences: what a small accepted probability costs, say."""
        return cautions(self._setup)

    @property
    def pending(self) -> tuple[str, ...]:
        """Ids that were asked for and not answered yet; in a hand-off those that `ask` handed out."""
        return self._setup.read_ledger(self.folder).awaited

    @property
    def result(self) -> CampaignResult | None:
        """What `result.json` says; None while the campaign is not finished."""
        return read_result(self.folder)

    @cached_property
    def history(self) -> History:
        """What was known, found and stated in each round; `StoreError` before the energies of all pure elements are known."""
        return read_history(self.folder, setup=self._setup.as_in(self.folder))

    @cached_property
    def hull(self) -> GroundStates:
        """The ground states found, by ascending x."""
        return ground_states(self.history.now, self.history.relaxed)

    @cached_property
    def belief(self) -> Belief | None:
        """What the model believes now; computed at the first use. None where nothing is left to ask or could be learned."""
        return Beliefs(self._setup).at(self.history.now)

    @property
    def sources(self) -> Sources | None:
        """Where the probability of a wrong hull comes from, and what more calculations would make of it.

        Under rules that state no probability, what `hull-posterior` would state. None before there is a hull, where nothing is left
        to ask, and where nothing could be learned.
        """
        belief = self.belief if self._setup.read_ledger(self.folder).known.has_hull else None
        return None if belief is None else Sources.of(belief, tolerance_ev_per_atom=self.config.stop.hull_tolerance)

    def candidates(self) -> pd.DataFrame:
        """All candidates by id: what is known and believed of each; see `CandidateRow`.

        What is not known is missing (NaN); before the energies of all pure elements are known, everything relative to them.
        """
        import pandas as pd  # noqa: PLC0415  slow to import

        ledger = self._setup.read_ledger(self.folder)
        belief = self.belief if ledger.known.has_hull else None
        rows = candidate_rows(
            ledger.known, awaited=[*map(ledger.index_of, ledger.awaited)], belief=belief, relaxed=ledger.relaxed
        )
        table = pd.DataFrame([row.columns() for row in rows]).set_index("id")
        return table.astype({name: float for name in table if table[name].isna().any()})

    def rounds(self) -> pd.DataFrame:
        """The moments of the campaign by number of calculations: hull error, model error and probabilities, eV/atom."""
        import pandas as pd  # noqa: PLC0415  slow to import

        return pd.DataFrame(
            {
                "n_calculations": known.n_answered,
                "hull_error_ev_per_atom": known.hull_error_ev_per_atom,
                "model_error_ev_per_atom": None if decision is None else decision.model_error,
                "failure_probability": None if decision is None else decision.failure_probability,
                "stated_failure_probability": None if decision is None else decision.stated_failure_probability,
            }
            for known, decision in zip(self.history.moments, self.history.decided, strict=True)
        ).set_index("n_calculations")

    def relaxed(self, candidate_id: str) -> Candidate | None:
        """The structure that the energy of a candidate is of, where that was relaxed.

        None where the energy is of the structure in `pool`, nothing was told of its structure, or no energy is known.
        """
        index = self.pool.index_of(candidate_id)
        return self._setup.read_ledger(self.folder).relaxed.get(index)

    def entries(self, structures: Literal["relaxed", "start"] = "relaxed") -> list[ComputedStructureEntry]:
        """What was calculated, as pymatgen's `ComputedStructureEntry`.

        With relaxed structures where they are known, or with those that were asked for; the other one stands beside it in `data`,
        see `computed_entries`.
        """
        history = self.history
        settings = settings_of_answers(history.setup, history.now, history.about)
        chosen = Structures(structures)
        return computed_entries(history.now, relaxed=history.relaxed, structures=chosen, settings=settings)

    def phase_diagram(self) -> PhaseDiagram:
        """The phase diagram of what was calculated, pymatgen's."""
        return phase_diagram_of(self.entries(), self.pool.elements)

    def chemical_potentials(self) -> ChemicalPotentials:
        """The chemical potentials at which each ground state is stable, with how sure that is; a notebook shows a table."""
        return ChemicalPotentials.of(self.history.now, self.belief)

    def write_report(self, path: str | Path | None = None, *, lattices: bool = False) -> Path:
        """Write everything about the campaign into one HTML page, as `hullscout report` does; where it is.

        Args:
            path: Of the page, an HTML file's; `report.html` in the folder if not given.
            lattices: Whether markers tell candidates on fcc, bcc and hcp lattices.
        """
        from hullscout.figures.report import REPORT, Reported, write_report  # noqa: PLC0415

        target = self.folder / REPORT if path is None else Path(path)
        write_report(target, Reported.of(self.history, lattices=lattices))
        return target

    def __repr__(self) -> str:
        return f"Campaign({str(self.folder)!r}): {self._sentence()}"

    def _repr_html_(self) -> str:
        result = self.result
        if result is not None:
            return result._repr_html_()
        has_hull = self._setup.read_ledger(self.folder).known.has_hull
        return html_sentences(self._sentence()) + (self.hull._repr_html_() if has_hull else "")

    def _sentence(self) -> str:
        ledger = self._setup.read_ledger(self.folder)
        known = f"{self.config.name}: {ledger.known.n_answered} of {ledger.known.n_calculable} candidates calculated"
        result = self.result
        if result is not None:
            return f"{known}; {result.stop_sentence}"
        still = f", {len(ledger.awaited)} asked for and not yet answered" if ledger.awaited else ""
        return f"{known}{still}; not finished."

    def _shown_by(self, say: Callable[[str], None] | None) -> Callable[[Known], None]:
        """What shows where the campaign stands, in a sentence."""
        is_computed = self._setup.table is None

        def show(known: Known) -> None:
            if say is not None:
                figures = progress_figures(self.config, known, is_computed=is_computed)
                done = (
                    f"round {len(known.decisions) - 1}, {known.n_answered} of {known.n_calculable} {self.config.done}"
                )
                say(f"{self.config.name}: {', '.join([done, *figures.values()])}")

        return show

    def _now(self) -> Setup:
        """What the campaign works with, also where its settings were changed elsewhere."""
        self._setup = self._setup.now_in(self.folder)
        return self._setup

    def _forget(self) -> None:
        """Read everything again from the folder when it is next looked at."""
        self._setup = self._setup.now_in(self.folder)
        for name in ("history", "hull", "belief"):
            self.__dict__.pop(name, None)
