"""Sparse models approach the exact one, ensembles spread where they are wrong."""

import numpy as np
import pytest

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression import Hyperparameters, Kernel, KernelModel, KernelShape, KernelTerm, ResamplingEnsemble
from hullscout.regression import SparseKernelModel as Sparse
from hullscout.regression.sparse import fit_active

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


ALTERNATIVES = [Sparse(n_active=30, n_tuning=50), ResamplingEnsemble(n_models=6)]
NAMES = ["sparse", "ensemble"]


def predicted(model, X, y, new, groups=None):
    mean, std = model.fit(X, y, groups).predict(new, return_std=True)
    return mean, std, model


@pytest.mark.parametrize("model", ALTERNATIVES, ids=NAMES)
@pytest.mark.parametrize("wrong", [3, 41])
def test_a_label_off_by_200_mev_is_named_and_hardly_moves_the_others(alloy, model, wrong):
    X, y, _, blocks = alloy
    model.set_params(blocks=blocks)
    labels = y[:60].copy()
    labels[wrong] += 0.2
    clean, _, _ = predicted(model, X[:60], y[:60], X[60:])
    assert model.suspects_.tolist() == []
    mean, std, _ = predicted(model, X[:60], labels, X[60:])
    assert model.suspects_.tolist() == [wrong]
    assert np.mean(np.abs(mean - clean) <= std) > 0.97
    trusting, _, _ = predicted(model.set_params(suspicion=np.inf), X[:60], labels, X[60:])
    model.set_params(suspicion=6.0)
    assert np.linalg.norm(mean - y[60:]) < 0.7 * np.linalg.norm(trusting - y[60:])


@pytest.mark.parametrize("model", ALTERNATIVES, ids=NAMES)
def test_every_structure_twice_gives_the_same_model(alloy, model):
    X, y, _, blocks = alloy
    model.set_params(blocks=blocks)
    once = predicted(model, X[:60], y[:60], X[60:])
    twice = predicted(model, np.vstack([X[:60], X[:60]]), np.tile(y[:60], 2), X[60:])
    for found, expected in zip(twice[:2], once[:2], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("groups", [None, "pairs"])
def test_a_sparse_model_leaves_groups_out_in_closed_form(smooth, groups):
    X, y = smooth
    given = None if groups is None else np.arange(60) // 2
    model = Sparse(n_active=60, hyperparameters=SETTING, suspicion=np.inf)
    loo = model.fit(X, y, given).loo_mean_
    for label in (0, 31, 58):
        rest = np.delete(np.arange(60), [label] if groups is None else [label, label ^ 1])
        reduced = Sparse(n_active=60, hyperparameters=SETTING, suspicion=np.inf).fit(X[rest], y[rest])
        assert reduced.predict(X[[label]])[0] == pytest.approx(loo[label], abs=1e-8)


def test_coinciding_rows_with_other_labels_are_left_out_together_by_a_sparse_model(smooth):
    X, y = smooth
    model = Sparse(n_active=40, hyperparameters=SETTING).fit(np.vstack([X, X[:5]]), np.append(y, y[:5] + 0.02))
    np.testing.assert_allclose(model.loo_mean_[:5], model.loo_mean_[60:], atol=1e-9)
    assert model.loo_std_.shape == (65,)
    assert len(np.unique(model.active_)) == 40


def test_variance_of_a_left_out_group_is_that_of_a_regression_without_it():
    rng = np.random.default_rng(0)
    features, y, group = rng.normal(size=(20, 4)), rng.normal(size=20), np.array([3, 8])
    none = np.zeros(20)
    whole = fit_active(features, none, y, regularizations=[0.1], signal_variance=2.0, groups=[group])
    rest = np.delete(np.arange(20), group)
    without = fit_active(features[rest], none[rest], y[rest], regularizations=[0.1], signal_variance=2.0)
    np.testing.assert_allclose(y[group] - whole.left_out.residuals[group, 0], without.mean(features[group]), atol=1e-10)
    np.testing.assert_allclose(
        2.0 * whole.left_out.variances[group, 0], without.variance(features[group], none[group]), atol=1e-10
    )


def test_a_wrong_label_without_which_nothing_differs_is_believed_by_a_sparse_model(smooth):
    X, _ = smooth
    model = Sparse(n_active=20, n_tuning=60).fit(X, np.where(np.arange(60) == 5, 1.0, 0.0))
    assert model.suspects_.tolist() == []


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
        ({"suspicion": -1.0}, "suspicion > 0"),
        ({"blocks": {"a": slice(9, 12)}}, "for block 'a'"),
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
