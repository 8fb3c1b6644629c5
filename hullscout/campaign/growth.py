"""Structures added to a campaign that is under way or at its end: committed at once, or not at all.

Candidates that the campaign has keep their places, so that every earlier round reads as it did. Told twice, nothing is added.
`StoreError` where the folder holds no campaign or another process has it, `InvalidPoolError` where structures cannot be used.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from hullscout.campaign.additions import Added, Addition
from hullscout.campaign.beforehand import understood
from hullscout.campaign.founding import KnownAnswer
from hullscout.campaign.origin import IN_MEMORY, frames_of, frames_with_columns
from hullscout.campaign.setup import Setup
from hullscout.campaign.store import Store
from hullscout.display import MILLI
from hullscout.errors import InvalidPoolError
from hullscout.pool import (
    CONFLICT_EV_PER_ATOM,
    EnergyMeaning,
    Faulty,
    Frame,
    Frames,
    Pool,
    find_contradicted,
    format_frames,
    growth_of,
    keep_pool,
    kept_frames,
    offered,
    restated,
    understand,
    with_given_ends,
    with_own_ids,
)
from hullscout.pool.candidate import stated_id
from hullscout.pool.columns import find_setting_conflicts, refuse_mixed_settings
from hullscout.pool.frames import plain_columns
from hullscout.pool.settings import setting_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import ase
    from pymatgen.core.structure import Structure

    from hullscout.campaign.ledger import Ledger
    from hullscout.oracle import Calculated
    from hullscout.pool import Candidate, Growth

IN_RESULTS = Path("results")
"""Stands for the path of structures that came as results."""
OF_A_RUN = "End it (nothing is lost), add the structures, and run it again."


def add_file(
    folder: Path,
    path: Path,
    pool_format: str | None = None,
    *,
    column: str | None = None,
    unit: str | None = None,
    leaves_out_faults: bool = False,
) -> Added:
    """Add the structures of a pool of any format to the campaign in `folder`.

    Args:
        column: What holds the energies of the pool, if it is another than that of the campaign's.
        unit: Of these energies; as for a pool.
        leaves_out_faults: Whether what cannot be used is left out, whatever the campaign's settings say of its own pool.
    """
    with Store.read(folder) as store:  # first of all: where there is no campaign, the pool is not what is wrong
        config = store.origin().config
    if not path.exists():
        raise InvalidPoolError(f"There is no {path}. Give a file or folder of structures to add.")
    kept = keep_pool(path, pool_format)
    frames = kept_frames(kept.content, path=path)
    said = replace(
        frames,
        faults=(*kept.faults, *frames.faults),
        n_faulty=len(kept.faults) + frames.n_faulty,
        notes=(*kept.notes, *frames.notes),
    )
    if column is not None or unit is not None:
        if not getattr(config.oracle, "use_known", True):
            raise InvalidPoolError(
                f"Expected no energies of what is added, since this campaign has all computed (oracle.use_known = false, kind = "
                f"{config.oracle.kind!r}). Leave out --energy and --energy-unit."
            )
        meant = EnergyMeaning(column=column, unit=unit, kind=config.pool.energy_kind)
        said = restated(understand(said, meant, elements=config.elements, has_ends=False), config.pool.energies)
    return _add(folder, said, name=str(path), leaves_out_faults=leaves_out_faults)


def add(folder: Path, structures: Pool | Iterable[ase.Atoms | Structure | Candidate]) -> Added:
    """Add structures in memory to the campaign in `folder`; those without an id are given one."""
    with Store.read(folder) as store:
        number = store.n_additions + 1
    if isinstance(structures, Pool):
        frames = Frames.of(structures)
        frames = replace(frames, frames=frames_with_columns(structures, frames_of(structures)))
    else:
        listed = tuple(structures)
        ids = [stated_id(one) or f"added{number}-{place:06d}" for place, one in enumerate(listed, start=1)]
        frames = Frames.of(listed, ids=ids)
    return _add(folder, frames, name=IN_MEMORY)


def result_frame(candidate: Candidate, answer: Calculated, columns: Mapping[str, object], *, number: int) -> Frame:
    """What a calculation that nobody asked for says, as a frame to be added."""
    return Frame(
        number=number,
        id=candidate.id,
        numbers=candidate.numbers,
        positions=candidate.positions,
        cell=candidate.cell,
        pbc=(True, True, True),
        energy_ev=answer.energy_ev,
        columns=plain_columns(columns),
        magmoms=candidate.magmoms,
    )


def add_results(folder: Path, frames: Sequence[Frame], answers: Mapping[str, Calculated]) -> Added:
    """Add structures with their energies, and what is known of these by id; of one id each further one gets a number."""
    with Store.read(folder) as store:
        taken, named = set(Setup(store.origin()).pool.ids), []
    for frame in frames:
        names = chain([frame.id], (f"{frame.id}-{number}" for number in count(2)))
        named.append(replace(frame, id=next(name for name in names if name not in taken)))
        taken.add(named[-1].id)
    renamed = {new.id: answers[old.id] for old, new in zip(frames, named, strict=True)}
    keys = sorted({key for frame in named for key in frame.columns})
    return _add(
        folder,
        Frames(path=IN_RESULTS, frames=tuple(named), keys=tuple(keys)),
        name=str(IN_RESULTS),
        answers=renamed,
        leaves_out_faults=True,
    )


def _add(
    folder: Path,
    frames: Frames,
    *,
    name: str,
    answers: Mapping[str, Calculated] | None = None,
    leaves_out_faults: bool = False,
) -> Added:
    with Store.read(folder) as store:
        origin = store.origin()
    with Store.create_or_resume(folder, origin, remedy=OF_A_RUN) as store:
        setup = Setup(store.origin())
        frames = with_own_ids(frames, f"added{store.n_additions + 1}")
        # As they will be read from the store, to the last bit.
        given = setup.frames_in(
            format_frames(frames.frames), path=frames.path, faults=frames.faults, notes=frames.notes, is_added=True
        )
        given = setup.config.axis.sift(given) if leaves_out_faults else given
        # An end that is given by value is none beside a structure of it: refused here as in a pool.
        with_given_ends(given, setup.config.pool.energies, setup.config.elements, is_computed=setup.table is None)
        growth = growth_of(
            setup.pool,
            setup.frames,
            given,
            axis=setup.config.axis,
            needs_energy=setup.table is not None,
            faulty=Faulty.LEAVE_OUT if leaves_out_faults or setup.config.pool.leave_out_faults else Faulty.REFUSE,
            build=setup.build_pool_of,
        )
        n_rounds, ledger = store.n_rounds, setup.open_ledger(store, is_kept=False)
        takes = setup.table is None and getattr(setup.config.oracle, "use_known", False)
        takes = takes and setup.config.prior.relax == "none"  # else they are of other cells
        stated = understood(given, setup) if takes else given
        known = _known(setup, ledger, stated, growth, source=name, answers=answers or {}) if takes else {}
        suspects = (*growth.suspects, *_contradicted(setup, given, growth))
        if growth.ids:
            by_id = {frame.id: frame for frame in frames.frames}
            new = format_frames([by_id[candidate_id] for candidate_id in growth.ids])
            store.save_addition(Addition(n_rounds=n_rounds, name=name, pool=new), known)
        elif known:
            store.save_known(known, n_rounds=n_rounds)
    return Added(
        ids=growth.ids,
        n_rounds=n_rounds,
        n_candidates=setup.pool.n_calculable + len(growth.ids),
        twins=growth.twins,
        left_out=growth.left_out,
        faults=growth.faults,
        offer=offered(given.frames) if growth.left_out else "",
        suspects=suspects,
        n_known=len(known),
        n_unused=0
        if takes or setup.table is not None
        else sum(f.energy_ev is not None for f in given.frames if f.id in growth.ids),
        n_asked=sum(
            ledger.is_asked(growth.twins[f.id]) and ledger.energy_ev(growth.twins[f.id]) is None
            for f in stated.frames
            if takes and f.energy_ev is not None and growth.twins.get(f.id, "") in setup.pool
        ),
        conflicts=tuple(_conflicts(setup, ledger, stated, growth)),
    )


def _known(
    setup: Setup, ledger: Ledger, given: Frames, growth: Growth, *, source: str, answers: Mapping[str, Calculated]
) -> dict[str, KnownAnswer]:
    """The energies that added frames state of new candidates, and of those that the campaign has and never asked for."""
    sizes = {frame.id: len(frame.numbers) for frame in given.frames} | dict(
        zip(setup.pool.ids, setup.pool.n_atoms.tolist(), strict=True)
    )
    frames = [frame for frame in given.frames if frame.energy_ev is not None]
    own = [frame for frame in setup.frames.frames if frame.id in ledger.given and frame.energy_ev is not None]
    conflicts = find_setting_conflicts([*own, *frames])
    if conflicts and not setup.config.pool.allow_mixed_settings:
        refuse_mixed_settings(given.path, conflicts)
    found: dict[str, KnownAnswer] = {}
    for frame in frames:
        name = growth.twins.get(frame.id, frame.id)
        is_old = name in setup.pool
        if name not in sizes or (is_old and (ledger.is_asked(name) or ledger.energy_ev(name) is not None)):
            continue
        if is_old or name in growth.ids:
            energy = (frame.energy_ev or 0.0) / len(frame.numbers) * sizes[name]
            is_own = frame.id == name
            told = answers.get(name) if is_own else None
            answer = KnownAnswer(
                energy_ev=frame.energy_ev or 0.0 if is_own else energy,
                source=source,
                relaxed=None if told is None or told.relaxed is None else replace(told.relaxed, id=name),
                wall_s=None if told is None else told.wall_s,
                settings=setting_columns(frame.columns),
            )
            found.setdefault(name, answer)
    return found


def _contradicted(setup: Setup, given: Frames, growth: Growth) -> Iterable[str]:
    """What the model of `check` says of new energies that all others contradict."""
    if setup.table is None or not growth.ids:
        return ()
    new = [frame for frame in given.frames if frame.id in growth.ids]
    known = [frame for frame in setup.frames.frames if frame.id not in growth.ids]
    found = find_contradicted(replace(setup.frames, frames=(*known, *new)), setup.config.axis)
    return [found[name] for name in growth.ids if name in found]


def _conflicts(setup: Setup, ledger: Ledger, given: Frames, growth: Growth) -> Iterable[str]:
    """Twins that state another energy than the table has, or than is known."""
    stated = {frame.id: frame.energy_ev / len(frame.numbers) for frame in given.frames if frame.energy_ev is not None}
    if setup.table is None:
        now = ledger.known
        ids = [setup.pool.ids[index] for index in now.answered.tolist()]
        known = stated | dict(zip(ids, now.energies_ev_per_atom.tolist(), strict=True))
    else:
        known = stated | dict(zip(setup.pool.ids, setup.table.energies_ev_per_atom().tolist(), strict=True))
    for twin, first in growth.twins.items():
        if twin not in stated or first not in known:
            continue
        change = stated[twin] - known[first]
        if abs(change) > CONFLICT_EV_PER_ATOM:
            yield (
                f"{twin} = {first} are one crystal, but the energy of {twin} is {abs(MILLI * change):.1f} meV/atom "
                f"{'lower' if change < 0 else 'higher'}; that of {first} is kept."
            )
