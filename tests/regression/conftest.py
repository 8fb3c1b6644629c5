"""Data that the tests of the regression service share."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def smooth():
    """Sixty points in five features and a smooth function of them, eV/atom."""
    rng = np.random.default_rng(11)
    X = rng.normal(size=(60, 5))
    return X, 0.05 * X[:, 0] ** 2 + 0.1 * np.sin(X[:, 1]) + 0.02 * X[:, 2]


@pytest.fixture(scope="session")
def alloy():
    """An alloy in miniature: 240 rings of twelve atoms A and B; pair and triple counts; energies that need a little more.

    Returns features, energies in eV/atom, compositions and the columns of the blocks.
    """
    rng = np.random.default_rng(5)
    rings = rng.permutation(np.unique(rng.integers(0, 2, size=(3000, 12)), axis=0))
    spins = 2.0 * rings - 1.0
    pairs = np.stack([np.mean(spins * np.roll(spins, d, axis=1), axis=1) for d in range(1, 7)], axis=1)
    triples = np.stack(
        [
            np.mean(spins * np.roll(spins, a, axis=1) * np.roll(spins, b, axis=1), axis=1)
            for a, b in ((1, 2), (1, 3), (2, 4), (1, 4))
        ],
        axis=1,
    )
    x = rings.mean(axis=1)
    energies = (
        0.03 * pairs[:, 0] - 0.01 * pairs[:, 1] ** 2 + 0.008 * triples[:, 0] + 0.004 * triples[:, 2] * pairs[:, 2]
    )
    quadruples = np.mean(
        spins * np.roll(spins, 1, axis=1) * np.roll(spins, 2, axis=1) * np.roll(spins, 5, axis=1), axis=1
    )
    energies += 0.002 * quadruples
    X = np.hstack([pairs, triples, x[:, None]])
    different = np.sort(np.unique(X[:, :10].round(9), axis=0, return_index=True)[1])[:240]
    X, energies, x = X[different], energies[different], x[different]
    return X, energies, x, {"k2": slice(0, 6), "k3": slice(6, 10)}
