"""Element channels, and the correlation between elements."""

import itertools

import numpy as np
import pytest

from hullscout.mbtr import periodic_table_correlation, pettifor_correlation
from hullscout.mbtr.channels import SYMBOLS, _table_place, channel_labels, channel_table, correlate, list_channels


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_tuple_and_its_reverse_share_a_channel_and_no_others_do(n, k):
    table = channel_table(n, k)
    channels = list_channels(n, k)
    assert len(set(channels)) == len(channels) == table.max() + 1
    strides = n ** np.arange(k - 1, -1, -1)
    for z in itertools.product(range(n), repeat=k):
        assert channels[table[np.dot(z, strides)]] in {z, z[::-1]}


def test_names_put_the_vertex_in_the_middle():
    assert channel_labels(("Ag", "Pd"), 3) == ["Ag-Ag-Ag", "Ag-Ag-Pd", "Pd-Ag-Pd", "Ag-Pd-Ag", "Ag-Pd-Pd", "Pd-Pd-Pd"]


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_correlation_equals_the_published_sum_over_ordered_tuples(k):
    rng = np.random.default_rng(k)
    n = 3
    tuples = [tuple(rng.integers(0, n, k)) for _ in range(20)]
    weights = rng.uniform(size=20)
    A = rng.normal(size=(n, n))
    C = A @ A.T
    channels, table = list_channels(n, k), channel_table(n, k)
    strides = n ** np.arange(k - 1, -1, -1)
    features = np.zeros((len(channels), 1))
    for z, w in zip(tuples, weights, strict=True):
        features[table[np.dot(z, strides)]] += w
    found = correlate(features, C, k)[:, 0]
    for channel, z in enumerate(channels):
        published = 0.0
        for Z, w in zip(tuples, weights, strict=True):
            for ordered in [Z] if k == 1 else [Z, Z[::-1]]:
                published += w * np.prod([C[z[j], ordered[j]] for j in range(k)])
        halved = 2.0 if k > 1 and z == z[::-1] else 1.0
        assert found[channel] == pytest.approx(published / halved, rel=1e-12)


def test_identity_correlation_changes_nothing():
    features = np.random.default_rng(0).uniform(size=(2, 18, 5))
    np.testing.assert_allclose(correlate(features, np.eye(3), 3), features, rtol=1e-14)


@pytest.mark.parametrize("make", [pettifor_correlation, periodic_table_correlation])
def test_ready_made_correlations_are_positive_semidefinite_with_unit_diagonal(make):
    C = make(SYMBOLS[:103])
    np.testing.assert_array_equal(C, C.T)
    np.testing.assert_array_equal(np.diag(C), 1.0)
    assert np.linalg.eigvalsh(C)[0] > -1e-10


def test_noble_metals_are_more_alike_than_strangers():
    C = pettifor_correlation(("Cu", "Ag", "Au", "O"), length=3.0)
    assert C[1, 2] > 0.8
    assert C[1, 3] < 0.2
    P = periodic_table_correlation(("Cu", "Ag", "Au", "O"))
    assert P[1, 2] == P[0, 1] == pytest.approx(np.exp(-0.5))


def test_places_in_the_periodic_table():
    place = {symbol: _table_place(z) for z, symbol in enumerate(SYMBOLS, start=1)}
    assert place["H"] == (1.0, 1.0)
    assert place["He"] == (18.0, 1.0)
    assert place["B"] == (13.0, 2.0)
    assert place["Sc"] == (3.0, 4.0)
    assert place["Ag"] == (11.0, 5.0)
    assert place["La"] == (3.0, 6.0)
    assert place["Hf"] == (4.0, 6.0)
    assert 3.9 < place["Lu"][0] < 4.0
    assert place["Og"] == (18.0, 7.0)
