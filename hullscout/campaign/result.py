"""What a campaign found: its result, the contract of `result.json`.

Energies in eV/atom, x the atomic fraction of the second element.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hullscout.campaign.additions import AddedThen
from hullscout.campaign.beforehand import beforehand_sentences
from hullscout.campaign.beliefs import explained
from hullscout.campaign.cautions import meaning
from hullscout.campaign.ground_states import GroundStates, HullVertex, ground_states
from hullscout.campaign.opening import DATABASE
from hullscout.campaign.prior_energies import baseline_sentences, baseline_sources
from hullscout.campaign.resuming import ChangedThen
from hullscout.campaign.store import Store
from hullscout.contents import json_of, member_text
from hullscout.display import MILLI, html_sentences, stated_percent
from hullscout.errors import OracleError, StoreError, UnsafeFileError
from hullscout.hull import VERTEX_TOLERANCE_EV_PER_ATOM, of_all_elements
from hullscout.pool import Frame, find_doubts
from hullscout.selection import ChemicalPotentials, StopReason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hullscout.campaign.engine import Engine
    from hullscout.campaign.setup import Setup
    from hullscout.oracle import Failed
    from hullscout.pool import Pool
    from hullscout.selection import Known
    from hullscout.selection.known import Floats

RESULT = "result.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCandidate:
    """A candidate whose energy could not be had; in the probability of a wrong hull it counts as unknown."""

    id: str
    formula: str
    reason: str
    sentence: str

    @classmethod
    def of(cls, pool: Pool, candidate_id: str, failed: Failed) -> Self:
        """The candidate, and why its calculation failed."""
        formula = pool.formulas[pool.index_of(candidate_id)]
        return cls(id=candidate_id, formula=formula, reason=failed.reason, sentence=failed.sentence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The found hull against the true one, where every energy is known.

    Attributes:
        hull_error_ev_per_atom: Largest height of the found hull above the true hull over all compositions.
        within_tolerance: The error is at most the campaign's `stop.hull_tolerance`.
        mae_uncomputed_ev_per_atom: Mean absolute error of the formation energies predicted for what was not calculated, if any.
    """

    hull_error_ev_per_atom: float
    within_tolerance: bool
    exact: bool
    mae_uncomputed_ev_per_atom: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignResult:
    """What a finished campaign found, and what it took."""

    campaign: str
    elements: tuple[str, ...]
    rule: str
    seed: int
    n_candidates: int
    n_calculations: int
    saved_fraction: float
    cost_spent: float
    cost_saved_fraction: float
    stop_reason: StopReason
    stop_sentence: str
    failure_probability: float | None
    loner_probability: float | None
    probability_meaning: dict[str, Any] | None
    hull: GroundStates
    failed: tuple[FailedCandidate, ...]
    reference: Reference | None
    timings_s: dict[str, float]
    ends: tuple[str, ...] = ()
    """What the compositions are between, where it is not the elements."""
    additions: tuple[AddedThen, ...] = ()
    changes: tuple[ChangedThen, ...] = ()
    """What was changed of the settings, and when."""
    known_beforehand: dict[str, int] = field(default_factory=dict)
    """Candidates whose energies nobody asked for, by source; no calculations of the campaign, and not among the saved."""
    left_out: tuple[str, ...] = ()
    """What of the pool was left out since no campaign can use it: its place and what is wrong."""
    doubts: tuple[str, ...] = ()
    """What looks wrong of energies that were computed or told; see `energy_doubts`."""
    given_ev_per_atom: dict[str, float] = field(default_factory=dict)
    """Energies of elements that were given by value, by symbol: ends of the axis of which nothing was calculated."""

    baselines: dict[str, str] = field(default_factory=dict)
    """Columns of energies of cheaper methods that the model started from, and which potential they are of, where it is said."""
    prerelaxed: tuple[str, ...] = ()
    """What is to be said of the structures that were calculated, where a potential relaxed the candidates first."""
    sources: tuple[str, ...] = ()
    """Where the probability of a wrong hull comes from at the end, where the rule states one."""
    stability: ChemicalPotentials | None = field(default=None, compare=False)
    """The chemical potentials at which each ground state is stable; None in results of earlier versions."""

    def to_json(self) -> str:
        """The text of `result.json`; no `reference` where not every energy is known, nor lists of what there is none of."""
        stability = () if self.stability is None else self.stability.trees()
        tree = {"schema": SCHEMA, **asdict(replace(self, stability=None)), "stability": stability}
        without = "fractions" if len(self.ends or self.elements) == 2 else "x"
        for vertex in tree["hull"]:
            del vertex[without]
        if self.reference is None:
            del tree["reference"]
        for name in (
            "ends",
            "additions",
            "changes",
            "known_beforehand",
            "left_out",
            "doubts",
            "given_ev_per_atom",
            "baselines",
            "prerelaxed",
            "sources",
            "stability",
        ):
            if not tree[name]:
                del tree[name]
        return json.dumps(tree, indent=2, allow_nan=False) + "\n"

    @property
    def probability_sentence(self) -> str:
        """The stated probability of a wrong hull, or that there is none; empty where the reason of the end has said it."""
        if self.failure_probability is None:
            return f"The rule '{self.rule}' states no probability of a wrong hull."
        if self.stop_reason is StopReason.FAILURE_PROBABILITY:
            return ""
        return f"Stated probability of a hull beyond the tolerance: {stated_percent(self.failure_probability)}."

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, how sure that is and what failed, in sentences."""
        said = [
            f"{self.campaign}: {self.n_calculations} of {self.n_candidates} candidates calculated. {self.stop_sentence}"
        ]
        if self.probability_sentence and self.failure_probability is not None:
            said.append(self.probability_sentence)
        if self.reference is not None:
            error = f"up to {self.reference.hull_error_ev_per_atom * MILLI:.2f} meV/atom above the true hull"
            said.append("The hull found is the true hull." if self.reference.exact else f"The hull found lies {error}.")
        said.extend(given_sentences(self.given_ev_per_atom))
        said.extend((*baseline_sentences(self.baselines), *self.prerelaxed))
        said.extend(beforehand_sentences(self.known_beforehand))
        said.extend(then.sentence for then in self.additions)
        said.extend(then.sentence for then in self.changes)
        said.extend(f"Look at the energies: {doubt}." for doubt in self.doubts)
        said.extend(f"Failed: {failed.id} ({failed.reason}): {failed.sentence}" for failed in self.failed)
        return tuple(said)

    def _repr_html_(self) -> str:
        return html_sentences(*self.sentences) + self.hull._repr_html_()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the text of a `result.json`; another text raises `KeyError`, `TypeError` or `ValueError`."""
        # What earlier versions did not state comes first.
        tree = {"loner_probability": None, "probability_meaning": None, **json_of(text)}
        del tree["schema"]
        reference = tree.get("reference")
        tree["reference"] = None if reference is None else Reference(**reference)
        tree["hull"] = GroundStates(HullVertex(**vertex) for vertex in tree["hull"])
        tree["failed"] = tuple(FailedCandidate(**failed) for failed in tree["failed"])
        tree["stop_reason"] = StopReason(tree["stop_reason"])
        tree |= {name: tuple(tree.get(name, ())) for name in ("elements", "ends")}
        tree["additions"] = tuple(AddedThen(**then) for then in tree.get("additions", ()))
        changes = ({**then, "lines": tuple(then["lines"])} for then in tree.get("changes", ()))
        tree["changes"] = tuple(ChangedThen(**then) for then in changes)
        tree |= {name: tuple(tree.get(name, ())) for name in ("left_out", "doubts", "prerelaxed")}
        tree["sources"] = tuple(map(str, tree.get("sources", ())))
        regions = tree.get("stability")
        ends = tree["ends"] or tree["elements"]
        tree["stability"] = ChemicalPotentials.of_trees(ends, regions) if regions else None
        return cls(**tree)


def energy_doubts(known: Known) -> tuple[str, ...]:
    """What known energies look like, where they do not look like total energies of the candidates' cells: per atom, say.

    Pools with energies are held to the same before anything is looked up; here it is energies that were computed or told.
    """
    frames = [
        Frame(
            number=place,
            id=candidate.id,
            numbers=candidate.numbers,
            positions=candidate.positions,
            cell=candidate.cell,
            pbc=(True, True, True),
            energy_ev=float(energy) * candidate.n_atoms,
        )
        for place, (candidate, energy) in enumerate(
            zip((known.pool.candidates[i] for i in known.answered), known.energies_ev_per_atom, strict=True), start=1
        )
    ]
    return tuple(doubt.sentence for doubt in find_doubts(frames, known.pool.elements))


def given_ev_per_atom(known: Known) -> dict[str, float]:
    """Energies of elements that were given by value, by symbol."""
    energies = dict(zip(known.answered.tolist(), known.energies_ev_per_atom.tolist(), strict=True))
    crystals = [known.pool.index_of(each) for each in known.pool.given]
    given = {
        int(of_all_elements(known.fractions[[index]]).argmax()): energies[index]
        for index in crystals
        if index in energies
    }
    return {known.pool.elements[place]: given[place] for place in sorted(given)}


def given_sentences(given: Mapping[str, float]) -> tuple[str, ...]:
    """A sentence on energies in eV/atom of elements that were given by value, by symbol; none where there are none."""
    shown = ", ".join(f"{symbol} {energy:g} eV/atom" for symbol, energy in given.items())
    return (f"Given by value, and not calculated: {shown}.",) if given else ()


def conclude(setup: Setup, engine: Engine, *, timings_s: dict[str, float]) -> CampaignResult:
    """The result of a campaign that has come to its end; `OracleError` where all structures of a pure element failed."""
    config, ledger, decision = setup.config, engine.ledger, engine.decision
    assert decision is not None  # noqa: S101  a campaign ends by one only
    assert decision.stop is not None  # noqa: S101
    failed = tuple(FailedCandidate.of(setup.pool, *pair) for pair in ledger.failures.items())
    if not ledger.known.has_hull:
        told = "\n".join(f"  {failure.id} ({failure.reason}): {failure.sentence}" for failure in failed[:8])
        raise OracleError(
            f"{decision.stop.sentence} The pure elements define formation energies.\n{told}\n"
            "Correct what made them fail and run again with --retry-failed, or with other settings and another --out."
        )
    known = ledger.known.with_truth(setup.true_ev_per_atom)
    sources, potentials = explained(setup, ledger.known, engine.surrogate, is_kept=True)
    return CampaignResult(
        campaign=config.name,
        elements=config.elements,
        rule=config.select.rule,
        seed=config.seed,
        n_candidates=setup.pool.n_calculable,
        n_calculations=known.n_answered,
        saved_fraction=1.0 - known.asked.size / max(known.n_calculable, 1),
        cost_spent=known.spent,
        cost_saved_fraction=1.0 - known.spent / (float(setup.cost.sum() - setup.cost[known.given].sum()) or 1.0),
        stop_reason=StopReason(decision.stop.reason),
        stop_sentence=decision.stop.sentence,
        failure_probability=decision.stated_failure_probability,
        loner_probability=decision.loner_probability,
        probability_meaning=meaning(setup),
        hull=ground_states(known, ledger.relaxed),
        failed=failed,
        reference=None
        if known.true_ev_per_atom is None
        else _compared(known, engine.predict(), hull_tolerance=config.stop.hull_tolerance),
        timings_s=timings_s,
        ends=setup.pool.ends,
        additions=setup.added,
        changes=setup.origin.changes,
        known_beforehand=ledger.n_beforehand,
        left_out=setup.pool.report.faults,
        doubts=() if setup.table is not None else energy_doubts(known),
        given_ev_per_atom=given_ev_per_atom(known),
        baselines=baseline_sources(setup),
        prerelaxed=setup.prerelaxed,
        sources=sources,
        stability=potentials,
    )


def read_result(folder: Path) -> CampaignResult | None:
    """What the `result.json` of a finished campaign says; None where there is none, `StoreError` where it is damaged.

    None, too, where it was written before structures were added, settings changed or energies told unasked: the campaign goes on.
    """
    path = folder / RESULT
    try:
        result = CampaignResult.from_json(member_text(path))
    except FileNotFoundError:
        return None
    except UnsafeFileError as error:
        raise StoreError(f"{error} The energies are kept in {DATABASE}: run the campaign again.") from error
    except (AttributeError, OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} cannot be read as a result ({error}). Delete it and run the campaign again; the energies are kept."
        ) from error
    if not (folder / DATABASE).is_file():
        return result
    with Store.read(folder) as store:
        is_of_now = result.changes == store.changes() and len(result.additions) == store.n_additions
        n_given = len(store.given().keys() & store.answers().keys())
    return result if is_of_now and sum(result.known_beforehand.values()) == n_given else None


def _compared(known: Known, predicted_ev_per_atom: Floats, *, hull_tolerance: float) -> Reference | None:
    """What was found against the truth, by predicted formation energies (n,) of all candidates."""
    error, true = known.hull_error_ev_per_atom, known.true_formation_ev_per_atom
    if error is None or true is None:
        return None
    errors = np.abs(predicted_ev_per_atom[known.unknown] - true[known.unknown])
    return Reference(
        hull_error_ev_per_atom=error,
        within_tolerance=error <= hull_tolerance,
        exact=error <= VERTEX_TOLERANCE_EV_PER_ATOM,
        mae_uncomputed_ev_per_atom=float(errors.mean()) if errors.size else None,
    )
