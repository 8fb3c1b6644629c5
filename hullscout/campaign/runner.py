"""The runner: it opens what a campaign is made of (pool, features, store, engine, workers), lets it run and writes its result."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Self

from hullscout.campaign.config import CampaignConfig, load_config
from hullscout.campaign.drive import Drive
from hullscout.campaign.engine import Engine, refuse_impossible_limits
from hullscout.campaign.result import CampaignResult, FailedCandidate, compare, hull_vertices
from hullscout.campaign.standing import Standing
from hullscout.campaign.state import State
from hullscout.campaign.store import Origin, Store
from hullscout.campaign.threads import fitting_threads
from hullscout.errors import InvalidCampaignError, InvalidPoolError, OracleError, OutputError, StoreError
from hullscout.oracle import CalculatorSettings, TableOracle, TableSettings, TableWorkers, open_workers
from hullscout.pool import Columns, MixedSettings, WithoutEnergy, build_pool, parse_frames, pool_bytes
from hullscout.selection.surrogate import Surrogate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from hullscout.campaign.store import Attempt
    from hullscout.mbtr import MBTR
    from hullscout.oracle import Workers
    from hullscout.pool import Frame, Pool

RESULT = "result.json"
FIGURE = "hull.png"


def read_origin(campaign_file: Path, overrides: Iterable[str] = (), *, seed: int | None = None) -> Origin:
    """Read a campaign file and the pool that it names, of any format; it is kept as extended XYZ.

    Raises:
        InvalidCampaignError: The campaign file is not valid.
        InvalidPoolError: There is no such pool, or it cannot be read.
    """
    config = load_config(campaign_file, overrides, seed=seed)
    pool_path = campaign_file.parent / config.pool.path
    if not pool_path.exists():
        raise InvalidPoolError(
            f"The pool {pool_path} is not there. It is pool.path in {campaign_file}, relative to that file."
        )
    pool = pool_bytes(pool_path, config.pool.format)
    return Origin(
        campaign_text=campaign_file.read_text(encoding="utf-8"), config=config, pool_name=str(pool_path), pool=pool
    )


def open_pool(origin: Origin) -> tuple[Pool, TableOracle | None]:
    """Parse and check a campaign's pool, once, into candidates without energies and, for a table, the oracle that knows them.

    Where energies are computed, those of the pool file are not read.

    Raises:
        InvalidPoolError: The pool holds something that no campaign can use.
    """
    frames = parse_frames(origin.pool, path=Path(origin.pool_name))
    section = origin.config.pool
    columns = Columns(cost=section.cost, baseline=section.baseline)
    mixed = MixedSettings.ALLOW if section.allow_mixed_settings else MixedSettings.REFUSE
    is_table = isinstance(origin.config.oracle, TableSettings)
    pool = build_pool(
        frames,
        origin.config.elements,
        without_energy=WithoutEnergy.LEAVE_OUT if is_table else WithoutEnergy.KEEP,
        columns=columns,
        mixed_settings=mixed if is_table else MixedSettings.ALLOW,
    )
    return pool, TableOracle.from_frames(frames, pool) if is_table else None


class Opened:
    """What a campaign is made of, each opened at its first use and then kept: its pool, the table of its energies, its features.

    Args:
        origin: What the campaign is.
    """

    def __init__(self, origin: Origin) -> None:
        self.origin = origin

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What the campaign in `folder` is made of.

        Raises:
            StoreError: There is none, or it is damaged.
        """
        with Store.read(folder) as store:
            return cls(store.origin())

    @property
    def pool(self) -> Pool:
        """The candidates."""
        return self._pool_and_oracle[0]

    @property
    def oracle(self) -> TableOracle | None:
        """The table that knows the energies; None where they are computed."""
        return self._pool_and_oracle[1]

    @cached_property
    def features(self) -> dict[str, NDArray[np.float64]]:
        """(n, d) features of every candidate by block name."""
        return open_features(self.origin, self.pool)

    @cached_property
    def _pool_and_oracle(self) -> tuple[Pool, TableOracle | None]:
        return open_pool(self.origin)


def open_mbtr(origin: Origin) -> MBTR:
    """The representation that a campaign's settings describe."""
    from hullscout.mbtr import MBTR  # noqa: PLC0415  loads numba

    settings = origin.config.mbtr
    return MBTR.for_alloys(
        origin.config.elements, pair_cutoff=settings.pair_cutoff, triple_cutoff=settings.triple_cutoff
    )


def open_features(origin: Origin, pool: Pool) -> dict[str, NDArray[np.float64]]:
    """Compute the features (n, d) of every candidate by block name: the expensive step before a campaign."""
    mbtr = open_mbtr(origin)
    with fitting_threads(len(pool.ids)):
        features = mbtr.transform(pool.candidates)
    return {name: features[:, columns] for name, columns in mbtr.slices.items()}


def run(
    origin: Origin,
    folder: Path,
    *,
    pool: Pool,
    oracle: TableOracle | None = None,
    features: Mapping[str, NDArray[np.float64]] | None = None,
    retry_failed: bool = False,
    on_progress: Callable[[State], None] = lambda _: None,
    on_note: Callable[[str], None] = lambda _: None,
) -> tuple[CampaignResult, Standing]:
    """Run a campaign to its end in `folder`, or resume the one that is there.

    Args:
        origin: What the campaign is.
        folder: Where `campaign.db` is kept; made where there is none.
        pool: The candidates, from `open_pool`.
        oracle: The table that energies come from, where they do not have to be computed.
        features: Of the candidates, by block name, if they are at hand.
        retry_failed: Calculate again what failed before.
        on_progress: Called after every answer.
        on_note: Called with a sentence for each calculation that a person should know of.

    Raises:
        StoreError: The folder cannot be used.
        OracleError: The workers cannot be used or are gone, or all structures of a pure element failed.
    """
    began, config = time.perf_counter(), origin.config
    refuse_what_cannot_start(origin, pool)
    with Store.create_or_resume(folder, origin) as store:
        if retry_failed:
            store.forgive_failures()
        engine = open_engine(origin, open_state(store, pool), features=features)
        features_s = time.perf_counter() - began
        drive = Drive(engine, store, n_ahead=0 if oracle is not None else config.executor.n_ahead)
        if drive.ask():  # a campaign that has ended needs no workers
            with _open_crew(config, oracle, folder=folder) as crew:
                drive.run(crew, on_progress=on_progress, on_note=on_note)
        timings_s = {"features": features_s}
        if oracle is None:
            timings_s["calculations"] = sum(attempt.wall_s or 0.0 for attempt in store.attempts())
    timings_s["total"] = time.perf_counter() - began
    return conclude(origin, engine, oracle=oracle, timings_s=timings_s)


def create(origin: Origin, folder: Path, *, pool: Pool, retry_failed: bool = False) -> None:
    """Make a campaign in `folder`, or see that it is the one that is there; nothing is asked for.

    Raises:
        StoreError: The folder cannot be used.
        InvalidCampaignError: The limits do not even allow the pure elements, or the pool has no costs.
    """
    refuse_what_cannot_start(origin, pool)
    with Store.create_or_resume(folder, origin) as store:
        if retry_failed:
            store.forgive_failures()


def refuse_what_cannot_start(origin: Origin, pool: Pool) -> None:
    """Check limits and costs against the pool, before a folder is made that would hold a campaign of no use.

    Raises:
        InvalidCampaignError: The limits do not even allow the pure elements, or the pool has no costs.
    """
    config = origin.config
    cost = config.cost.of(pool.n_atoms, column=pool.cost)
    refuse_impossible_limits(config.stop, State(pool).snapshot(seed=config.seed, cost=cost))


def open_state(store: Store, pool: Pool) -> State:
    """What was asked and answered in a campaign so far."""
    return State(pool, rounds=store.rounds(), energies_ev=store.answers(), failures=store.failures())


def open_engine(origin: Origin, state: State, *, features: Mapping[str, NDArray[np.float64]] | None = None) -> Engine:
    """The engine of a campaign, where the state stands; computes the features of its pool where they are not given."""
    config, pool = origin.config, state.pool
    cost = config.cost.of(pool.n_atoms, column=pool.cost)
    blocks = open_features(origin, pool) if features is None else dict(features)
    surrogate = Surrogate(blocks, x=pool.x, settings=config.regression)
    return Engine(state, rule=config.select, surrogate=surrogate, seed=config.seed, settings=config.stop, cost=cost)


def conclude(
    origin: Origin, engine: Engine, *, timings_s: dict[str, float], oracle: TableOracle | None = None
) -> tuple[CampaignResult, Standing]:
    """The result of a campaign that has come to its end.

    Args:
        origin: What the campaign is.
        engine: At its end: `stop` says why.
        timings_s: Seconds spent, by what on.
        oracle: The table that knows every energy, where there is one.

    Raises:
        OracleError: There is no hull, since all structures of a pure element failed.
    """
    config, state, stop = origin.config, engine.state, engine.stop
    assert stop is not None  # noqa: S101  a campaign ends only there
    if not state.has_both_ends:
        failures = "\n".join(
            f"  {i} ({failed.reason}): {failed.sentence}" for i, failed in [*state.failures.items()][:8]
        )
        raise OracleError(
            f"{stop.sentence} The pure elements define formation energies.\n{failures}\n"
            "Correct what made them fail and run again with --retry-failed, or with other settings and another --out."
        )
    reference = None if oracle is None else oracle.energies_ev_per_atom()
    standing = Standing.of(state, name=config.name, reference_ev_per_atom=reference)
    result = CampaignResult(
        campaign=config.name,
        elements=config.elements,
        rule=config.select.rule,
        seed=config.seed,
        n_candidates=standing.n_candidates,
        n_calculations=standing.n_known,
        saved_fraction=1.0 - state.asked.size / standing.n_candidates,
        cost_spent=engine.spent,
        cost_saved_fraction=1.0
        - engine.spent / float(config.cost.of(state.pool.n_atoms, column=state.pool.cost).sum()),
        stop_reason=stop.reason,
        stop_sentence=stop.sentence,
        failure_probability=None if engine.proposal is None else engine.proposal.stated_failure_probability,
        hull=hull_vertices(standing),
        failed=tuple(
            FailedCandidate(
                id=candidate_id,
                formula=state.pool.candidates[state.index_of(candidate_id)].formula,
                reason=failed.reason,
                sentence=failed.sentence,
            )
            for candidate_id, failed in state.failures.items()
        ),
        reference=None
        if oracle is None
        else compare(standing, engine.predict(), hull_tolerance=config.stop.hull_tolerance),
        timings_s=timings_s,
    )
    return result, standing


def _open_crew(config: CampaignConfig, oracle: TableOracle | None, *, folder: Path) -> AbstractContextManager[Workers]:
    if oracle is not None:
        return nullcontext(TableWorkers(table=oracle))
    if not isinstance(config.oracle, CalculatorSettings):
        raise InvalidCampaignError(
            f"oracle.kind: '{config.oracle.kind}' computes nothing here. Hand out by `hullscout ask {quote(str(folder))}`."
        )
    return open_workers(config.oracle, config.executor, folder=folder)


def save(folder: Path, result: CampaignResult, standing: Standing) -> None:
    """Write `hull.png` and then `result.json` into a campaign's folder, each whole or not at all.

    Raises:
        OutputError: One of them cannot be written.
    """
    from hullscout.figures.phase_diagram import save_phase_diagram  # noqa: PLC0415  loads matplotlib

    save_phase_diagram(folder / FIGURE, standing)
    half_made = folder / f".{RESULT}.new"
    try:
        half_made.write_text(result.to_json(), encoding="utf-8")
        half_made.replace(folder / RESULT)
    except OSError as error:
        raise OutputError(
            f"{folder / RESULT} cannot be written: {error.strerror}. The energies are kept; run again."
        ) from error


def read_state(folder: Path) -> tuple[CampaignConfig, State]:
    """Settings and state of the campaign in `folder`, finished or not, also while it is running.

    Raises:
        StoreError: There is none, or it is damaged.
    """
    with Store.read(folder) as store:
        origin = store.origin()
        pool, _ = open_pool(origin)
        return origin.config, open_state(store, pool)


def read_attempts(folder: Path) -> tuple[Attempt, ...]:
    """The calculations that were started in the campaign in `folder`, with what each took; none for a table.

    Raises:
        StoreError: There is none, or it is damaged.
    """
    with Store.read(folder) as store:
        return store.attempts()


def read_standing(folder: Path) -> Standing:
    """Where the campaign in `folder` stands.

    Raises:
        StoreError: There is none, it is damaged, or there is no hull yet.
    """
    with Store.read(folder) as store:
        origin = store.origin()
        pool, oracle = open_pool(origin)
        state = open_state(store, pool)
    if not state.has_both_ends:
        raise StoreError(
            f"The campaign in {folder} has no hull yet: the energies of both pure elements are needed; run it first."
        )
    reference = None if oracle is None else oracle.energies_ev_per_atom()
    return Standing.of(state, name=origin.config.name, reference_ev_per_atom=reference)


def read_frames_with_energies(folder: Path) -> tuple[Frame, ...]:
    """The frames of the campaign's pool, each with the energy that the campaign found and no other, in eV per cell.

    Raises:
        StoreError: There is none, or it is damaged.
    """
    with Store.read(folder) as store:
        origin, answers = store.origin(), store.answers()
    frames = parse_frames(origin.pool, path=Path(origin.pool_name))
    return tuple(replace(frame, energy_ev=answers.get(frame.id)) for frame in frames.frames)
