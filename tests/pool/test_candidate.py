"""A candidate is a checked, unchangeable crystal."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from hullscout.errors import InvalidStructureError
from hullscout.pool import Candidate

GOOD: dict[str, Any] = {"id": "a", "numbers": [47], "positions": [[0, 0, 0]], "cell": np.eye(3) * 4}


def test_arrays_cannot_be_changed() -> None:
    candidate = Candidate(**GOOD)
    with pytest.raises(ValueError, match="read-only"):
        candidate.positions[0, 0] = 1.0
    with pytest.raises(FrozenInstanceError, match="cannot assign to field"):
        candidate.id = "b"  # type: ignore[misc]


def test_a_candidate_does_not_share_memory_with_what_it_was_made_of() -> None:
    positions = np.zeros((1, 3))
    candidate = Candidate(**GOOD | {"positions": positions})
    positions[0, 0] = 9.0
    assert candidate.positions[0, 0] == 0.0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": ""}, "found an empty id"),
        ({"numbers": []}, "with n > 0, found (0,)"),
        ({"positions": [[0, 0, 0], [1, 1, 1]]}, "found (1,), (2, 3) and (3, 3)"),
        ({"cell": [1, 2, 3]}, "found (1,), (1, 3) and (3,)"),
        ({"positions": [[0, 0, np.nan]]}, "expected finite coordinates and a cell with a volume"),
        ({"cell": np.diag([4, 4, 0])}, "a cell without volume: 4 0 0 0 4 0 0 0 0"),
        ({"cell": np.diag([4, 4, np.inf])}, "expected finite coordinates and a cell with a volume"),
    ],
)
def test_impossible_structures_are_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidStructureError, match=re.escape(reason)):
        Candidate(**GOOD | change)


@pytest.mark.parametrize(
    ("numbers", "formula"), [([47] * 5 + [46] * 3, "Ag5Pd3"), ([46, 46], "Pd"), ([46, 22, 46, 46], "TiPd3")]
)
def test_formula_is_reduced_and_conventional(numbers: list[int], formula: str) -> None:
    positions = np.arange(3 * len(numbers)).reshape(-1, 3)
    assert Candidate(id="a", numbers=np.array(numbers), positions=positions, cell=np.eye(3) * 30).formula == formula


def test_ase_and_pymatgen_get_the_same_crystal() -> None:
    cell = np.array([[4.0, 0, 0], [1, 5, 0], [0, 2, 6]])
    candidate = Candidate(id="a", numbers=np.array([47, 46]), positions=np.array([[0.0, 0, 0], [1, 2, 3]]), cell=cell)
    atoms, structure = candidate.to_ase(), candidate.to_pymatgen()
    assert atoms.info == {"id": "a"}
    assert atoms.pbc.all()
    assert candidate.pbc.all()
    for numbers, positions, vectors in (
        (atoms.numbers, atoms.positions, np.array(atoms.cell)),
        (structure.atomic_numbers, structure.cart_coords, structure.lattice.matrix),
    ):
        np.testing.assert_array_equal(numbers, candidate.numbers)
        np.testing.assert_allclose(positions, candidate.positions, atol=1e-12)
        np.testing.assert_allclose(vectors, cell, atol=1e-12)


def test_candidates_can_be_copied_and_sent_to_other_processes() -> None:
    for other in (copy.deepcopy(Candidate(**GOOD)), pickle.loads(pickle.dumps(Candidate(**GOOD)))):  # noqa: S301
        np.testing.assert_array_equal(other.positions, [[0, 0, 0]])


def test_importing_pool_and_oracle_loads_no_heavy_library() -> None:
    code = (
        "import sys, hullscout.pool, hullscout.oracle; "
        "print([name for name in ('ase', 'numba', 'pymatgen', 'scipy', 'spglib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
