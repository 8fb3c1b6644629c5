"""Absurd work is refused before it is begun, ordinary work never."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111

from hullscout.errors import InvalidStructureError
from hullscout.mbtr import MBTR, Term
from hullscout.mbtr.counting import closest_distances, search_range
from hullscout.mbtr.structures import read_structures
from hullscout.mbtr.truncation import MAX_NEIGHBORS, MAX_TUPLES, expected_neighbors

TINY = Atoms("Ag", cell=[0.3, 0.3, 0.3], pbc=True)  # nanometres, say
PAIRS = Term(k=2, geometry="distance", grid=(0.0, 9.0, 9), sigma=0.5, cutoff=8.0)
ANGLES = Term(k=3, geometry="cosine", grid=(-1.0, 1.0, 9), sigma=0.2, cutoff=8.0)
CHAINS = Term(k=4, geometry="dihedral", grid=(0.0, 3.2, 9), sigma=0.3, cutoff=8.0)
OPEN = {"k": 3, "geometry": "cosine", "grid": (-1.0, 1.0, 9), "sigma": 0.2}


def cluster(n):
    """Return n atoms on a cubic lattice, open on all sides."""
    edge = int(np.ceil(n ** (1 / 3)))
    return Atoms(f"Ag{n}", 2.5 * np.stack(np.unravel_index(np.arange(n), (edge,) * 3), axis=1))


@pytest.mark.parametrize(
    ("structure", "term", "match"),
    [
        (
            TINY,
            ANGLES,
            r"structure 1: k3 \(k = 3\) reaches 8 A, to about 7.9e\+04 neighbours and 3.2e\+09 tuples per atom",
        ),
        (TINY, CHAINS, r"expected at most 1e\+07 and 2e\+08. See that lengths are in Angstrom, or shorten its cutoff"),
        (bulk("Ag"), Term(k=2, geometry="distance", grid=(0, 9, 9), sigma=1, cutoff=1e5), r"reaches 1e\+05 A"),
        (
            bulk("Ag"),
            Term(k=2, geometry="distance", grid=(0, 9, 9), sigma=1, weighting="exponential", scale=1e-3),
            "give it a cutoff or an accuracy looser than 1e-06",
        ),
        (
            fcc111("Ag", (1, 1, 2), vacuum=5.0),
            Term(**OPEN, weighting="inverse_square"),
            "give it a cutoff or an accuracy looser than 1e-06",
        ),
        (cluster(25_000), Term(**OPEN), r"reaches inf A, .* or give it a cutoff"),
        (
            Atoms("Ag", cell=[1e-3] * 3, pbc=True),
            PAIRS,
            "structure 1 has coinciding atoms or a singular cell: its density",
        ),
        (Atoms("Ag", cell=[1e-90, 1, 1], pbc=True), PAIRS, "structure 1 has coinciding atoms or a singular cell"),
    ],
)
def test_absurd_work_is_refused_before_it_is_begun(structure, term, match):
    counted = Term(k=1, geometry="element_count")
    with pytest.raises(InvalidStructureError, match=match):
        MBTR(("Ag",), (counted, term)).transform([Atoms("Ag"), structure])


def test_no_term_is_counted_before_all_are_known_to_be_feasible(monkeypatch):
    monkeypatch.setattr("hullscout.mbtr.counting._count_tuples", None)
    with pytest.raises(InvalidStructureError, match=r"k3 .* reaches"):
        MBTR(("Ag",), (PAIRS, ANGLES)).transform([TINY])


def test_gradients_are_guarded_too():
    with pytest.raises(InvalidStructureError, match=r"k3 .* reaches"):
        MBTR(("Ag",), (ANGLES,)).gradient(TINY)


def test_large_open_clusters_with_a_cutoff_are_ordinary_work():
    batch = read_structures([cluster(25_000)], (47,))
    _, most = search_range(batch, ANGLES, closest_distances(batch))
    assert 100 < most[0] < 200


@pytest.mark.parametrize("pbc", [(1, 1, 1), (1, 1, 0), (0, 1, 0)])
def test_expected_neighbours_are_about_those_found_and_never_far_above(pbc):
    structure = bulk("Ag", cubic=True)
    structure.pbc = pbc
    batch = read_structures([structure] * 3, (47,))
    radii = np.array([3.0, 12.0, 40.0])
    closest = closest_distances(batch)
    found = [
        search_range(batch, Term(k=2, geometry="distance", grid=(0, 9, 9), sigma=1, cutoff=radius), closest)[1][0]
        for radius in radii
    ]
    expected = expected_neighbors(batch, radii)
    assert np.all(expected <= 1.1 * np.array(found) + 1)
    assert expected[2] == pytest.approx(found[2], rel=0.1)
    assert MAX_NEIGHBORS**2 > MAX_TUPLES
