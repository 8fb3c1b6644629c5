"""A pool's model grows by rows, agrees with the estimator, and does not notice copies, order or slices."""

import numpy as np
import pytest

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression import (
    KernelModel,
    Mean,
    Metric,
    ModelSettings,
    PoolModel,
    PoolSeparations,
    WarmStart,
    pool_model,
)
from hullscout.regression.covariance import separations
from hullscout.regression.labelled import group_labels, group_rows


def parts(X, blocks):
    return {name: X[:, columns] for name, columns in blocks.items()}


@pytest.mark.parametrize("metric", Metric)
def test_grown_separations_are_those_computed_at_once(alloy, metric):
    X, _, _, blocks = alloy
    grown = PoolSeparations(parts(X, blocks), metric=metric)
    for chosen in ([5], [3, 100], list(range(110, 160)), [0]):
        grown.add(chosen)
    labelled = grown.labelled
    assert labelled.tolist() == [5, 3, 100, *range(110, 160), 0]
    for name, columns in blocks.items():
        features = X[:, columns]
        np.testing.assert_allclose(
            grown.to_pool()[name], separations(features[labelled], features, metric=metric), atol=1e-12
        )
        np.testing.assert_allclose(
            grown.to_pool(labelled)[name],
            separations(features[labelled], features[labelled], metric=metric),
            atol=1e-12,
        )
        np.testing.assert_allclose(
            np.diag(grown.among(np.array([7, 9]))[name]), grown.to_self(np.array([7, 9]))[name], atol=1e-12
        )


def test_pool_model_and_estimator_agree(alloy):
    X, y, x, blocks = alloy
    labelled = np.random.default_rng(1).permutation(len(y))[:60]
    pool = PoolModel(parts(X, blocks), composition=x, settings=ModelSettings(mean=Mean.LINEAR))
    pool.add(labelled[:20])
    pool.add(labelled[20:])
    pool.fit(y[labelled])
    model = KernelModel(blocks=blocks, mean="linear", composition=10).fit(X[labelled], y[labelled])
    for found, expected in zip(pool.predict(), model.predict(X, return_std=True), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    contenders = np.array([1, 7, 30])
    np.testing.assert_allclose(
        pool.posterior(contenders).covariance, model.posterior(X[contenders]).covariance, rtol=1e-5, atol=1e-12
    )


def test_deviations_as_modelled_lack_the_factor_of_the_labels_left_out(alloy):
    X, y, _, blocks = alloy
    scaled, bare = (
        PoolModel(parts(X, blocks), settings=ModelSettings(calibrated=c, n_averaged=1)) for c in (True, False)
    )
    for pool in (scaled, bare):
        pool.add(range(40))
    factor = scaled.fit(y[:40]).calibration.scale
    assert bare.fit(y[:40]).calibration.scale == 1.0 != factor
    np.testing.assert_allclose(scaled.predict()[0], bare.predict()[0], rtol=1e-12)
    np.testing.assert_allclose(scaled.predict()[1], factor * bare.predict()[1], rtol=1e-12)


def test_a_pool_that_holds_every_structure_twice_gives_the_same_model(alloy):
    X, y, _, blocks = alloy
    labelled = np.arange(0, 50)
    once, twice = PoolModel(parts(X, blocks)), PoolModel(parts(np.vstack([X, X]), blocks))
    once.add(labelled)
    twice.add(np.concatenate([labelled, labelled + len(y)]))
    once.fit(y[labelled])
    fitted = twice.fit(np.tile(y[labelled], 2))
    for found, expected in zip(twice.predict(), once.predict(), strict=True):
        np.testing.assert_allclose(found, np.tile(expected, 2), rtol=1e-5, atol=1e-10)
    assert len(fitted.loo_mean) == 100
    assert len(fitted.grouping.kept) == 50
    assert fitted.components[0].hyperparameters.kernel.terms[0].length_scale == pytest.approx(
        once.fitted.components[0].hyperparameters.kernel.terms[0].length_scale
    )


def test_coinciding_features_with_different_labels_are_left_out_together(alloy):
    X, y, _, blocks = alloy
    features = np.vstack([X[:50], X[:10]])
    labels = np.concatenate([y[:50], y[:10] + 0.002])
    model = KernelModel(blocks=blocks).fit(features, labels)
    assert sorted(group.tolist() for group in model.fitted_.grouping.groups) == [[i, 50 + i] for i in range(10)]
    np.testing.assert_allclose(model.loo_mean_[:10], model.loo_mean_[50:], atol=1e-9)


@pytest.mark.parametrize("groups", [None, np.arange(70) // 3])
def test_coinciding_rows_are_found_with_and_without_all_separations(alloy, groups):
    X, y, _, blocks = alloy
    order = np.random.default_rng(0).permutation(70)
    rows = np.vstack([X[:50], X[:10], X[5:15] + 1e-9])[order]
    labels = np.concatenate([y[:50], y[:10], y[5:15] + 0.01])[order]
    features = parts(rows, blocks)
    dense = group_labels(
        {name: separations(part, part, metric=Metric.MANHATTAN) for name, part in features.items()},
        labels,
        metric=Metric.MANHATTAN,
        groups=groups,
    )
    lean = group_rows(features, labels, groups=groups)
    assert len(lean.kept) == 60
    assert lean.kept.tolist() == dense.kept.tolist()
    assert lean.merged_to.tolist() == dense.merged_to.tolist()
    assert [group.tolist() for group in lean.groups] == [group.tolist() for group in dense.groups]
    assert groups is not None or len(lean.groups) == 10


def test_given_groups_are_left_out_together_and_are_harder_to_predict(alloy):
    X, y, x, blocks = alloy
    composition_groups = np.round(x * 12).astype(int)
    alone = KernelModel(blocks=blocks).fit(X[:80], y[:80])
    grouped = KernelModel(blocks=blocks).fit(X[:80], y[:80], groups=composition_groups[:80])
    assert grouped.loo_rmse_ > alone.loo_rmse_


def test_slices_do_not_change_predictions(alloy, monkeypatch):
    X, y, _, blocks = alloy
    pool = PoolModel(parts(X, blocks))
    pool.add(range(30))
    pool.fit(y[:30])
    whole = pool.predict()
    monkeypatch.setattr(pool_model, "_SLICE", 7)
    for found, expected in zip(pool.predict(), whole, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)


def test_a_warm_start_finds_as_good_a_setting_with_fewer_kernels(alloy):
    X, y, _, blocks = alloy
    pool = PoolModel(parts(X, blocks))
    pool.add(range(60))
    before = pool.fit(y[:60])
    pool.add(range(60, 66))
    cold = pool.fit(y[:66])
    warm = pool.fit(y[:66], warm_start=WarmStart(point=before.best))
    kept = pool.fit(y[:66], warm_start=WarmStart(point=before.best, is_searched=False))
    assert len(kept.evaluated) == 1 < len(warm.evaluated) < len(cold.evaluated)
    assert warm.evaluated[0].score > cold.evaluated[0].score - 2.0
    assert warm.evaluated[0].score >= kept.evaluated[0].score > cold.evaluated[0].score - 10.0
    assert kept.best == before.best


def test_alternatives_are_tuned_over(alloy):
    X, y, _, _ = alloy
    blurred = np.round(X[:, :10] * 1.5) / 1.5
    pool = PoolModel({"all": blurred}, alternatives={"sharp": {"all": X[:, :10]}})
    pool.add(range(80))
    assert pool.fit(y[:80]).components[0].hyperparameters.representation == "sharp"


def test_wrong_use_of_a_pool_is_refused(alloy):
    X, y, _, blocks = alloy
    pool = PoolModel(parts(X, blocks))
    pool.add([1, 2, 3, 4])
    with pytest.raises(InvalidTrainingSetError, match="not labelled before"):
        pool.add([9, 2])
    with pytest.raises(InvalidTrainingSetError, match="candidates 0 to 239, found \\[240\\]"):
        pool.add([240])
    with pytest.raises(InvalidTrainingSetError, match="call fit first"):
        pool.predict()
    with pytest.raises(InvalidTrainingSetError, match="found 3 labels and 4 rows"):
        pool.fit(y[:3])
    with pytest.raises(InvalidSettingError, match="at least one feature block"):
        PoolModel({})
    with pytest.raises(InvalidTrainingSetError, match="same number of candidates"):
        PoolModel({"a": X, "b": X[:-1]})
    with pytest.raises(InvalidTrainingSetError, match="representations of the same candidates"):
        PoolModel({"a": X}, alternatives={"other": {"a": X[:-1]}})
    with pytest.raises(InvalidSettingError, match="same blocks in every representation"):
        PoolModel({"a": X}, alternatives={"other": {"b": X}})
    other = PoolModel({"only": X})
    other.add([0, 1, 2, 3, 5])
    pool.add([7])
    with pytest.raises(InvalidSettingError, match="warm start on one of"):
        pool.fit(y[[1, 2, 3, 4, 7]], warm_start=WarmStart(point=other.fit(y[[0, 1, 2, 3, 5]]).best))


def test_a_failed_addition_changes_nothing(alloy):
    X, _, _, blocks = alloy
    pool = PoolModel(parts(X, blocks))
    pool.add([1, 2])
    with pytest.raises(InvalidTrainingSetError, match="not labelled before"):
        pool.add([5, 5])
    assert pool.labelled.tolist() == [1, 2]


def test_batches_leave_no_trace_in_rounding(alloy):
    X, y, _, blocks = alloy
    together, apart = PoolModel(parts(X, blocks)), PoolModel(parts(X, blocks))
    together.add(range(40))
    for index in range(40):
        apart.add([index])
    for model in (together, apart):
        model.fit(y[:40])
    assert together.predict()[0].tobytes() == apart.predict()[0].tobytes()


def test_settings_are_compared_by_some_labels_and_all_are_learned(alloy):
    X, y, x, blocks = alloy
    all_of_them, few, enough = (
        PoolModel(parts(X, blocks), composition=x, settings=ModelSettings(n_weighed=n, n_averaged=1))
        for n in (None, 40, 160)
    )
    for pool in (all_of_them, few, enough):
        pool.add(range(160))
        pool.fit(y[:160])
    assert enough.predict()[0].tobytes() == all_of_them.predict()[0].tobytes()
    assert few.fitted.evaluated[0].score != all_of_them.fitted.evaluated[0].score
    assert len(few.fitted.loo_mean) == len(few.fitted.components[0].process.dual) == 160
    mean, std = few.predict()
    errors = {pool: np.sqrt(np.mean((pool.predict()[0] - y)[160:] ** 2)) for pool in (all_of_them, few)}
    assert errors[few] < 1.5 * errors[all_of_them]
    assert np.mean(np.abs(mean - y)[160:] < 2.0 * std[160:]) > 0.85
    forty = PoolModel(parts(X, blocks), composition=x, settings=ModelSettings(n_averaged=1))
    forty.add(range(40))
    forty.fit(y[:40])
    assert errors[few] < np.sqrt(np.mean((forty.predict()[0] - y)[160:] ** 2)), "the others are learned, too"


def test_labels_by_which_settings_are_compared_are_a_number():
    for wrong in (2, 0, -5, 7.5, "many"):
        with pytest.raises(InvalidSettingError, match="n_weighed"):
            ModelSettings(n_weighed=wrong)
