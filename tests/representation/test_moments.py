"""Magnetic orderings of one crystal are told apart by features of their own, and only where that is needed."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from ase.build import make_supercell
from ase.neighborlist import neighbor_list
from conftest import ROOT
from frames import frames_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hullscout import Campaign
from hullscout.pool import Candidate, parse_frames
from hullscout.representation import MbtrRepresentation, checked_blocks
from hullscout.representation.moments import BLOCK, moment_features

COUPLINGS_EV = {(46, 46): 0.012, (46, 47): -0.004, (47, 46): -0.004, (47, 47): 0.002}


def crystal(seed, id="one"):  # noqa: A002
    """Four atoms of two kinds far from any symmetry, with collinear moments."""
    rng = np.random.default_rng(seed)
    cell = np.diag([4.0, 4.6, 5.3]) + rng.uniform(-0.5, 0.5, (3, 3))
    corners = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    positions = (corners + rng.uniform(-0.05, 0.05, (4, 3))) @ cell
    return Candidate(id=id, numbers=[46, 47, 46, 47], positions=positions, cell=cell, magmoms=rng.uniform(-2, 2, 4))


def features(*candidates):
    return moment_features(candidates, {"none": np.zeros((len(candidates), 1))})


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), sign=st.sampled_from([1.0, -1.0]))
def test_features_are_those_of_the_ordering_whatever_the_cell_the_sign_and_the_axis(seed, sign):
    rng = np.random.default_rng(seed)
    one, apart = crystal(seed), crystal(seed + 1)
    atoms = make_supercell(one.to_ase(), [[1, 1, 0], [0, 2, 1], [0, 0, 1]])
    turn = Rotation.random(rng=rng).as_matrix()
    order = rng.permutation(len(atoms))
    axis = Rotation.random(rng=rng).as_matrix()[0]
    anew = Candidate(
        id="anew",
        numbers=atoms.numbers[order],
        positions=((atoms.positions + rng.uniform(-3, 3, 3)) @ turn)[order],
        cell=atoms.cell.array @ turn,
        magmoms=sign * atoms.get_initial_magnetic_moments()[order][:, None] * axis,
    )
    found = features(one, anew, apart)
    np.testing.assert_allclose(found[0], found[1], atol=1e-9)
    assert np.abs(found[0] - found[2]).max() > 1e-3


def test_the_block_is_there_only_where_candidates_differ_in_nothing_else():
    representation = MbtrRepresentation(elements=("Ag", "Pd"))
    one, other = crystal(1), crystal(2, id="other")
    turned_over = Candidate(id="s", numbers=one.numbers, positions=one.positions, cell=one.cell, magmoms=[1, 1, -1, 2])
    silent = Candidate(id="n", numbers=one.numbers, positions=one.positions, cell=one.cell)
    assert BLOCK not in checked_blocks(representation, [one, other])
    assert BLOCK not in checked_blocks(representation, [silent, silent])
    for pair in ([one, other, turned_over], [silent, other, one]):
        blocks = checked_blocks(representation, pair)
        assert blocks[BLOCK].shape == (3, 2 + 3 * 4)
        assert np.abs(blocks[BLOCK][0] - blocks[BLOCK][2]).max() > 1e-3


def coupled(atoms):
    """eV per atom: moments couple to those of neighbours within 3.1 A; 0 where all are parallel."""
    moments, numbers = atoms.get_initial_magnetic_moments(), atoms.numbers
    pairs = zip(*neighbor_list("ij", atoms, 3.1), strict=True)
    energies = [COUPLINGS_EV[numbers[i], numbers[j]] * (moments[i] * moments[j] - 1.0) for i, j in pairs]
    return sum(energies) / (2 * len(atoms))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_hull_of_magnetic_orderings_is_found(tmp_path, seed):
    with gzip.open(ROOT / "campaigns" / "agpd" / "agpd.extxyz.gz", "rt") as file:
        text = "".join(frame for frame in frames_of(file.read()) if int(frame.split(maxsplit=1)[0]) <= 5)
    orderings = []
    for frame in parse_frames(text.encode(), path=Path("agpd")).frames:
        atoms, n = frame.candidate().to_ase(), len(frame.numbers)
        for name, moments in (("parallel", np.ones(n)), ("staggered", np.where(np.arange(n) % 2, 1.0, -1.0))):
            if n > 1 or name == "parallel":
                one = atoms.copy()
                one.set_initial_magnetic_moments(moments)
                one.info = {"id": f"{frame.id}-{name}", "energy": frame.energy_ev + n * coupled(one)}
                orderings.append(one)
    campaign = Campaign.of(orderings, tmp_path / "out", name="m", elements=("Ag", "Pd"), seed=seed)
    result = campaign.run(on_note=lambda _: None)
    assert (len(campaign.pool), result.reference.exact) == (112, True)
    assert any(vertex.id.endswith("staggered") for vertex in result.hull)
    assert result.n_calculations < 60
