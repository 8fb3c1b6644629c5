"""The runner: the only loop. It carries ids from the engine to the oracle and energies back, by way of the store.

Order of each step: what the engine asks for is committed before it is looked up, each energy is committed before the engine
sees it. So the process can die anywhere, and running again ends in the same result.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from hullscout.campaign.config import CampaignConfig, load_config
from hullscout.campaign.engine import Engine
from hullscout.campaign.result import CampaignResult, compare, hull_vertices
from hullscout.campaign.standing import Standing
from hullscout.campaign.state import State
from hullscout.campaign.store import Origin, Store
from hullscout.errors import InvalidPoolError, OutputError, StoreError
from hullscout.oracle import TableOracle
from hullscout.pool import Columns, MixedSettings, WithoutEnergy, build_pool, parse_frames, pool_bytes
from hullscout.selection.surrogate import Surrogate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from hullscout.pool import Pool

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


def open_pool(origin: Origin) -> tuple[Pool, TableOracle]:
    """Parse and check a campaign's pool, once, into candidates without energies and the oracle that knows them.

    Raises:
        InvalidPoolError: The pool holds something that no campaign can use.
    """
    frames = parse_frames(origin.pool, path=Path(origin.pool_name))
    section = origin.config.pool
    columns = Columns(cost=section.cost, baseline=section.baseline)
    mixed = MixedSettings.ALLOW if section.allow_mixed_settings else MixedSettings.REFUSE
    pool = build_pool(
        frames,
        origin.config.elements,
        without_energy=WithoutEnergy.LEAVE_OUT,
        columns=columns,
        mixed_settings=mixed,
    )
    return pool, TableOracle.from_frames(frames, pool)


def open_features(origin: Origin, pool: Pool) -> dict[str, NDArray[np.float64]]:
    """Compute the features (n, d) of every candidate by block name: the expensive step before a campaign."""
    from hullscout.mbtr import MBTR  # noqa: PLC0415  loads numba

    settings = origin.config.mbtr
    mbtr = MBTR.for_alloys(pool.elements, pair_cutoff=settings.pair_cutoff, triple_cutoff=settings.triple_cutoff)
    features = mbtr.transform(pool.candidates)
    return {name: features[:, columns] for name, columns in mbtr.slices.items()}


def run(
    origin: Origin,
    folder: Path,
    *,
    pool: Pool,
    oracle: TableOracle,
    on_progress: Callable[[State], None] = lambda _: None,
) -> tuple[CampaignResult, Standing]:
    """Run a campaign to its end in `folder`, or resume the one that is there.

    Args:
        origin: What the campaign is.
        folder: Where `campaign.db` is kept; made where there is none.
        pool: The candidates, from `open_pool`.
        oracle: Where energies come from.
        on_progress: Called after every answer.

    Raises:
        StoreError: The folder cannot be used.
    """
    began, config = time.perf_counter(), origin.config
    cost = config.cost.of(pool.n_atoms, column=pool.cost)
    with Store.create_or_resume(folder, origin) as store:
        surrogate = Surrogate(open_features(origin, pool), x=pool.x, settings=config.regression)
        features_s = time.perf_counter() - began
        state = State(pool, rounds=store.rounds(), energies_ev=store.answers())
        engine = Engine(
            state,
            rule=config.select,
            surrogate=surrogate,
            seed=config.seed,
            settings=config.stop,
            cost=cost,
        )
        n_saved = len(state.rounds)
        while ids := engine.ask():
            for record in state.rounds[n_saved:]:
                store.save_round(record)
            n_saved = len(state.rounds)
            for candidate_id in ids:
                energy = oracle.lookup(candidate_id)
                store.save_answer(candidate_id, energy)
                engine.tell(candidate_id, energy)
                on_progress(state)
        stop = engine.stop
        assert stop is not None  # noqa: S101  the loop ends only there
    standing = Standing.of(state, name=config.name, reference_ev_per_atom=oracle.energies_ev_per_atom())
    result = CampaignResult(
        campaign=config.name,
        elements=config.elements,
        rule=config.select.rule,
        seed=config.seed,
        n_candidates=standing.n_candidates,
        n_calculations=standing.n_known,
        saved_fraction=standing.saved_fraction,
        cost_spent=engine.spent,
        cost_saved_fraction=1.0 - engine.spent / float(cost.sum()),
        stop_reason=stop.reason,
        stop_sentence=stop.sentence,
        failure_probability=None if engine.proposal is None else engine.proposal.stated_failure_probability,
        hull=hull_vertices(standing),
        reference=compare(standing, engine.predict(), hull_tolerance=config.stop.hull_tolerance),
        timings_s={"features": features_s, "total": time.perf_counter() - began},
    )
    return result, standing


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
        return origin.config, State(pool, rounds=store.rounds(), energies_ev=store.answers())


def read_standing(folder: Path) -> Standing:
    """Where the campaign in `folder` stands.

    Raises:
        StoreError: There is none, it is damaged, or there is no hull yet.
    """
    with Store.read(folder) as store:
        origin = store.origin()
        pool, oracle = open_pool(origin)
        state = State(pool, rounds=store.rounds(), energies_ev=store.answers())
    if not state.has_both_ends:
        raise StoreError(
            f"The campaign in {folder} has no hull yet: the energies of both pure elements are needed; run it first."
        )
    return Standing.of(state, name=origin.config.name, reference_ev_per_atom=oracle.energies_ev_per_atom())
