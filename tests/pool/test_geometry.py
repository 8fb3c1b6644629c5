"""Cells without end: refused with a sentence, wherever a structure comes in; skewed cells are crystals like any other."""

import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from hullscout import MBTR, Candidate, Pool
from hullscout.errors import InvalidPoolError, InvalidStructureError
from hullscout.pool.geometry import MAX_EDGE, crystal_fault
from hullscout.representation import MbtrRepresentation

HEIGHT = 1.5 * 3**0.5
FCC = np.array([[0, 2.0, 2], [2, 0, 2], [2, 2, 0]])
ENDS = [bulk("Ag", a=4.1), bulk("Pd", a=3.9)]
ABSURD = {
    "three vectors that all but cancel": (
        [[3, 0, 0], [-1.5, HEIGHT, 0], [-1.5, -HEIGHT, 1e-4]],
        "atom 1 and its periodic image along a + b + c are 0.0001 A apart: expected at least 0.5 A",
    ),
    "two vectors that all but cancel": (
        [[4, 0, 0], [8.002, 0.1, 0], [0, 0, 4]],
        "atom 1 and its periodic image along 2a - b are 0.100 A apart: expected at least 0.5 A",
    ),
    "a long edge": (np.diag([3, 3, 1e12]), "the cell has an edge of 1e+12 A: expected at most 10000 A"),
    "an edge beyond the square root of all numbers": (np.diag([3, 3, 1e200]), "the cell has an edge of 1e+200 A"),
    "a skewed entry": (
        [[4, 0, 0], [0, 4, 0], [0, 1e6, 4]],
        "the cell has an edge of 1e+06 A: expected at most 10000 A",
    ),
    "much room": (np.diag([50, 50, 50]), "the cell has 1.25e+05 A^3 per atom: expected 0.01 to 100000 A^3"),
    "a needle": (
        np.diag([1, 1, 9000]),
        "the cell is too long and thin: its shortest vectors are 1 x 1 x 9000 A long, and a ball of 9000 A holds 3.4e+08 cells",
    ),
    "a point": (np.diag([1e-300, 3, 3]), "atom 1 and its periodic image are 0 A apart: expected at least 0.5 A"),
    "a plane": ([[4, 0, 0], [0, 4, 0], [4, 4, 0]], "a cell without volume: 4 0 0 0 4 0 4 4 0"),
}


def unimodular(rng, largest):
    """An integer matrix of determinant 1 with entries up to about so large."""
    times = np.eye(3, dtype=int)
    a, b, c = rng.permutation(3)
    times[a] += rng.integers(-largest, largest + 1) * times[b]
    times[c] += rng.integers(-largest, largest + 1) * times[a if rng.random() < 0.3 and largest < 100 else b]
    return times


def refusal(work):
    """What an error of ours says, empty where there is none."""
    try:
        work()
    except (InvalidPoolError, InvalidStructureError) as error:
        return str(error)
    return ""


def atoms_in(cell, symbols="Ag2"):
    return Atoms(symbols, positions=[[0, 0, 0], [1.1, 1.0, 0.9]], cell=cell, pbc=True)


@pytest.mark.parametrize("kind", ABSURD)
def test_absurd_cells_are_refused_in_a_sentence(kind):
    cell, fault = ABSURD[kind]
    one = Atoms("Ag", cell=cell, pbc=True)
    with pytest.raises(InvalidPoolError, match=re.escape(f"frame 3 (id 'odd'): {fault}")):
        Pool.of([*ENDS, one], ids=["ag", "pd", "odd"])
    with pytest.raises(InvalidStructureError, match=re.escape(f"Candidate 'odd': {fault}")):
        Candidate.from_ase(one, "odd")


def test_places_and_numbers_beyond_bounds_are_refused():
    with pytest.raises(
        InvalidStructureError, match=r"atom 2 has the position 0 -2e\+09 0: expected .* within 1e\+06 A"
    ):
        Candidate(id="x", numbers=[47, 47], positions=[[0, 0, 0], [0, -2e9, 0]], cell=np.eye(3) * 4)
    with pytest.raises(InvalidPoolError, match=r"\(id 'x'\): atom 1 has the position 1e\+20 0 0: expected coordinates"):
        Pool.of([*ENDS, Atoms("Ag", [[1e20, 0, 0]], cell=FCC, pbc=True)], ids=["ag", "pd", "x"])
    for number in (0, -1, 119, 200, 2**40):
        with pytest.raises(InvalidStructureError, match=f"expected atomic numbers from 1 to 118, found {number}"):
            Candidate(id="x", numbers=[47, number], positions=np.zeros((2, 3)), cell=np.eye(3) * 4)


def test_more_atoms_than_a_cell_has_room_for_are_refused_without_looking_for_the_pair():
    crowd = np.random.default_rng(0).uniform(0, 4, (8000, 3))
    with pytest.raises(InvalidPoolError, match=r"0\.008 A\^3 per atom: expected 0\.01 to 100000 A\^3"):
        Pool.of([*ENDS, Atoms("Ag8000", crowd, cell=np.eye(3) * 4, pbc=True)], ids=["ag", "pd", "x"])


@given(seed=st.integers(0, 2**32 - 1), largest=st.sampled_from([1, 30, 1000]))
@settings(max_examples=60, deadline=None)
def test_a_sheared_cell_is_the_same_crystal_with_the_same_features(seed, largest):
    rng = np.random.default_rng(seed)
    compact = atoms_in(1.3 * FCC, "AgPd")
    times = unimodular(rng, largest)
    other = compact.copy()
    other.set_cell(times @ compact.cell.array)
    other.positions += rng.integers(-2, 3, (2, 3)) @ other.cell.array
    pool = Pool.of([*ENDS, compact, other], ids=["ag", "pd", "x1", "x2"])
    assert pool.twins == {"x1": ("x2",)}
    features = MBTR.for_alloys(("Ag", "Pd")).transform([compact, other])
    np.testing.assert_allclose(features[1], features[0], rtol=1e-8, atol=1e-8 * np.abs(features).max())


def test_volumes_of_sheared_cells_keep_their_digits():
    cells = [FCC * (1 + 0.02 * n) for n in range(8)]
    shear = np.array([[1, 0, 0], [1000, 1, 0], [700, 0, 1]])
    plain = [Candidate.from_ase(atoms_in(c), "a") for c in cells]
    skewed = [Candidate.from_ase(atoms_in(shear @ c), "a") for c in cells]
    blocks = [MbtrRepresentation(elements=("Ag", "Pd")).blocks(some)["volume"] for some in (plain, skewed)]
    np.testing.assert_allclose(blocks[1], blocks[0], atol=1e-9)


@given(
    lengths=st.tuples(*[st.floats(-3, 14)] * 3),
    seed=st.integers(0, 2**32 - 1),
    largest=st.sampled_from([0, 3, 1000]),
    squeeze=st.sampled_from([1.0, 1e-3, 1e-9]),
)
@settings(max_examples=300, deadline=None)
def test_any_cell_is_a_crystal_or_an_error(lengths, seed, largest, squeeze):
    """Needles, plates, planes and deserts; none of them is searched without end."""
    rng = np.random.default_rng(seed)
    shape = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    shape[2] = squeeze * shape[2] + rng.integers(-1, 2) * shape[0] + rng.integers(-1, 2) * shape[1]
    one = atoms_in(unimodular(rng, largest) @ (10.0 ** np.array(lengths)[:, None] * shape))
    fault = crystal_fault(one.positions, one.cell.array)
    of_it = refusal(lambda: MBTR.for_alloys(("Ag", "Pd"), triple_cutoff=4.0).transform([one]))
    assert of_it.startswith("structure 0") or of_it == ""
    of_pool = refusal(lambda: Pool.of([*ENDS, one], ids=["ag", "pd", "x"]))
    assert fault in of_pool
    assert fault or "apart: expected at least 0.5 A" in of_pool or of_pool == ""
    assert fault or np.linalg.norm(one.cell.array, axis=1).max() <= MAX_EDGE
