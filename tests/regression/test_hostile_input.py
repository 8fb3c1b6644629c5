"""Whatever comes in from outside works or ends in a sentence: never a warning of numpy, never a wrong number."""

import numpy as np
import pytest

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression import (
    FeatureCompressor,
    Hyperparameters,
    Kernel,
    KernelModel,
    KernelShape,
    KernelTerm,
    ModelSettings,
    PoolModel,
    ResamplingEnsemble,
    SparseKernelModel,
    calibrate,
    cap_height,
    diagnose,
    farthest_points,
    learning_curve,
    plot_learning_curves,
    tune_cap,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4))
Y = 0.1 * np.sin(X[:, 0]) + 0.05 * X[:, 1] ** 2
THIRDS = RNG.integers(0, 3, 40) / 2.0
MODELS = [
    KernelModel(max_kernels=12),
    KernelModel("linear", max_kernels=12),
    SparseKernelModel(n_active=15, n_tuning=30),
    ResamplingEnsemble(n_models=4),
]
NAMES = ["kernel", "linear", "sparse", "ensemble"]


def spike(height, n=40):
    return np.where(np.arange(n) == 5, height, 0.0)


@pytest.fixture
def pool():
    model = PoolModel({"all": X})
    model.add(range(20))
    model.fit(Y[:20])
    return model


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        ([[1.0, 2.0], [3.0]], [1.0, 2.0], "rows of equal length in X"),
        (X, np.ma.masked_array(Y, mask=np.arange(40) == 3), "no masked values in y, found 1"),
        (X, np.arange(40).astype("datetime64[D]"), "found dates"),
        (X, 0.1 + 1e-17 * np.arange(40), "labels that differ, found 40 times 0.1"),
        (X, np.where(np.arange(40) == 3, np.nextafter(0.1, 1.0), 0.1), "labels that differ"),
        (X, 1e200 * Y, "Choose another unit"),
        (X, 1e-200 * Y, "Choose another unit"),
        (1e160 * X, Y, "Choose another unit"),
        (1e-200 * X, Y, "Choose another unit"),
        (np.ones((12, 3)), np.arange(12.0), "found all 12 in one: their features coincide"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_by_every_model(model, features, labels, message):
    with pytest.raises(InvalidTrainingSetError, match=message):
        model.fit(features, labels)


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
@pytest.mark.parametrize(
    ("features", "labels"),
    [
        (1e6 * X, Y),
        (X + 1e4, Y),
        (X * [1e6, 1.0, 1.0, 1.0], Y),
        (X[:, :1], Y),
        (X, 1e5 + 1e-2 * Y),
        (X.astype(object), Y.astype(object)),
        (X.astype(np.float32), Y > 0.05),
        (X, Y + spike(1e6)),
        (np.vstack([X, X, X]), np.tile(Y, 3)),
        (np.vstack([X, X]), np.concatenate([Y, Y + 0.01])),
        (np.repeat(X[:3], 4, axis=0), np.sin(np.arange(12.0))),
    ],
)
def test_odd_but_usable_input_gives_finite_predictions(model, features, labels):
    mean, std = model.fit(features, labels).predict(features, return_std=True)
    assert np.all(np.isfinite(mean))
    assert np.all(std > 0.0)


def test_one_label_unlike_all_others_is_believed_when_nothing_else_differs():
    model = KernelModel(max_kernels=12).fit(X, spike(1.0))
    assert model.suspects_.tolist() == []
    assert np.all(np.isfinite(model.loo_std_))


def test_a_label_wrong_by_a_million_spoils_neither_means_nor_intervals():
    clean, wrong = (KernelModel().fit(X, labels) for labels in (Y, Y + spike(1e6)))
    assert wrong.suspects_.tolist() == [5]
    others = np.delete(np.arange(40), 5)
    (expected, _), (found, std) = (model.predict(X, return_std=True) for model in (clean, wrong))
    np.testing.assert_allclose(found[others], expected[others], atol=1e-3)
    assert std.max() < 0.1


def test_three_compositions_determine_a_quadratic_mean():
    features = np.column_stack([X, THIRDS])
    model = KernelModel(mean="quadratic", composition=4, max_kernels=12)
    assert model.fit(features, Y).loo_rmse_ < np.std(Y)
    only = [int(np.flatnonzero(third == THIRDS)[0]) for third in (0.0, 0.5, 1.0)]
    with pytest.raises(InvalidTrainingSetError, match="more labels than coefficients of the mean"):
        model.fit(features[only], [0.0, 1.0, 3.0])
    with pytest.raises(InvalidTrainingSetError, match="determine all 3 coefficients"):
        model.fit(features[THIRDS < 1.0], Y[THIRDS < 1.0])


def test_a_wrong_label_that_the_mean_cannot_spare_is_believed():
    low = np.flatnonzero(THIRDS < 1.0)
    ends = np.flatnonzero(THIRDS == 1.0)[:2]
    chosen = np.concatenate([low, ends])
    labels = Y[chosen]
    labels[-1] += 5.0
    features = np.column_stack([X, THIRDS])[chosen]
    model = KernelModel(mean="quadratic", composition=4, max_kernels=12).fit(features, labels)
    assert model.suspects_.tolist() == []


def test_groups_may_be_the_texts_of_a_table():
    names = np.array(["a", "b", "c", "d"] * 10)
    fitted = [KernelModel(max_kernels=12).fit(X, Y, groups=groups) for groups in (names, names.astype(object))]
    np.testing.assert_array_equal(*(model.predict(X) for model in fitted))


@pytest.mark.parametrize("shape", [KernelShape.GAUSSIAN, KernelShape.LINEAR])
def test_a_kernel_singular_beyond_rounding_is_refused(shape):
    kernel = Kernel(terms=(KernelTerm(block="all", length_scale=1e6),), shape=shape)
    with pytest.raises(InvalidTrainingSetError, match="Raise the regularization"):
        KernelModel(hyperparameters=Hyperparameters(kernel=kernel, regularization=0.0)).fit(X, Y)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (KernelModel(n_averaged=2.5), "whole numbers, found {'n_averaged': 2.5}"),
        (KernelModel(suspicion="6"), "suspicion > 0"),
        (KernelModel(blocks={"a": [0, 1]}), "slices of columns by block name"),
        (KernelModel(blocks={}), "slices of columns by block name"),
        (KernelModel(blocks={"a": slice(0, 2), "b": slice(2, 9)}), "within the 4 columns .* for block 'b'"),
        (SparseKernelModel(blocks={"a": slice(7, 9)}), "within the 4 columns"),
        (KernelModel(composition=1.5), "a column 0 to 3"),
        (KernelModel(hyperparameters=3), "Expected Hyperparameters or None"),
        (SparseKernelModel(n_active=5.5), "whole numbers"),
        (SparseKernelModel(seed=-1), "counts of at least 0"),
        (SparseKernelModel(hyperparameters=3), "hyperparameters on blocks"),
        (ResamplingEnsemble(n_models=1), "counts of at least 2"),
        (FeatureCompressor(n_features=1.5), "whole numbers"),
    ],
)
def test_settings_of_a_wrong_kind_are_refused(model, message):
    with pytest.raises(InvalidSettingError, match=message):
        model.fit(X, Y)


def test_settings_are_members_of_their_enumerations():
    with pytest.raises(InvalidSettingError, match=r"KernelShape\.GAUSSIAN"):
        ModelSettings(shape="gaussian")


@pytest.mark.parametrize(
    ("groups", "message"),
    [([None, 1] * 20, "a name for every group"), ([np.nan] * 40, "a name for every group"), ([3] * 40, "2 groups")],
)
def test_groups_that_group_nothing_are_refused(groups, message):
    with pytest.raises(InvalidTrainingSetError, match=message):
        KernelModel().fit(X, Y, groups=groups)


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([99], r"candidates 0 to 39, found \[99\]"),
        ([-1], r"candidates 0 to 39, found \[-1\]"),
        ([1.5], "whole numbers that name candidates"),
        (np.ones(40, dtype=np.bool_), r"with np\.flatnonzero"),
    ],
)
def test_candidates_that_are_none_are_refused(pool, candidates, message):
    for use in (pool.predict, pool.posterior, pool.add):
        with pytest.raises(InvalidTrainingSetError, match=message):
            use(candidates)
    assert pool.labelled.tolist() == list(range(20))


def test_no_candidates_give_no_predictions(pool):
    assert [part.shape for part in pool.predict(np.array([], dtype=np.intp))] == [(0,), (0,)]


def test_a_pool_checks_blocks_and_compositions():
    with pytest.raises(InvalidSettingError, match="feature arrays by block name"):
        PoolModel(X)
    with pytest.raises(InvalidTrainingSetError, match="finite numbers in composition"):
        PoolModel({"all": X}, composition=np.full(40, np.nan))


@pytest.mark.parametrize("labels", [np.ones(40), Y[:3]])
def test_a_score_needs_labels_that_differ_one_per_row(labels):
    with pytest.raises(InvalidTrainingSetError, match="one label per row that are not all equal"):
        KernelModel(max_kernels=2).fit(X, Y).score(X, labels)


def test_caps_and_heights_are_numbers_that_fit():
    with pytest.raises(InvalidSettingError, match="cap > 0"):
        cap_height(Y, "0.1")
    with pytest.raises(InvalidTrainingSetError, match="finite numbers in heights"):
        tune_cap(lambda energies: (energies, energies), np.arange(3.0), [np.nan, 1.0, 2.0])
    with pytest.raises(InvalidTrainingSetError, match="one height per energy"):
        tune_cap(lambda energies: (energies, energies), np.arange(5.0), np.arange(4.0))


@pytest.mark.parametrize(
    ("residuals", "std", "options", "error", "message"),
    [
        ([np.nan, 1.0], [1.0, 1.0], {}, InvalidTrainingSetError, "finite numbers in residuals"),
        ([1.0, 1.0], [np.inf, 1.0], {}, InvalidTrainingSetError, "finite numbers in std"),
        (np.ones((2, 2)), np.ones((2, 2)), {}, InvalidTrainingSetError, "one number per structure"),
        ([1.0], [1.0], {"levels": (95,)}, InvalidSettingError, "levels between 0 and 1"),
        ([1.0], [1.0], {"degrees_of_freedom": -1.0}, InvalidSettingError, "positive degrees of freedom"),
    ],
)
def test_a_diagnosis_checks_what_it_is_given(residuals, std, options, error, message):
    with pytest.raises(error, match=message):
        diagnose(residuals, std, **options)


@pytest.mark.parametrize("z", [np.zeros(5), np.array([]), np.array([np.nan, 1.0])])
def test_scores_that_calibrate_nothing_are_refused(z):
    with pytest.raises(InvalidTrainingSetError, match="finite z-scores that are not all zero"):
        calibrate(z)


def test_a_suspect_does_not_widen_the_intervals_beyond_the_worst_other_label():
    z = np.append(np.linspace(-2.0, 2.0, 39), 1e6)
    assert calibrate(z, is_suspect=np.arange(40) == 39).scale < 1.5


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (lambda _X, _y, Q: np.zeros((len(Q), 1)), "one number per structure"),
        (lambda _X, _y, Q: np.full(len(Q), np.nan), "finite numbers in the predictions"),
        (lambda _X, _y, _Q: np.zeros(1), "predictions of 'model', found 1"),
    ],
)
def test_a_learning_curve_checks_predictions(predict, message):
    with pytest.raises(InvalidTrainingSetError, match=message):
        learning_curve(predict, X, Y, sizes=[5, 10])


def test_an_exact_model_has_no_exponent():
    assert np.isnan(learning_curve(lambda _X, _y, Q: Q[:, 0], X, X[:, 0], sizes=[5, 10]).exponent)


def test_farthest_points_check_their_start():
    with pytest.raises(InvalidTrainingSetError, match="candidates 0 to 2"):
        farthest_points(np.eye(3), 2, start=7)
    with pytest.raises(InvalidTrainingSetError, match="finite numbers in the Gram matrix"):
        farthest_points(np.full((3, 3), np.nan), 2)


def test_a_pool_checks_what_kind_of_thing_it_is_given():
    with pytest.raises(InvalidSettingError, match=r"ModelSettings or None, found .*linear"):
        PoolModel({"all": X}, settings={"mean": "linear"})
    with pytest.raises(InvalidSettingError, match="representations by name, found list"):
        PoolModel({"all": X}, alternatives=[X])
    with pytest.raises(
        InvalidTrainingSetError, match=r"composition for each of 40 structures \(constant mean\), found shape \(3,\)"
    ):
        PoolModel({"all": X}, composition=np.ones(3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModelSettings(log_lengths=(float("nan"),)), "a tuple of numbers"),
        (lambda: ModelSettings(log_lengths="ab"), "a tuple of numbers, found 'ab'"),
        (lambda: ModelSettings(log_regularization_bounds=(1.0,)), "two numbers"),
        (lambda: KernelTerm(block="all", length_scale="long"), "positive length scale for block 'all', found 'long'"),
        (lambda: KernelTerm(block="all", length_scale=1.0, weight=None), "weight >= 0 for block 'all', found None"),
        (lambda: plot_learning_curves([]), "learning curves to draw"),
    ],
)
def test_settings_that_are_no_numbers_are_refused(make, message):
    with pytest.raises(InvalidSettingError, match=message):
        make()


def test_a_fit_shows_itself_in_a_few_lines(pool):
    shown = repr(pool.fitted)
    assert "suspects=array([]" in shown
    assert "factor" not in shown


def test_samples_need_a_generator(pool):
    with pytest.raises(InvalidSettingError, match=r"np\.random\.default_rng\(0\), found 0"):
        pool.posterior([30, 31]).sample(3, 0)


def test_candidates_that_are_no_list_are_refused():
    model = PoolModel({"all": np.eye(4)})
    with pytest.raises(
        InvalidTrainingSetError, match="Expected a list of whole numbers that name candidates, found shape"
    ):
        model.add(25)
    assert model.labelled.size == 0


def test_a_number_of_samples_below_zero_is_refused():
    model = PoolModel({"all": np.random.default_rng(0).normal(size=(8, 2))})
    model.add([0, 1, 2, 3, 4])
    model.fit([0.0, 1.0, 0.5, 0.3, 0.9])
    posterior = model.posterior(np.array([6, 7]))
    assert posterior.sample(0, np.random.default_rng(0)).shape == (0, 2)
    for n in (-1, 2.5):
        with pytest.raises(InvalidSettingError, match="whole numbers, found"):
            posterior.sample(n, np.random.default_rng(0))


def test_a_warm_start_of_another_kind_is_refused():
    model = PoolModel({"all": np.random.default_rng(0).normal(size=(8, 2))})
    model.add([0, 1, 2, 3, 4])
    with pytest.raises(InvalidSettingError, match="Expected a warm start on one of the representations"):
        model.fit([0.0, 1.0, 0.5, 0.3, 0.9], warm_start="yesterday's")
