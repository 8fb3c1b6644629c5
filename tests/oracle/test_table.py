"""The table oracle: the one place where a pool's energies are read."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hullscout.errors import OracleError
from hullscout.oracle import TableOracle
from hullscout.pool import Frames, Pool, WithoutEnergy, build_pool, parse_frames

CUBE = "4 0 0 0 4 0 0 0 4"
ROD = "4 0 0 0 4 0 0 0 8"


def frame(atoms: str, *, id: str, energy: float, lattice: str = CUBE) -> str:  # noqa: A002  (the key's name in the file)
    rows = [row.strip() for row in atoms.split(";")]
    head = f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 id={id} energy={energy!r}'
    return "\n".join([str(len(rows)), head, *rows]) + "\n"


def read(*texts: str) -> tuple[Frames, Pool]:
    frames = parse_frames("".join(texts).encode(), path=Path("pool.extxyz"))
    return frames, build_pool(frames, ("Ag", "Pd"), without_energy=WithoutEnergy.LEAVE_OUT)


ENDS = (frame("Ag 0 0 0", id="ag", energy=-2.7), frame("Pd 0 0 0", id="pd", energy=-5.2))


def twins(single: float, double: float) -> tuple[str, str]:
    """A two-atom cell and its supercell, with their energies per cell."""
    return (
        frame("Ag 0 0 0; Pd 2 2 2", id="b2-1", energy=single),
        frame("Ag 0 0 0; Pd 2 2 2; Ag 0 0 4; Pd 2 2 6", id="b2-2", energy=double, lattice=ROD),
    )


def test_lookup_gives_the_energy_of_the_cell_as_written() -> None:
    oracle = TableOracle.from_frames(*read(*ENDS))
    assert oracle.lookup("ag") == -2.7
    assert oracle.lookup("pd") == -5.2


def test_energies_per_atom_come_in_pool_order() -> None:
    frames, pool = read(*twins(-8.0, -16.0), *ENDS)
    oracle = TableOracle.from_frames(frames, pool)
    assert pool.ids == ("ag", "b2-1", "pd")
    assert oracle.ids == pool.ids
    np.testing.assert_allclose(oracle.energies_ev_per_atom(), [-2.7, -4.0, -5.2], rtol=1e-15)


def test_twins_are_compared_per_atom_and_the_lowest_answers_for_the_candidates_cell() -> None:
    oracle = TableOracle.from_frames(*read(*twins(-8.0, -16.4), *ENDS))
    assert oracle.lookup("b2-1") == pytest.approx(-8.2, abs=1e-12)


def test_a_supercell_with_twice_the_energy_is_no_conflict() -> None:
    oracle = TableOracle.from_frames(*read(*twins(-8.0, -16.0), *ENDS))
    assert oracle.lookup("b2-1") == -8.0
    assert oracle.conflicts == ()


def test_twins_that_disagree_by_more_than_a_mev_are_reported_by_id() -> None:
    oracle = TableOracle.from_frames(*read(*twins(-8.0, -16.4), *ENDS))
    (conflict,) = oracle.conflicts
    assert conflict.ids == ("b2-1", "b2-2")
    assert conflict.spread_ev_per_atom == pytest.approx(0.1)
    assert str(conflict) == (
        "Caution: b2-1 = b2-2 are one crystal, but their energies differ by 100.0 meV/atom; the lowest is used."
    )


def test_twins_that_disagree_by_less_than_a_mev_are_no_conflict() -> None:
    assert TableOracle.from_frames(*read(*twins(-8.0, -16.003), *ENDS)).conflicts == ()


@pytest.mark.parametrize("unknown", ["b2-2", "nothing", ""])
def test_an_unknown_id_is_refused(unknown: str) -> None:
    oracle = TableOracle.from_frames(*read(*twins(-8.0, -16.0), *ENDS))
    with pytest.raises(OracleError, match=re.escape(f"one of 3 candidates, found candidate_id={unknown!r}")):
        oracle.lookup(unknown)


def test_a_pool_of_other_frames_is_refused() -> None:
    frames, pool = read(*ENDS)
    with pytest.raises(OracleError, match="Expected an energy for 'pd', found no such frame"):
        TableOracle.from_frames(replace(frames, frames=frames.frames[:1]), pool)


def test_a_candidate_without_an_energy_is_refused() -> None:
    frames, _ = read(*ENDS)
    dark = replace(frames, frames=tuple(replace(frame, energy_ev=None) for frame in frames.frames))
    pool = build_pool(dark, ("Ag", "Pd"), without_energy=WithoutEnergy.KEEP)
    with pytest.raises(
        OracleError, match=re.escape("Expected an energy for 'ag', found frame 1 (id 'ag') without one")
    ):
        TableOracle.from_frames(dark, pool)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"energies_ev": (1.0,)}, "found 2 different ids of 2, 1 energies and 2 numbers of atoms"),
        ({"ids": ("a", "a")}, "found 1 different ids of 2"),
        ({"energies_ev": (1.0, float("nan"))}, "Expected finite energies in eV per cell"),
        ({"n_atoms": (1, 0)}, "cells with atoms"),
    ],
)
def test_a_table_that_does_not_fit_together_is_refused(change: dict[str, tuple[object, ...]], reason: str) -> None:
    table = TableOracle(ids=("a", "b"), energies_ev=(1.0, 2.0), n_atoms=(1, 1), conflicts=())
    with pytest.raises(OracleError, match=re.escape(reason)):
        replace(table, **change)


def test_energies_do_not_show_when_an_oracle_is_printed() -> None:
    assert "-2.7" not in repr(TableOracle.from_frames(*read(*ENDS)))


@pytest.mark.parametrize(
    ("campaign", "elements", "vertices"),
    [
        ("agpd", ("Ag", "Pd"), [0, 1 / 8, 1 / 4, 1 / 3, 3 / 8, 1 / 2, 1]),
        ("agpt-unep", ("Ag", "Pt"), [0, 1 / 2, 1]),
    ],
)
def test_the_hull_of_an_embedded_campaign_is_the_one_its_readme_gives(
    campaign: str, elements: tuple[str, str], vertices: list[float]
) -> None:
    from scipy.spatial import ConvexHull

    path = Path(__file__).parents[2] / "campaigns" / campaign / f"{campaign}.extxyz.gz"
    frames = parse_frames(path.read_bytes(), path=path)
    pool = build_pool(frames, elements, without_energy=WithoutEnergy.LEAVE_OUT)
    oracle = TableOracle.from_frames(frames, pool)
    energies = oracle.energies_ev_per_atom()
    ends = [energies[pool.x == x].min() for x in (0.0, 1.0)]
    mixing = energies - (1 - pool.x) * ends[0] - pool.x * ends[1]
    corners = ConvexHull(np.column_stack([pool.x, mixing])).vertices
    assert sorted(pool.x[i] for i in corners if mixing[i] < 1e-9) == pytest.approx(vertices)
    assert oracle.conflicts == ()
