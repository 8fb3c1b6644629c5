"""The energies of a potential as prior of a campaign: computed once, before anything is asked for, and kept in its database.

Each is committed as it comes, so that a process that is killed goes on where it stopped. Nothing is decided before all are there: a
campaign that is resumed knows what it knew. Where candidates are relaxed first, which of them became one crystal is decided once,
too, and kept: no later version may see it otherwise.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from hullscout.campaign.prior import ROW, SOURCE_ROW, TWINS_ROW
from hullscout.errors import InvalidCampaignError, StoreError
from hullscout.oracle import SOURCE, Calculated, PriorOrder, candidate_to_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hullscout.campaign.setup import Setup
    from hullscout.campaign.store import Store
    from hullscout.oracle import Failed
    from hullscout.pool import Candidate


def complete_prior(
    setup: Setup,
    store: Store,
    *,
    folder: Path,
    on_note: Callable[[str], None] = lambda _: None,
    on_computed: Callable[[int, int], None] = lambda *_: None,
) -> Setup:
    """The campaign with what its potential says, energies and relaxed structures; what its database lacks is computed and kept.

    `on_computed` is called with how many of the candidates are done, and of how many, while any is to be computed.
    `OracleError` where the potential cannot be used, `InvalidCampaignError` where it says nothing of an end.
    """
    section = setup.config.prior
    if section.calculator is None:
        return setup
    order = PriorOrder(
        calculator=section.calculator, arguments=section.arguments, relax=section.relax, on_change="keep"
    )
    kept = setup.origin.prior
    missing = [
        each for each in setup.pool if kept is None or not {each.id} & (kept.energies_ev.keys() | kept.failures.keys())
    ]
    if missing:
        if kept is not None and kept.source != order.source:
            raise StoreError(
                f"prior.calculator: the energies that the campaign keeps are by {kept.source}, and here is {order.source}. "
                "Install that version to go on, or choose another --out."
            )
        order.refuse_unknown_elements(setup.config.elements)
        store.save_values({SOURCE_ROW: order.source.encode()})
        executor = setup.config.executor.model_copy(update={"keep_files": None})  # that is for those of the oracle
        what = (
            f"Computing {len(missing)} energies" if section.relax == "none" else f"Relaxing {len(missing)} structures"
        )
        on_note(f"{what} by {order.source}, once.")
        starts = {each.id: each for each in missing}
        n, n_kept = len(setup.pool), len(setup.pool) - len(missing)
        on_computed(n_kept, n)
        found = order.energies(missing, executor, folder=folder, beside=setup.origin.folder or None)
        for n_done, (candidate_id, outcome) in enumerate(found, n_kept + 1):
            row = _row(starts[candidate_id], outcome)
            store.save_values({f"{ROW}{candidate_id}": json.dumps(row).encode()})
            if "failed" in row:
                on_note(f"{candidate_id} has no energy by {section.calculator} and is learned without: {row['failed']}")
            on_computed(n_done, n)
        setup = setup.with_origin(replace(setup.origin, prior=store.origin().prior))
    _refuse_without_ends(setup)
    prior = setup.origin.prior
    if prior is not None and prior.relaxed and not prior.stands_for.keys() >= set(setup.pool.ids):
        store.save_values({TWINS_ROW: json.dumps(prior.compared(setup.pool)).encode()})
        setup = setup.with_origin(replace(setup.origin, prior=store.origin().prior))
        for sentence in setup.prerelaxed:
            on_note(sentence)
    return setup


def _row(start: Candidate, outcome: Calculated | Failed) -> dict[str, object]:
    """What is kept of a candidate: a relaxed one has the magnetic moments that it had, for its calculation to start from."""
    if not isinstance(outcome, Calculated):
        return {"failed": outcome.sentence}
    changed = {"changed": outcome.note} if outcome.note else {}
    end = outcome.relaxed
    relaxed = {} if end is None else {"relaxed": candidate_to_tree(replace(end, magmoms=start.magmoms))}
    return {"energy_ev": outcome.energy_ev, **relaxed, **changed}


def refuse_without_prior(setup: Setup, folder: Path) -> None:
    """`StoreError` where the energies of its potential are not all there: nothing may be decided then."""
    prior = setup.origin.prior
    if setup.config.prior.calculator is not None and (prior is None or prior.column(setup.pool) is None):
        raise StoreError(
            f"The campaign in {folder} has not computed the energies of its prior ({setup.config.prior.calculator}) for all "
            "candidates. Run its campaign file first: `hullscout run CAMPAIGN --out FOLDER`."
        )


def _refuse_without_ends(setup: Setup) -> None:
    prior = setup.origin.prior
    if prior is not None and (missing := prior.missing_ends(setup.pool)):
        first, why = next(iter({**prior.failures, **prior.changed}.items()))
        raise InvalidCampaignError(
            f"prior.calculator: {setup.config.prior.calculator!r} gives no energy of {' and '.join(missing)}, on which formation "
            f"energies rest. The first failure, of {first}: {why} Take another potential, or none, and another --out."
        )


def baseline_sources(setup: Setup) -> dict[str, str]:
    """Which potential the energies of cheaper methods are of that the model is given, by column, as far as that is said."""
    said = {}
    for column in setup.config.pool.columns.baselines:
        stated = (frame.columns.get(column + SOURCE) for frame in setup.frames.frames)
        said[column] = "; ".join(sorted({str(source) for source in stated if source is not None}))
    prior = setup.origin.prior
    return said if prior is None else {**said, "prior": prior.source}


def baseline_sentences(baselines: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence on the cheaper methods that the model started from, where there are any."""
    shown = ", ".join(f"{name} ({by})" if by else name for name, by in baselines.items())
    return (f"The model was given energies of cheaper methods: {shown}.",) if shown else ()
