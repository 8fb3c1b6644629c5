"""What is known before a campaign asks for anything: answers of other campaigns, and energies of pools, named in `pool.known`.

An answer is taken where its structure, as it was asked for, is the crystal of a candidate (see `pool.twins`). It is committed with
the campaign when that is made, with its source, and never asked for; the sources are not looked at again. `InvalidPoolError` where
a source cannot be used.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hullscout.campaign.founding import KnownAnswer
from hullscout.campaign.opening import DATABASE
from hullscout.campaign.setup import Setup
from hullscout.display import MILLI
from hullscout.errors import InvalidPoolError
from hullscout.pool import (
    CONFLICT_EV_PER_ATOM,
    TWIN_TOLERANCE,
    EnergyMeaning,
    find_twins,
    read_pool,
    understand,
)
from hullscout.pool.checks import symbol_of
from hullscout.pool.columns import find_setting_conflicts
from hullscout.pool.frames import one_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hullscout.pool import Candidate, Frame

NOT_OF_ENERGIES = {"kind", "on_change", "max_strain", "max_displacement"}
"""Settings of an oracle that do not decide what an energy is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beforehand:
    """Known answers by the candidate's id, in the order of the pool, and what is to be said of their sources."""

    answers: dict[str, KnownAnswer] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Frames with energies, the structures that these are of where they were relaxed, and the settings of their oracle."""

    name: str
    frames: tuple[Frame, ...]
    relaxed: dict[str, Candidate]
    oracle: dict[str, object] | None


def begin(setup: Setup, folder: Path) -> Beforehand:
    """What a campaign that is made in `folder` begins with; nothing where it is there already. What cannot start is refused."""
    is_there = (folder / DATABASE).is_file()
    found = Beforehand() if is_there else known_beforehand(setup)
    if not (is_there and setup.config.pool.known):
        setup.refuse_what_cannot_start(
            given={candidate_id: answer.source for candidate_id, answer in found.answers.items()},
            energies_ev={candidate_id: answer.energy_ev for candidate_id, answer in found.answers.items()},
        )
    return found


def known_beforehand(setup: Setup) -> Beforehand:
    """What the sources that the campaign names know of its candidates."""
    names = setup.config.pool.known
    if not names:
        return Beforehand()
    sources = [_read(Path(setup.origin.folder) / Path(name).expanduser(), name, setup) for name in names]
    notes = list(_about_settings(sources, setup))
    answers: dict[str, KnownAnswer] = {}
    for source in sources:
        found = _matched(source, setup)
        for candidate_id, answer in found.items():
            notes += _about_another(candidate_id, answers.setdefault(candidate_id, answer), answer, setup)
        n_left = len(source.frames) - len(found)
        said = f"{source.name}: {len(found)} of {len(source.frames)} energies are of candidates and known beforehand"
        notes.append(f"{said}; {n_left} are of no candidate, or of one twice." if n_left else f"{said}.")
    if not answers:
        raise InvalidPoolError(
            f"pool.known: expected energies of structures that are candidates, found none in {', '.join(names)}. A structure is "
            f"compared as it was asked for (`hullscout table --structures start` writes it so), within {TWIN_TOLERANCE} A. Leave "
            "the setting out."
        )
    places = {candidate_id: place for place, candidate_id in enumerate(setup.pool.ids)}
    return Beforehand(
        answers=dict(sorted(answers.items(), key=lambda pair: places[pair[0]])), sentences=tuple(dict.fromkeys(notes))
    )


def beforehand_sentences(known_beforehand: Mapping[str, int]) -> Iterator[str]:
    """How many energies were known beforehand, and where they are from; nothing where there were none."""
    if known_beforehand:
        sources = ", ".join(f"{n} from {source}" for source, n in known_beforehand.items())
        yield f"Known beforehand: {sources}. Saved is counted over the other candidates."


def _read(path: Path, name: str, setup: Setup) -> _Source:
    """The energies of a campaign's folder, or of a pool."""
    if (path / DATABASE).is_file():
        kept = Setup.read(path)
        ledger = kept.read_ledger(path)
        _refuse_foreign(kept.config.elements, name, setup)
        frames = {frame.id: frame for frame in kept.frames.frames}
        known = [(kept.pool.ids[index], index) for index in ledger.known.answered.tolist()]
        return _Source(
            name=name,
            frames=tuple(replace(frames[each], energy_ev=ledger.energy_ev(each)) for each, _ in known),
            relaxed={each: ledger.relaxed[index] for each, index in known if index in ledger.relaxed},
            oracle=kept.config.oracle.model_dump(),
        )
    if not path.exists():
        raise InvalidPoolError(
            f"pool.known: expected the folder of a campaign, or a pool with energies, found nothing at {path}. Paths are relative "
            "to the campaign file."
        )
    try:
        read = understand(read_pool(path), EnergyMeaning(), elements=setup.config.elements)
    except InvalidPoolError as error:
        raise InvalidPoolError(
            f"pool.known: expected the folder of a campaign, or a pool with energies, found neither in {name}: {error}"
        ) from error
    _refuse_foreign({symbol_of(z) for frame in read.frames for z in np.unique(frame.numbers).tolist()}, name, setup)
    sound = setup.config.axis.sift(read)
    if sound.faults and not setup.config.pool.leave_out_faults:
        raise one_error(Path(name), sound.faults, n_frames=sound.n_frames, n_sound=len(sound.frames))
    with_energy = tuple(frame for frame in sound.frames if frame.energy_ev is not None)
    if not with_energy:
        raise InvalidPoolError(f"pool.known: expected energies in {name}, found none in {len(read.frames)} frames.")
    return _Source(name=name, frames=with_energy, relaxed={}, oracle=None)


def _refuse_foreign(elements: Iterable[str], name: str, setup: Setup) -> None:
    ours = setup.config.elements
    if foreign := sorted(set(elements) - set(ours)):
        raise InvalidPoolError(
            f"pool.known: expected energies of {', '.join(ours)} alone, found {', '.join(foreign)} in {name}. Leave it out."
        )


def _about_settings(sources: Sequence[_Source], setup: Setup) -> Iterable[str]:
    """Sentences on what cannot be compared; an error where settings differ and that is not allowed."""
    section, ours = setup.config.pool, setup.config.oracle.model_dump()
    differing = []
    for source in sources:
        if source.oracle is None or source.oracle["kind"] != ours["kind"]:
            theirs = "a pool" if source.oracle is None else f"oracle.kind = {source.oracle['kind']!r}"
            if setup.table is None:
                yield f"{source.name}: energies of {theirs}; whether they are of the settings of this campaign is not compared."
            continue
        differing += [
            f"oracle.{key} is {source.oracle.get(key)!r} in {source.name} and {ours.get(key)!r} here"
            for key in sorted(ours.keys() | source.oracle.keys())
            if key not in NOT_OF_ENERGIES and source.oracle.get(key) != ours.get(key)
        ]
    own = setup.frames.frames if setup.table is not None else ()
    every = [
        *own,
        *(replace(frame, id=f"{source.name}: {frame.id}") for source in sources for frame in source.frames),
    ]
    differing += [str(conflict) for conflict in find_setting_conflicts(every)]
    if not differing:
        return
    if not section.allow_mixed_settings:
        raise InvalidPoolError(
            f"pool.known: expected energies of the same settings, found {'; '.join(differing)}. Leave out what differs, or allow "
            "it by pool.allow_mixed_settings = true."
        )
    yield from (f"Energies of different settings, as allowed: {each}." for each in differing)


def _matched(source: _Source, setup: Setup) -> dict[str, KnownAnswer]:
    """The answers of a source by the candidate that they are of; of several of one candidate the first."""
    given = [frame.candidate() for frame in source.frames]
    compositions = {_composition(candidate) for candidate in given}
    alike = [candidate for candidate in setup.pool.candidates if _composition(candidate) in compositions]
    found: dict[str, KnownAnswer] = {}
    for group in find_twins([*alike, *given]):
        for member in group[1:]:
            if group[0] < len(alike) <= member:
                found.setdefault(alike[group[0]].id, _answer(source, member - len(alike), alike[group[0]]))
    return found


def _composition(candidate: Candidate) -> tuple[tuple[int, ...], tuple[int, ...]]:
    numbers, counts = np.unique(candidate.numbers, return_counts=True)
    return tuple(numbers.tolist()), tuple((counts // np.gcd.reduce(counts)).tolist())


def _answer(source: _Source, place: int, candidate: Candidate) -> KnownAnswer:
    """What a source says of a candidate, per cell of the candidate."""
    frame = source.frames[place]
    assert frame.energy_ev is not None  # noqa: S101  frames without an energy are not taken
    if len(frame.numbers) != candidate.n_atoms:
        return KnownAnswer(
            energy_ev=frame.energy_ev / len(frame.numbers) * candidate.n_atoms, source=source.name, relaxed=None
        )
    relaxed = source.relaxed.get(frame.id)
    return KnownAnswer(
        energy_ev=frame.energy_ev,
        source=source.name,
        relaxed=None if relaxed is None else replace(relaxed, id=candidate.id),
    )


def _about_another(candidate_id: str, kept: KnownAnswer, given: KnownAnswer, setup: Setup) -> Iterable[str]:
    """Whether another energy is known of a candidate: by another source, or the table that is looked up."""
    index = setup.pool.index_of(candidate_id)
    n_atoms = int(setup.pool.n_atoms[index])
    others = {} if kept is given else {kept.source: kept.energy_ev / n_atoms}
    if setup.true_ev_per_atom is not None:
        others["the pool"] = float(setup.true_ev_per_atom[index])
    for name, energy in others.items():
        change = given.energy_ev / n_atoms - energy
        if abs(change) > CONFLICT_EV_PER_ATOM:
            said = (
                f"the energy of {candidate_id} in {given.source} is {abs(change) * MILLI:.1f} meV/atom "
                f"{'above' if change > 0 else 'below'} that in {name}"
            )
            if not setup.config.pool.allow_mixed_settings:
                raise InvalidPoolError(
                    f"pool.known: expected one energy of each candidate, but {said}. Leave one source out, or keep the former by "
                    "pool.allow_mixed_settings = true."
                )
            yield f"Kept as it was: {said}."
