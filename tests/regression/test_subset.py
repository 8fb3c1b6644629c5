"""Farthest points spread, CUR spans, PCA is best; the error falls with what is kept."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from hullscout.errors import InvalidSettingError
from hullscout.regression import (
    FeatureCompressor,
    KernelModel,
    compression_curve,
    cur_points,
    farthest_points,
    farthest_rows,
)


@pytest.fixture
def cloud():
    rng = np.random.default_rng(8)
    return rng.normal(size=(70, 3)) @ rng.normal(size=(3, 12)) + 1e-3 * rng.normal(size=(70, 12))


def test_each_farthest_point_is_farthest_from_those_before(cloud):
    chosen = farthest_rows(cloud, 10)
    distances = cdist(cloud, cloud)
    for step in range(1, 10):
        nearest = distances[:, chosen[:step]].min(axis=1)
        assert nearest[chosen[step]] == pytest.approx(nearest.max())
    assert len(set(chosen.tolist())) == 10


def test_farthest_points_agree_with_and_without_a_gram_matrix(cloud):
    assert farthest_points(cloud @ cloud.T, 12).tolist() == farthest_rows(cloud, 12).tolist()
    assert farthest_points(cloud @ cloud.T, 3, start=5)[0] == 5


def test_cur_columns_span_what_few_directions_hold(cloud):
    chosen = cur_points(cloud.T @ cloud, 3)
    coefficients, *_ = np.linalg.lstsq(cloud[:, chosen], cloud, rcond=None)
    assert np.linalg.norm(cloud - cloud[:, chosen] @ coefficients) < 0.02 * np.linalg.norm(cloud)


def test_cur_takes_leftover_items_in_order_when_nothing_is_left():
    column = np.arange(1.0, 6.0)
    gram = np.outer([1.0, 3.0, 2.0], [1.0, 3.0, 2.0]) * (column @ column)
    assert cur_points(gram, 3).tolist() == [1, 0, 2]


@pytest.mark.parametrize("method", ["fps", "cur", "pca"])
def test_error_falls_with_the_kept_fraction_and_ends_at_zero(cloud, method):
    curve = compression_curve(cloud, method=method)
    assert np.all(np.diff(curve.errors) <= 1e-9)
    assert curve.errors[-1] < 1e-6
    assert curve.fractions[-1] == 1.0
    few = compression_curve(cloud, method=method, counts=[3, 6])
    np.testing.assert_allclose(few.errors, curve.errors[[2, 5]], atol=1e-9)


def test_no_selection_beats_principal_components(cloud):
    best = compression_curve(cloud, method="pca").errors
    for method in ("fps", "cur"):
        assert np.all(compression_curve(cloud, method=method).errors >= best - 1e-7)


@pytest.mark.parametrize("method", ["fps", "cur", "pca"])
def test_constant_and_repeated_features_take_no_direction_from_the_others(cloud, method):
    redundant = np.hstack([np.zeros((len(cloud), 5)), cloud[:, :2], cloud, 1.0 + np.zeros((len(cloud), 5)), cloud])
    assert compression_curve(redundant, method=method).errors[-1] < 1e-7


def test_constant_features_have_nothing_to_lose():
    assert compression_curve(np.ones((5, 4)), method="cur").errors.tolist() == [0.0] * 4


@pytest.mark.parametrize("method", ["fps", "cur", "pca"])
def test_compressed_redundant_features_learn_nearly_as_well(alloy, method):
    X, y, _, _ = alloy
    redundant = np.hstack([X[:, :10], X[:, :10] @ np.random.default_rng(1).normal(size=(10, 20))])
    compressor = FeatureCompressor(method=method, n_features=12)
    kept = compressor.fit_transform(redundant)
    full, few = KernelModel().fit(redundant[:80], y[:80]), KernelModel().fit(kept[:80], y[:80])
    assert kept.shape == (240, 12)
    assert few.loo_rmse_ < 3.0 * full.loo_rmse_
    assert few.loo_rmse_ < 0.5 * np.std(y)
    assert compressor.error_ == pytest.approx(
        compression_curve(redundant, method=method, counts=[12]).errors[0], abs=1e-9
    )


def test_all_principal_components_keep_all_distances(cloud):
    kept = FeatureCompressor(method="pca", n_features=12).fit_transform(cloud)
    np.testing.assert_allclose(cdist(kept, kept), cdist(cloud, cloud), atol=1e-10)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda X: FeatureCompressor(method="magic").fit(X), "a method of"),
        (lambda X: FeatureCompressor(n_features=13).fit(X), "n_features from 1 to 12"),
        (lambda X: compression_curve(X, counts=[0]), "counts from 1 to 12"),
        (lambda X: farthest_rows(X, 0), "choose 1 to 70 items"),
        (lambda X: farthest_points(X @ X.T, 71), "choose 1 to 70 items"),
        (lambda X: cur_points(X @ X.T, 71), "choose 1 to 70 items"),
    ],
)
def test_impossible_selections_are_refused(cloud, run, message):
    with pytest.raises(InvalidSettingError, match=message):
        run(cloud)
