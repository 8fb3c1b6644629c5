"""Structures for the tests of the representation."""

import numpy as np
import pytest
from ase import Atoms


def make_structure(seed, n_atoms=3, pbc=(True, True, True), edge=4.0, closest=1.2):
    """Return Ag-Pd atoms at random, no two of them (images included) closer than `closest`, in a skewed cell."""
    rng = np.random.default_rng(seed)
    while True:
        cell = edge * (np.eye(3) + 0.25 * rng.uniform(-1, 1, (3, 3)))
        atoms = Atoms(
            rng.choice(["Ag", "Pd"], n_atoms), positions=rng.uniform(0, 1, (n_atoms, 3)) @ cell, cell=cell, pbc=pbc
        )
        images = atoms.repeat([3 if periodic else 1 for periodic in atoms.pbc])
        distances = images.get_all_distances()[np.triu_indices(len(images), 1)]
        if len(distances) == 0 or distances.min() > closest:
            return atoms


@pytest.fixture(scope="session")
def structure_of():
    return make_structure
