"""The estimator tunes itself, keeps scikit-learn's conventions, and refuses what it cannot learn from."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression import (
    FeatureCompressor,
    Hyperparameters,
    Kernel,
    KernelModel,
    KernelPrior,
    KernelTerm,
    ModelSettings,
    ResamplingEnsemble,
    SparseKernelModel,
)

EXPECTED_FAILURES = {
    "check_estimators_unfitted": "its error is Hullscout's NotFittedError: scikit-learn's would import scikit-learn",
    "check_dtype_object": "numbers that are no numbers raise Hullscout's error, not a TypeError",
    "check_supervised_y_2d": "a column of labels is refused, not flattened with a warning",
}


@pytest.mark.parametrize(
    "estimator",
    [KernelModel(n_averaged=2, max_kernels=8), SparseKernelModel(n_active=10, n_tuning=20), FeatureCompressor()],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.filterwarnings("ignore:Estimator .* does not inherit:UserWarning")
def test_scikit_learns_own_checks_pass(estimator):
    results = check_estimator(estimator, expected_failed_checks=EXPECTED_FAILURES, on_fail=None, on_skip=None)
    assert [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"] == []


@pytest.mark.parametrize("estimator", [KernelModel(), SparseKernelModel(), ResamplingEnsemble(), FeatureCompressor()])
def test_estimators_clone_and_show_what_was_changed(estimator):
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    assert repr(copy) == f"{type(copy).__name__}()"
    with pytest.raises(InvalidSettingError, match="Invalid parameter 'sigma'"):
        copy.set_params(sigma=1.0)


def test_estimator_works_in_pipelines_searches_and_cross_validation(smooth):
    X, y = smooth
    model = KernelModel(max_kernels=10)
    assert cross_val_score(model, X, y, cv=3).min() > 0.5
    search = GridSearchCV(make_pipeline(StandardScaler(), model), {"kernelmodel__kernel": ["gaussian", "linear"]}, cv=3)
    assert search.fit(X, y).best_params_ == {"kernelmodel__kernel": "gaussian"}


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian", "matern32", "matern52", "linear"])
@pytest.mark.parametrize("combination", ["sum", "joint"])
def test_every_kernel_learns_the_alloy(alloy, kernel, combination):
    X, y, _, blocks = alloy
    model = KernelModel(kernel, combination=combination, blocks=blocks, composition=10, mean="linear").fit(
        X[:80], y[:80]
    )
    mean, std = model.predict(X[80:], return_std=True)
    assert np.sqrt(np.mean((mean - y[80:]) ** 2)) < 0.5 * np.std(y)
    assert np.mean(np.abs(mean - y[80:]) < 1.96 * std) > 0.8


@pytest.mark.parametrize("criterion", ["log-score", "rmse", "marginal-likelihood"])
def test_every_criterion_beats_a_model_of_one_length_scale(alloy, criterion):
    X, y, _, blocks = alloy
    rigid = Hyperparameters(
        kernel=Kernel(terms=(KernelTerm(block="k2", length_scale=0.05), KernelTerm(block="k3", length_scale=0.05))),
        regularization=1e-6,
    )
    tuned = KernelModel(blocks=blocks, criterion=criterion).fit(X[:60], y[:60])
    untuned = KernelModel(blocks=blocks, hyperparameters=rigid).fit(X[:60], y[:60])
    assert tuned.loo_rmse_ < 0.5 * untuned.loo_rmse_


@pytest.mark.parametrize("mean", ["zero", "constant", "linear"])
def test_leave_one_out_predictions_are_those_of_models_fitted_without(alloy, mean):
    X, y, _, blocks = alloy
    X, y = X[:40], y[:40]
    tuned = KernelModel(blocks=blocks, mean=mean, composition=10, n_averaged=1, suspicion=np.inf).fit(X, y)
    fixed = KernelModel(
        blocks=blocks, mean=mean, composition=10, hyperparameters=tuned.hyperparameters_, suspicion=np.inf
    )
    for label in (0, 13, 39):
        rest = np.delete(np.arange(40), label)
        assert fixed.fit(X[rest], y[rest]).predict(X[[label]])[0] == pytest.approx(tuned.loo_mean_[label], abs=1e-8)


def test_weights_find_the_block_that_matters(alloy):
    X, y, _, blocks = alloy
    noise = np.random.default_rng(0).normal(size=(len(y), 10))
    columns = {**blocks, "noise": slice(11, 21)}
    model = KernelModel(blocks=columns, n_averaged=1).fit(np.hstack([X, noise])[:100], y[:100])
    terms = {term.block: term for term in model.hyperparameters_.kernel.terms}
    influence = {name: term.weight / term.length_scale**2 for name, term in terms.items()}
    assert influence["noise"] < 0.02 * influence["k2"]


def test_tuning_chooses_among_representations(alloy):
    X, y, _, _ = alloy
    blurred = np.round(X[:, :10] * 1.5) / 1.5
    model = KernelModel(blocks={"all": slice(10, 20)}, alternatives={"sharp": {"all": slice(0, 10)}}, n_averaged=1).fit(
        np.hstack([X[:, :10], blurred])[:80], y[:80]
    )
    assert model.hyperparameters_.representation == "sharp"


def test_same_labels_give_the_same_bytes(alloy):
    X, y, _, blocks = alloy
    first, second = (KernelModel(blocks=blocks).fit(X[:50], y[:50]).predict(X, return_std=True) for _ in range(2))
    assert first[0].tobytes() == second[0].tobytes()
    assert first[1].tobytes() == second[1].tobytes()


def test_order_of_the_labels_does_not_matter(alloy):
    X, y, _, blocks = alloy
    order = np.random.default_rng(0).permutation(50)
    straight = KernelModel(blocks=blocks, n_averaged=1).fit(X[:50], y[:50])
    shuffled = KernelModel(blocks=blocks, n_averaged=1).fit(X[:50][order], y[:50][order])
    np.testing.assert_allclose(straight.predict(X), shuffled.predict(X), atol=1e-7)


GOOD_X = np.random.default_rng(0).normal(size=(12, 3))
GOOD_Y = GOOD_X.sum(axis=1)


def replaced(array, value):
    changed = array.copy()
    changed.flat[4] = value
    return changed


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (GOOD_X, replaced(GOOD_Y, np.nan), r"finite numbers in y, found 1 NaN or inf, the first at index \[4\]"),
        (GOOD_X, replaced(GOOD_Y, np.inf), "finite numbers in y"),
        (replaced(GOOD_X, np.nan), GOOD_Y, r"finite numbers in X, found 1 NaN or inf, the first at index \[1, 1\]"),
        (GOOD_X[:2], GOOD_Y[:2], "at least 3 labels, found n_samples=2"),
        (GOOD_X, np.full(12, 0.25), "labels that differ, found 12 times 0.25"),
        (GOOD_X, GOOD_Y[:-1], "one label per row, found 11 labels and 12 rows"),
        (GOOD_X[:, 0], GOOD_Y, "Expected 2D array for X, found 1D"),
        (GOOD_X[:0], GOOD_Y[:0], r"0 sample\(s\)"),
        (GOOD_X[:, :0], GOOD_Y, r"0 feature\(s\)"),
        (GOOD_X, GOOD_Y[:, None], "labels y of shape"),
        (GOOD_X + 1j, GOOD_Y, "Complex data not supported"),
        (np.full((12, 3), "a"), GOOD_Y, "Expected numbers in X"),
        (np.repeat(GOOD_X[:2], 6, axis=0), np.repeat(GOOD_Y[:2], 6), "3 different structures, found 2"),
    ],
)
def test_labels_and_features_that_cannot_be_learned_from_are_refused(X, y, message):
    with pytest.raises(InvalidTrainingSetError, match=message):
        KernelModel().fit(X, y)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel": "cubic"}, "'cubic' is not a valid KernelShape"),
        ({"mean": "cubic"}, "'cubic' is not a valid Mean"),
        ({"criterion": "luck"}, "'luck' is not a valid Criterion"),
        ({"n_averaged": 0}, "counts of at least 1"),
        ({"suspicion": 0.0}, "suspicion > 0"),
        ({"blocks": {"k2": slice(3, 3)}}, "columns for block 'k2'"),
        ({"composition": 7}, "a column 0 to 2"),
        ({"alternatives": {"other": {"k9": slice(0, 1)}}}, "the blocks"),
        (
            {
                "hyperparameters": Hyperparameters(
                    kernel=Kernel(terms=(KernelTerm(block="k2", length_scale=1.0),)), regularization=0.1
                )
            },
            "Expected hyperparameters of",
        ),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(InvalidSettingError, match=message):
        KernelModel(**settings).fit(GOOD_X, GOOD_Y)


@pytest.mark.parametrize(
    "model",
    [KernelModel(max_kernels=4), SparseKernelModel(n_active=5), ResamplingEnsemble(n_models=3), FeatureCompressor()],
    ids=lambda model: type(model).__name__,
)
def test_columns_of_a_table_are_held_to_their_names(model):
    table = pd.DataFrame(GOOD_X, columns=["a", "b", "c"])
    use = (
        model.fit(table, pd.Series(GOOD_Y)).transform
        if hasattr(model, "transform")
        else model.fit(table, GOOD_Y).predict
    )
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(use(table), use(GOOD_X), rtol=1e-9)
    with pytest.raises(InvalidTrainingSetError, match=r"found \['c', 'a', 'b'\] instead of \['a', 'b', 'c'\]"):
        use(table[["c", "a", "b"]])
    assert not hasattr(model.fit(GOOD_X, GOOD_Y), "feature_names_in_")


def test_a_composition_mean_needs_compositions():
    with pytest.raises(InvalidTrainingSetError, match="a composition for each of 12 structures"):
        KernelModel(mean="linear").fit(GOOD_X, GOOD_Y)


def test_groups_of_another_length_are_refused():
    with pytest.raises(InvalidTrainingSetError, match="one group number per label"):
        KernelModel().fit(GOOD_X, GOOD_Y, groups=[1, 2])


def test_prediction_checks_its_rows():
    model = KernelModel()
    with pytest.raises(InvalidTrainingSetError, match="not fitted yet"):
        model.predict(GOOD_X)
    model.fit(GOOD_X, GOOD_Y)
    with pytest.raises(InvalidTrainingSetError, match="X has 2 features, but KernelModel is expecting 3"):
        model.predict(GOOD_X[:, :2])
    with pytest.raises(InvalidSettingError, match="one of return_std and return_cov"):
        model.predict(GOOD_X, return_std=True, return_cov=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"regularization": -1.0}, "regularization >= 0"), ({"signal_variance": 0.0}, "positive signal variance")],
)
def test_impossible_hyperparameters_are_refused(values, message):
    kernel = Kernel(terms=(KernelTerm(block="all", length_scale=1.0),))
    with pytest.raises(InvalidSettingError, match=message):
        Hyperparameters(**{"kernel": kernel, "regularization": 0.1, **values})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"log_lengths": ()}, "at least one coarse length scale"),
        ({"log_length_bounds": (1.0, 0.0)}, "bounds in rising order"),
        ({"n_regularizations": 0}, "counts of at least 1"),
    ],
)
def test_impossible_searches_are_refused(values, message):
    with pytest.raises(InvalidSettingError, match=message):
        ModelSettings(**values)


def test_a_block_that_says_nothing_does_no_harm(alloy):
    X, y, _, blocks = alloy
    silent = np.hstack([X, np.ones((len(X), 2))])
    model = KernelModel(blocks={**blocks, "silent": slice(11, 13)}).fit(silent[:60], y[:60])
    plain = KernelModel(blocks=blocks).fit(X[:60], y[:60])
    assert model.loo_rmse_ < 1.3 * plain.loo_rmse_


def test_blocks_that_go_beside_others_are_drawn_where_there_are_no_others():
    prior = KernelPrior(log_length_mean=0.0, log_length_std=1.0, log_weight_std=1.0, extras=(("volume", 1.0, -2.0),))
    points = prior.points(["volume"])
    assert len(points) == prior.n_drawn
    assert {weights for _, weights in points} == {(0.0,)}
