"""What happened in a campaign, and what the model believed at each moment: everything that a figure or a report needs.

`read_history` reads a folder, finished or not, also while it is running; it fits no model. A `Forecaster` computes again what
the model believed at a moment, from the energies in the store and by the code that decided then, so the numbers are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hullscout.campaign.awaited import awaited
from hullscout.campaign.result import CampaignResult, FailedCandidate
from hullscout.campaign.standing import Standing
from hullscout.campaign.state import State
from hullscout.campaign.store import Origin, Store
from hullscout.campaign.threads import fitting_threads
from hullscout.errors import StoreError
from hullscout.regression import cap_height
from hullscout.selection.hull_posterior import HullPosteriorRule
from hullscout.selection.surrogate import Surrogate

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from hullscout.campaign.config import CampaignConfig
    from hullscout.campaign.runner import Opened
    from hullscout.pool import Pool
    from hullscout.selection.interface import RoundRecord, Snapshot
    from hullscout.selection.outlook import HullOutlook
    from hullscout.selection.surrogate import SurrogateFit

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A campaign when a round was decided, with the energies of all rounds before it; the last moment is now.

    Attributes:
        round: Number of rounds before this moment, at least 1.
        standing: Candidates, what was known, found and true hull, hull error.
        snapshot: What the rule saw.
        decision: The round that was then decided; None now.
    """

    round: int
    standing: Standing
    snapshot: Snapshot = field(repr=False)
    decision: RoundRecord | None = field(repr=False)

    @property
    def n_known(self) -> int:
        """Number of calculations so far."""
        return self.standing.n_known

    @property
    def cost_spent(self) -> float:
        """Cost of the calculations so far."""
        return float(self.snapshot.cost[self.snapshot.known].sum())

    @property
    def failure_probability(self) -> float | None:
        """Probability of a wrong hull at this moment; None where the rule knows none, and now (see `Forecaster`)."""
        return None if self.decision is None else self.decision.failure_probability

    @property
    def stated_failure_probability(self) -> float | None:
        """What the rule stood by at this moment; None where it states none, and now (see `Forecaster`)."""
        return None if self.decision is None else self.decision.stated_failure_probability

    @property
    def model_error_ev_per_atom(self) -> float | None:
        """Held-out error of the rule's model at this moment; None where it fits none, and now (see `Forecaster`)."""
        return None if self.decision is None else self.decision.model_error


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A campaign from its start until now.

    Attributes:
        origin: What it was started from.
        pool: Its candidates.
        moments: One per round after the start, in order, and now: `moments[-1]`.
        asked_in: Round in which each candidate was chosen, by its index; in a hand-off it may not have been handed out yet.
        failures: Why each calculation that failed for good did, by the candidate's index.
        awaited: (p,) indices of the candidates whose results are awaited; in a hand-off those that were handed out.
        result: What `result.json` says; None while the campaign is not finished.
    """

    origin: Origin = field(repr=False)
    pool: Pool
    moments: tuple[Moment, ...] = field(repr=False)
    asked_in: dict[int, int] = field(repr=False)
    failures: dict[int, FailedCandidate] = field(repr=False)
    awaited: tuple[int, ...] = field(repr=False)
    result: CampaignResult | None

    @property
    def config(self) -> CampaignConfig:
        """The settings in force."""
        return self.origin.config

    @property
    def now(self) -> Moment:
        """The last moment."""
        return self.moments[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is believed of every candidate at one moment.

    Attributes:
        mean_ev_per_atom: (n,) predicted formation energies; heights above the hull of that moment are capped smoothly at
            `select.energy_cap`, which changes nothing near the hull. Predicted also where the energy is known.
        std_ev_per_atom: (n,) their calibrated standard deviations.
        degrees_of_freedom: Of the Student-t whose scales the standard deviations are.
        left_out_mean_ev_per_atom: (m,) prediction of each known energy from the others, in the order of `standing.known`.
        left_out_std_ev_per_atom: (m,) calibrated standard deviations of the same.
        energy_cap_ev_per_atom: Heights above the hull are capped at this; see `capped`.
        probability_on_hull: (n,) probability that each candidate, known or not, is a vertex of the true hull.
        expected_lowering_ev_per_atom: (n,) by how much each candidate alone is expected to lower the hull at its composition.
        hull: Samples of the hull: `band_ev_per_atom` gives its quantiles.
        failure_probability: Probability that the hull is wrong by more than `stop.hull_tolerance`.
        stated_failure_probability: The same with the look back on the last rounds, which the stop waits for.
        model_error_ev_per_atom: Leave-one-out error of the model, root mean square, on the capped scale.
        is_of_the_rule: Whether the campaign's own rule believes this. Other rules have no posterior: theirs is that of the
            rule `hull-posterior` with its default settings, which the campaign does not state.
    """

    mean_ev_per_atom: Floats = field(repr=False)
    std_ev_per_atom: Floats = field(repr=False)
    degrees_of_freedom: float
    left_out_mean_ev_per_atom: Floats = field(repr=False)
    left_out_std_ev_per_atom: Floats = field(repr=False)
    energy_cap_ev_per_atom: float
    probability_on_hull: Floats = field(repr=False)
    expected_lowering_ev_per_atom: Floats = field(repr=False)
    hull: HullOutlook = field(repr=False)
    failure_probability: float
    stated_failure_probability: float
    model_error_ev_per_atom: float
    is_of_the_rule: bool

    def capped(self, formation_ev_per_atom: Floats) -> Floats:
        """(n,) formation energies of all candidates on the scale of the predictions."""
        at_hull = self.hull.hull.energy_at(self.hull.x)
        return at_hull + cap_height(formation_ev_per_atom - at_hull, self.energy_cap_ev_per_atom)


class Forecaster:
    """Computes what the model believed at a moment. The features of the pool are computed once, at construction.

    Each moment costs one fit and 2000 samples of the hull; moments in order share their kernel rows.

    Args:
        history: Of the campaign.
        features: (n, d) features of all candidates by block name, if they are at hand.
    """

    def __init__(self, history: History, *, features: dict[str, Floats] | None = None) -> None:
        from hullscout.campaign.runner import open_features  # noqa: PLC0415  the runner knows the figures

        config = history.config
        self._rule = config.select if isinstance(config.select, HullPosteriorRule) else HullPosteriorRule()
        self._is_of_the_rule = self._rule is config.select
        self._tolerance = config.stop.hull_tolerance
        blocks = open_features(history.origin, history.pool) if features is None else features
        self._surrogate = Surrogate(blocks, x=history.pool.x, settings=config.regression)

    def at(self, moment: Moment) -> Outlook | None:
        """What was believed then; None where too little was known to learn from, or nothing was left to ask."""
        snapshot = moment.snapshot
        if snapshot.unknown.size == 0:
            return None
        with fitting_threads(snapshot.x.size):
            fit = self._rule.fit(snapshot, self._surrogate)
            if not fit.is_learned:
                return None
            hull = self._rule.outlook_of(fit, snapshot, self._surrogate)
        now = hull.failure_probability(self._tolerance)
        return Outlook(
            mean_ev_per_atom=fit.mean,
            std_ev_per_atom=fit.std,
            degrees_of_freedom=fit.degrees_of_freedom,
            left_out_mean_ev_per_atom=fit.left_out_mean,
            left_out_std_ev_per_atom=fit.left_out_std,
            energy_cap_ev_per_atom=self._rule.energy_cap,
            probability_on_hull=hull.probability_on_hull(),
            expected_lowering_ev_per_atom=hull.expected_lowering_ev_per_atom(),
            hull=hull,
            failure_probability=now,
            stated_failure_probability=self._rule.stated(snapshot, now) if self._is_of_the_rule else now,
            model_error_ev_per_atom=fit.leave_one_out_rmse,
            is_of_the_rule=self._is_of_the_rule,
        )

    def full_scale(self, moment: Moment) -> SurrogateFit:
        """Formation energies predicted from what was known then, learned without a cap; for parity and calibration."""
        snapshot = moment.snapshot
        baseline = snapshot.baseline_formation_ev_per_atom
        with fitting_threads(snapshot.x.size):
            return self._surrogate.fit(snapshot.known, snapshot.formation_ev_per_atom, baseline=baseline)


def read_history(folder: Path, *, opened: Opened | None = None) -> History:
    """Read the campaign in `folder`.

    Args:
        folder: Of the campaign.
        opened: What it is made of, if that is at hand.

    Raises:
        StoreError: There is none, it is damaged, or there is no hull yet.
    """
    from hullscout.campaign.runner import RESULT, Opened  # noqa: PLC0415  the runner knows the figures

    with Store.read(folder) as store:
        opened = Opened(store.origin()) if opened is None else opened
        answers, failures, attempts = store.answers(), store.failures(), store.attempts()
        rounds = store.rounds()  # after the answers, so that a running campaign has asked for all that it answered
    origin, pool = opened.origin, opened.pool
    reference = None if opened.oracle is None else opened.oracle.energies_ev_per_atom()
    cost = origin.config.cost.of(pool.n_atoms, column=pool.cost)
    moments = []
    for n_rounds in range(1, len(rounds) + 1):
        asked = [candidate_id for record in rounds[:n_rounds] for candidate_id in record.chosen]
        energies = {candidate_id: answers[candidate_id] for candidate_id in asked if candidate_id in answers}
        failed = {i: failures[i] for i in asked if i in failures and i not in energies}
        state = State(pool, rounds=rounds[:n_rounds], energies_ev=energies, failures=failed)
        if state.has_both_ends:
            moment = Moment(
                round=n_rounds,
                standing=Standing.of(state, name=origin.config.name, reference_ev_per_atom=reference),
                snapshot=state.snapshot(seed=origin.config.seed, cost=cost),
                decision=rounds[n_rounds] if n_rounds < len(rounds) else None,
            )
            moments.append(moment)
    if not moments:
        raise StoreError(
            f"The campaign in {folder} has no hull yet: the energies of both pure elements are needed; run it first."
        )
    index = {candidate_id: place for place, candidate_id in enumerate(pool.ids)}
    waiting = awaited(origin.config, state, attempts)  # `state` is the last: as of now
    return History(
        origin=origin,
        pool=pool,
        moments=tuple(moments),
        asked_in={index[candidate_id]: record.round for record in rounds for candidate_id in record.chosen},
        failures={
            index[i]: FailedCandidate(
                id=i, formula=pool.candidates[index[i]].formula, reason=failure.reason, sentence=failure.sentence
            )
            for i, failure in state.failures.items()
        },
        awaited=tuple(index[candidate_id] for candidate_id in waiting),
        result=read_result(folder / RESULT),
    )


def read_result(path: Path) -> CampaignResult | None:
    """What a finished campaign's `result.json` says; None where there is none.

    Raises:
        StoreError: It is damaged.
    """
    try:
        return CampaignResult.from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} cannot be read as a result ({error}). Delete it and run the campaign again; the energies are kept."
        ) from error
