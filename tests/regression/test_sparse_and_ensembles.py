"""Sparse models approach the exact one, ensembles spread where they are wrong."""

import numpy as np
import pytest

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression import Hyperparameters, Kernel, KernelModel, KernelShape, KernelTerm, ResamplingEnsemble
from hullscout.regression import SparseKernelModel as Sparse

SETTING = Hyperparameters(
    kernel=Kernel(terms=(KernelTerm(block="all", length_scale=1.5),), shape=KernelShape.MATERN52),
    regularization=1e-3,
    signal_variance=0.04,
)


@pytest.mark.parametrize("variance", ["projected-process", "subset-of-regressors"])
def test_with_all_points_active_it_is_the_exact_process(smooth, variance):
    X, y = smooth
    new = X[:9] + 0.3
    sparse = Sparse(n_active=60, variance=variance, hyperparameters=SETTING).fit(X, y)
    exact = KernelModel(hyperparameters=SETTING, suspicion=np.inf).fit(X, y)
    np.testing.assert_allclose(sparse.predict(new), exact.predict(new), atol=1e-8)
    np.testing.assert_allclose(sparse.loo_mean_, exact.loo_mean_, atol=1e-8)
    if variance == "projected-process":
        found, expected = (model.predict(new, return_std=True)[1] for model in (sparse, exact))
        np.testing.assert_allclose(
            found / sparse.calibration_.scale, expected / exact.fitted_.calibration.scale, rtol=1e-6
        )


@pytest.mark.parametrize("selection", ["fps", "cur", "random"])
def test_more_active_points_are_closer_to_the_exact_process(alloy, selection):
    X, y, _, blocks = alloy
    tuned = KernelModel(blocks=blocks, n_averaged=1).fit(X[:200], y[:200])
    exact = tuned.predict(X[200:])

    def gap(n_active):
        model = Sparse(
            blocks=blocks, n_active=n_active, selection=selection, hyperparameters=tuned.hyperparameters_
        ).fit(X[:200], y[:200])
        return np.sqrt(np.mean((model.predict(X[200:]) - exact) ** 2))

    assert gap(150) < 0.5 * gap(15)


def test_it_tunes_itself_and_its_intervals_cover(alloy):
    X, y, _, blocks = alloy
    model = Sparse(blocks=blocks, n_active=60, n_tuning=80).fit(X[:180], y[:180])
    mean, std = model.predict(X[180:], return_std=True)
    assert np.sqrt(np.mean((mean - y[180:]) ** 2)) < 0.3 * np.std(y)
    assert np.mean(np.abs(mean - y[180:]) <= 1.96 * std) > 0.85


def test_projected_process_is_unsure_far_from_data_and_subset_of_regressors_is_not(smooth):
    X, y = smooth
    far = np.full((1, 5), 50.0)
    projected, regressors = (
        Sparse(n_active=20, variance=variance, hyperparameters=SETTING).fit(X, y)
        for variance in ("projected-process", "subset-of-regressors")
    )
    assert projected.predict(far, return_std=True)[1] > 5.0 * regressors.predict(far, return_std=True)[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"variance": "guess"}, "Expected variance 'projected-process'"),
        ({"n_active": 0}, "at least 1, whole numbers"),
        ({"selection": "luck", "n_tuning": 10}, "Expected selection 'fps'"),
    ],
)
def test_impossible_sparse_settings_are_refused(smooth, settings, message):
    with pytest.raises(InvalidSettingError, match=message):
        Sparse(**settings).fit(*smooth)


def test_an_ensemble_predicts_and_its_intervals_cover(alloy):
    X, y, _, blocks = alloy
    model = ResamplingEnsemble(blocks=blocks).fit(X[:120], y[:120])
    mean, std = model.predict(X[120:], return_std=True)
    residuals = np.abs(mean - y[120:])
    assert np.sqrt(np.mean(residuals**2)) < 0.4 * np.std(y)
    assert np.mean(residuals <= std / model.calibration_.scale * model.calibration_.half_width(0.95)) > 0.85
    assert np.corrcoef(residuals, std)[0, 1] > 0.1


def test_a_seed_fixes_an_ensemble(alloy):
    X, y, _, blocks = alloy
    first, second, other = (
        ResamplingEnsemble(blocks=blocks, n_models=4, seed=seed).fit(X[:40], y[:40]).predict(X) for seed in (1, 1, 2)
    )
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != other.tobytes()


def test_copies_are_in_a_subset_together(alloy):
    X, y, _, blocks = alloy
    model = ResamplingEnsemble(blocks=blocks, n_models=6).fit(np.vstack([X[:30], X[:30]]), np.tile(y[:30], 2))
    for part in model.models_:
        assert len(part.fitted_.grouping.kept) == 15
        assert len(part.fitted_.grouping.merged_to) == 30


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"n_models": 1}, InvalidSettingError, "at least 2, whole numbers"),
        ({"fraction": 1.0}, InvalidSettingError, "fraction between 0 and 1"),
        ({"fraction": 0.02}, InvalidTrainingSetError, "subsets of at least 3 labels"),
        ({"n_models": 2, "fraction": 0.99}, InvalidTrainingSetError, "unseen by two submodels"),
    ],
)
def test_impossible_ensembles_are_refused(smooth, settings, error, message):
    with pytest.raises(error, match=message):
        ResamplingEnsemble(**settings).fit(*smooth)
