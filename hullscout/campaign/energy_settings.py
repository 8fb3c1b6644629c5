"""Of which settings the energies of a campaign are: functional, cutoff, potentials, as far as they are stated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hullscout.oracle import CalculatorSettings, FunctionSettings
from hullscout.pool.settings import setting_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hullscout.campaign.founding import About
    from hullscout.campaign.setup import Setup
    from hullscout.pool import Frame, Pool
    from hullscout.selection import Known

__all__ = ["settings_of_answers", "settings_of_frames"]


def settings_of_frames(frames: Iterable[Frame], pool: Pool) -> dict[str, dict[str, Any]]:
    """What a source states of the settings of its energies, by candidate; of several frames of one crystal the lowest's."""
    with_energy = {frame.id: frame for frame in frames if frame.energy_ev is not None}
    twins, stated = pool.twins, {}
    for name in pool.ids:
        alike = [with_energy[each] for each in (name, *twins.get(name, ())) if each in with_energy]
        if alike and (columns := setting_columns(min(alike, key=_energy_ev_per_atom).columns)):
            stated[name] = columns
    return stated


def settings_of_answers(setup: Setup, known: Known, about: Mapping[str, About]) -> dict[str, dict[str, Any]]:
    """By candidate: of energies of the pool what the pool states; of computed ones the calculator or function and its arguments.

    Of results that were told, and of energies of another source, it is what the store keeps `about` them, as their files state it.
    """
    oracle, of_pool = setup.config.oracle, settings_of_frames(setup.frames.frames, setup.pool)
    if setup.table is not None:
        return of_pool
    computed: dict[str, Any] = {}
    if isinstance(oracle, CalculatorSettings):
        computed = {"calculator": oracle.calculator, "relax": oracle.relax, **oracle.arguments}
    elif isinstance(oracle, FunctionSettings):
        computed = {"function": oracle.function, **oracle.arguments}
    given = {setup.pool.ids[index] for index in known.given.tolist()}
    ids = [setup.pool.ids[index] for index in known.answered.tolist()]
    settings = {name: of_pool.get(name, {}) if name in given else computed for name in ids}
    settings |= {name: dict(about[name].settings) for name in ids if name in about and about[name].settings}
    return {name: stated for name, stated in settings.items() if stated}


def _energy_ev_per_atom(frame: Frame) -> float:
    return (frame.energy_ev or 0.0) / len(frame.numbers)
