"""Structures added to a campaign that is under way or at its end: committed at once, or not at all.

Candidates that the campaign has keep their places, so that every earlier round reads as it did. Told twice, nothing is added.
`StoreError` where the folder holds no campaign or another process has it, `InvalidPoolError` where structures cannot be used.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hullscout.campaign.additions import Added, Addition
from hullscout.campaign.origin import IN_MEMORY, columns_of
from hullscout.campaign.setup import Setup
from hullscout.campaign.store import Store
from hullscout.display import MILLI
from hullscout.errors import InvalidPoolError
from hullscout.pool import (
    CONFLICT_EV_PER_ATOM,
    EnergyMeaning,
    Faulty,
    Frames,
    Pool,
    find_contradicted,
    format_frames,
    growth_of,
    keep_pool,
    offered,
    parse_frames,
    restated,
    understand,
    with_given_ends,
    with_own_ids,
)
from hullscout.pool.candidate import stated_id

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import ase
    from pymatgen.core.structure import Structure

    from hullscout.pool import Candidate, Growth


OF_A_RUN = "End it (nothing is lost), add the structures, and run it again."


def add_file(
    folder: Path, path: Path, pool_format: str | None = None, *, column: str | None = None, unit: str | None = None
) -> Added:
    """Add the structures of a pool of any format to the campaign in `folder`.

    Args:
        column: What holds the energies of the pool, if it is another than that of the campaign's.
        unit: Of these energies; as for a pool.
    """
    with Store.read(folder) as store:  # first of all: where there is no campaign, the pool is not what is wrong
        config = store.origin().config
    if not path.exists():
        raise InvalidPoolError(f"There is no {path}. Give a file or folder of structures to add.")
    kept = keep_pool(path, pool_format)
    frames = parse_frames(kept.content, path=path)
    said = replace(
        frames,
        faults=(*kept.faults, *frames.faults),
        n_faulty=len(kept.faults) + frames.n_faulty,
        notes=(*kept.notes, *frames.notes),
    )
    if column is not None or unit is not None:
        if config.oracle.kind != "table":
            raise InvalidPoolError(
                f"Expected no energies of what is added, since this campaign has them computed (oracle.kind = "
                f"{config.oracle.kind!r}). Leave out --energy and --energy-unit."
            )
        meant = EnergyMeaning(column=column, unit=unit, kind=config.pool.energy_kind)
        said = restated(understand(said, meant, elements=config.elements, has_ends=False), config.pool.energies)
    return _add(folder, said, name=str(path))


def add(folder: Path, structures: Pool | Iterable[ase.Atoms | Structure | Candidate]) -> Added:
    """Add structures in memory to the campaign in `folder`; those without an id are given one."""
    with Store.read(folder) as store:
        number = store.n_additions + 1
    if isinstance(structures, Pool):
        frames = Frames.of(structures)
        columns = columns_of(structures)
        frames = replace(
            frames,
            frames=tuple(
                replace(frame, columns={key: float(values[place]) for key, values in columns.items()})
                for place, frame in enumerate(frames.frames)
            ),
        )
    else:
        listed = tuple(structures)
        ids = [stated_id(one) or f"added{number}-{place:06d}" for place, one in enumerate(listed, start=1)]
        frames = Frames.of(listed, ids=ids)
    return _add(folder, frames, name=IN_MEMORY)


def _add(folder: Path, frames: Frames, *, name: str) -> Added:
    with Store.read(folder) as store:
        origin = store.origin()
    with Store.create_or_resume(folder, origin, remedy=OF_A_RUN) as store:
        setup = Setup(store.origin())
        frames = with_own_ids(frames, f"added{store.n_additions + 1}")
        # As they will be read from the store, to the last bit.
        given = setup.frames_in(
            format_frames(frames.frames), path=frames.path, faults=frames.faults, notes=frames.notes, is_added=True
        )
        # An end that is given by value is none beside a structure of it: refused here as in a pool.
        with_given_ends(given, setup.config.pool.energies, setup.config.elements, is_computed=setup.table is None)
        growth = growth_of(
            setup.pool,
            setup.frames,
            given,
            axis=setup.config.axis,
            needs_energy=setup.table is not None,
            faulty=Faulty.LEAVE_OUT if setup.config.pool.leave_out_faults else Faulty.REFUSE,
            build=setup.build_pool_of,
        )
        n_rounds = store.n_rounds
        suspects = (*growth.suspects, *_contradicted(setup, given, growth))
        if growth.ids:
            by_id = {frame.id: frame for frame in frames.frames}
            new = format_frames([by_id[candidate_id] for candidate_id in growth.ids])
            store.save_addition(Addition(n_rounds=n_rounds, name=name, pool=new))
    return Added(
        ids=growth.ids,
        n_rounds=n_rounds,
        n_candidates=setup.pool.n_calculable + len(growth.ids),
        twins=growth.twins,
        left_out=growth.left_out,
        faults=growth.faults,
        offer=offered(given.frames) if growth.left_out else "",
        suspects=suspects,
        n_unused=0
        if setup.table is not None
        else sum(f.energy_ev is not None for f in given.frames if f.id in growth.ids),
        conflicts=tuple(_conflicts(setup, given, growth)),
    )


def _contradicted(setup: Setup, given: Frames, growth: Growth) -> Iterable[str]:
    """What the model of `check` says of new energies that all others contradict."""
    if setup.table is None or not growth.ids:
        return ()
    new = [frame for frame in given.frames if frame.id in growth.ids]
    known = [frame for frame in setup.frames.frames if frame.id not in growth.ids]
    found = find_contradicted(replace(setup.frames, frames=(*known, *new)), setup.config.axis)
    return [found[name] for name in growth.ids if name in found]


def _conflicts(setup: Setup, given: Frames, growth: Growth) -> Iterable[str]:
    """Twins that state another energy than the table has."""
    if setup.table is None:
        return
    stated = {frame.id: frame.energy_ev / len(frame.numbers) for frame in given.frames if frame.energy_ev is not None}
    known = stated | dict(zip(setup.pool.ids, setup.table.energies_ev_per_atom().tolist(), strict=True))
    for twin, first in growth.twins.items():
        change = stated[twin] - known[first]
        if abs(change) > CONFLICT_EV_PER_ATOM:
            yield (
                f"{twin} = {first} are one crystal, but the energy of {twin} is {abs(MILLI * change):.1f} meV/atom "
                f"{'lower' if change < 0 else 'higher'}; that of {first} is kept."
            )
