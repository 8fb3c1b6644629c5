"""What is known before a campaign asks for anything: energies that its own pool states, answers of other campaigns and pools.

Others are named in `pool.known`; `oracle.use_known` says whether those of the own pool are taken where energies are computed. An
answer is taken where its structure, as it was asked for, is the crystal of a candidate (see `pool.twins`). It is committed with the
campaign when that is made, with its source, and never asked for; the sources are not looked at again. `InvalidPoolError` where a
source cannot be used.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hullscout.campaign.energy_settings import settings_of_answers
from hullscout.campaign.founding import KnownAnswer
from hullscout.campaign.opening import DATABASE
from hullscout.campaign.setup import Setup
from hullscout.campaign.store import Store
from hullscout.display import MILLI
from hullscout.errors import InvalidPoolError
from hullscout.oracle import ComputedSettings, HandoffSettings
from hullscout.pool import (
    CONFLICT_EV_PER_ATOM,
    TWIN_TOLERANCE,
    EnergyMeaning,
    find_doubts,
    find_twins,
    read_pool,
    understand,
)
from hullscout.pool.checks import symbol_of
from hullscout.pool.columns import find_setting_conflicts, stated_settings
from hullscout.pool.forces import MAX_FORCE, not_at_rest
from hullscout.pool.frames import one_error
from hullscout.pool.settings import setting_columns
from hullscout.pool.twins import reduced_composition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hullscout.pool import Candidate, Frame, Frames

NOT_OF_ENERGIES = {"kind", "use_known", "on_change", "max_strain", "max_displacement"}
"""Settings of an oracle that do not decide what an energy is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beforehand:
    """Known answers by the candidate's id, in the order of the pool, and what is to be said of their sources."""

    answers: dict[str, KnownAnswer] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Frames with energies, the structures that these are of where they were relaxed, and the settings of their oracle.

    `settings` are those of a campaign's energies by id; a pool's stand in its frames.
    """

    name: str
    frames: tuple[Frame, ...]
    relaxed: dict[str, Candidate]
    oracle: dict[str, object] | None
    settings: dict[str, dict[str, str | float]] = field(default_factory=dict)

    def settings_of(self, frame: Frame) -> Mapping[str, str | float]:
        """Of the energy of a frame."""
        return setting_columns(frame.columns) if self.oracle is None else self.settings.get(frame.id, {})


def begin(setup: Setup, folder: Path) -> Beforehand:
    """What a campaign that is made in `folder` begins with; nothing where it is there already. What cannot start is refused."""
    is_there = _is_there(setup, folder)
    found = Beforehand() if is_there else known_beforehand(setup)
    if not (is_there and setup.config.pool.known):
        setup.refuse_what_cannot_start(
            given={candidate_id: answer.source for candidate_id, answer in found.answers.items()},
            energies_ev={candidate_id: answer.energy_ev for candidate_id, answer in found.answers.items()},
        )
    return found


def _is_there(setup: Setup, folder: Path) -> bool:
    """Whether a campaign is in a folder and goes on, so that it is not made anew."""
    if not (folder / DATABASE).is_file():
        return False
    with Store.read(folder) as store:
        return not store.changed_to(setup.origin)[1]


def known_beforehand(setup: Setup) -> Beforehand:
    """What the sources that the campaign names know of its candidates."""
    if setup.config.prior.relax != "none":  # pool.known is refused then
        return Beforehand(sentences=_about_unrelaxed(setup))
    names, own = setup.config.pool.known, _own(setup)
    named = [_read(Path(setup.origin.folder) / Path(name).expanduser(), name, setup) for name in names]
    sources = named if own is None else [own, *named]
    notes = list(_about_settings(sources, setup))
    answers: dict[str, KnownAnswer] = {}
    if own is not None:
        answers = _of_own(own, setup)
        notes[:0] = _about_own(own, len(answers), setup)
    for source in sources:
        notes += _about_rest(source, setup)
    for source in named:
        found = _matched(source, setup)
        for candidate_id, answer in found.items():
            notes += _about_another(candidate_id, answers.setdefault(candidate_id, answer), answer, setup)
        n_left = len(source.frames) - len(found)
        said = f"{source.name}: {len(found)} of {len(source.frames)} energies are of candidates and known beforehand"
        notes.append(f"{said}; {n_left} are of no candidate, or of one twice." if n_left else f"{said}.")
    if names and not answers:
        raise InvalidPoolError(
            f"pool.known: expected energies of structures that are candidates, found none in {', '.join(names)}. A structure is "
            f"compared as it was asked for (`hullscout table --structures start` writes it so), within {TWIN_TOLERANCE} A. Leave "
            "the setting out."
        )
    places = {candidate_id: place for place, candidate_id in enumerate(setup.pool.ids)}
    return Beforehand(
        answers=dict(sorted(answers.items(), key=lambda pair: places[pair[0]])), sentences=tuple(dict.fromkeys(notes))
    )


def _about_unrelaxed(setup: Setup) -> tuple[str, ...]:
    """That energies of the pool are not taken, since they are of other cells than those that are calculated."""
    n = sum(frame.energy_ev is not None for frame in setup.frames.frames)
    if not n or not getattr(setup.config.oracle, "use_known", False):
        return ()
    why = f"since they are of the cells as given, which the prior relaxes first (prior.relax = {setup.config.prior.relax!r})"
    return (f"{Path(setup.origin.pool_name).name}: the energies that it states ({n}) are not used, {why}.",)


def beforehand_sentences(known_beforehand: Mapping[str, int]) -> Iterator[str]:
    """How many energies were known beforehand, and where they are from; nothing where there were none."""
    if known_beforehand:
        sources = ", ".join(f"{n} from {source}" for source, n in known_beforehand.items())
        yield f"Known beforehand: {sources}. Saved is counted over the other candidates."


def understood(frames: Frames, setup: Setup) -> Frames:
    """What frames state of energies, as total energies in eV per cell, where those are not computed anew; without ends by value."""
    section = setup.config.pool
    own = replace(frames, frames=tuple(frame for frame in frames.frames if not frame.is_given))
    try:
        read = understand(
            own, section.energies, elements=setup.config.elements, others=section.columns.names, has_ends=False
        )
        is_meant = read.is_meant
        doubts = [
            doubt.sentence
            for doubt in find_doubts(read.frames, setup.config.elements, is_stated=is_meant)
            if doubt.is_fault
        ]
        if doubts:
            raise one_error(frames.path, doubts, n_frames=frames.n_frames)
    except InvalidPoolError as error:
        raise InvalidPoolError(f"{error}\nOr have all energies computed anew by oracle.use_known = false.") from error
    return read


def _own(setup: Setup) -> _Source | None:
    """The energies that the pool of the campaign states, where others are computed; None where there are none to take."""
    takes = isinstance(setup.config.oracle, ComputedSettings | HandoffSettings) and setup.config.oracle.use_known
    if not takes or setup.config.pool.energy_kind == "formation":
        return None
    frames = tuple(frame for frame in understood(setup.frames, setup).frames if frame.energy_ev is not None)
    name = Path(setup.origin.pool_name).name
    return _Source(name=name, frames=frames, relaxed={}, oracle=None) if frames else None


def _about_own(own: _Source, n_known: int, setup: Setup) -> Iterator[str]:
    """How many energies of the pool are taken, of which settings, and what looks wrong of them."""
    settings = stated_settings(own.frames) or "which settings they are of is not stated"
    yield (
        f"{own.name}: {n_known} of {setup.pool.n_calculable} candidates have energies, which are answers and not computed again "
        f"({settings}); oracle.use_known = false computes them anew."
    )
    for doubt in find_doubts(own.frames, setup.config.elements):
        yield f"Suspect: {doubt.sentence}."


def _about_rest(source: _Source, setup: Setup) -> Iterator[str]:
    """What is to be done where energies of a pool are of structures that were not relaxed, and the campaign relaxes its own."""
    relax = getattr(setup.config.oracle, "relax", "none")
    moving = not_at_rest(source.frames) if source.oracle is None and relax not in {"none", "volume-only"} else {}
    if moving:
        name = max(moving, key=lambda one: moving[one])
        is_own = source.name not in setup.config.pool.known
        remedy = "Have all computed anew by oracle.use_known = false" if is_own else "Leave it out of pool.known"
        yield (
            f"{source.name}: {len(moving)} of {len(source.frames)} energies are of structures with forces above {MAX_FORCE} eV/A, "
            f"the largest {moving[name]:.2f} eV/A of {name}: they were not relaxed, while oracle.relax = {relax!r} relaxes the "
            f'others, which then lie too low beside them. {remedy}, or relax none by oracle.relax = "none".'
        )


def _of_own(own: _Source, setup: Setup) -> dict[str, KnownAnswer]:
    """The energies of the pool by candidate: of several frames of one crystal the lowest, as a table takes it."""
    stated, twins = {frame.id: frame for frame in own.frames}, setup.pool.twins
    found = {}
    for candidate in setup.pool.candidates:
        frames = [stated[each] for each in (candidate.id, *twins.get(candidate.id, ())) if each in stated]
        if frames:
            found[candidate.id] = min(
                (_answer(own, frame, candidate) for frame in frames), key=lambda one: one.energy_ev
            )
    return found


def _read(path: Path, name: str, setup: Setup) -> _Source:
    """The energies of a campaign's folder, or of a pool."""
    if (path / DATABASE).is_file():
        kept = Setup.read(path)
        ledger = kept.read_ledger(path)
        with Store.read(path) as store:
            about = store.about()
        _refuse_foreign(kept.config.elements, name, setup)
        frames = {frame.id: frame for frame in kept.asked_frames}
        known = [(kept.pool.ids[index], index) for index in ledger.known.answered.tolist()]
        return _Source(
            name=name,
            frames=tuple(replace(frames[each], energy_ev=ledger.energy_ev(each)) for each, _ in known),
            relaxed={each: ledger.relaxed[index] for each, index in known if index in ledger.relaxed},
            oracle=kept.config.oracle.model_dump(),
            settings=settings_of_answers(kept, ledger.known, about),
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
    compositions = {reduced_composition(each.numbers) for each in given}
    alike = [candidate for candidate in setup.pool.candidates if reduced_composition(candidate.numbers) in compositions]
    found: dict[str, KnownAnswer] = {}
    for group in find_twins([*alike, *given]):
        for member in group[1:]:
            if group[0] < len(alike) <= member:
                found.setdefault(
                    alike[group[0]].id, _answer(source, source.frames[member - len(alike)], alike[group[0]])
                )
    return found


def _answer(source: _Source, frame: Frame, candidate: Candidate) -> KnownAnswer:
    """What a frame of a source says of a candidate, per cell of the candidate."""
    assert frame.energy_ev is not None  # noqa: S101  frames without an energy are not taken
    if len(frame.numbers) != candidate.n_atoms:
        energy_ev = frame.energy_ev / len(frame.numbers) * candidate.n_atoms
        return KnownAnswer(energy_ev=energy_ev, source=source.name, settings=source.settings_of(frame))
    relaxed = source.relaxed.get(frame.id)
    return KnownAnswer(
        energy_ev=frame.energy_ev,
        source=source.name,
        relaxed=None if relaxed is None else replace(relaxed, id=candidate.id),
        settings=source.settings_of(frame),
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
