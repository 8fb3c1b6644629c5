"""Learning curves fall, show their spread, and draw where they are told."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from hullscout.errors import InvalidSettingError
from hullscout.regression import LearningCurve, SparseKernelModel, learning_curve, plot_learning_curves


def predict(X, y, new):
    return SparseKernelModel(n_tuning=20).fit(X, y).predict(new)


def test_errors_fall_with_training_size(alloy):
    X, y, _, _ = alloy
    curve = learning_curve(predict, X[:, :10], y, sizes=[80, 20, 40], n_repeats=3, label="sparse")
    assert curve.sizes.tolist() == [20, 40, 80]
    assert curve.errors.shape == (3, 3)
    assert curve.mean[2] < curve.mean[0]
    assert curve.exponent < -0.2
    again = learning_curve(predict, X[:, :10], y, sizes=[20, 40, 80], n_repeats=3, label="sparse")
    assert again.errors.tobytes() == curve.errors.tobytes()


def test_exponent_is_that_of_a_power_law():
    sizes = np.array([10, 100, 1000])
    curve = LearningCurve(label="law", sizes=sizes, errors=np.repeat(3.0 * sizes[:, None] ** -0.5, 2, axis=1))
    assert curve.exponent == pytest.approx(-0.5)
    np.testing.assert_allclose(curve.std, 0.0, atol=1e-15)


def test_figure_is_log_log_with_units_and_one_line_per_curve():
    sizes = np.array([10, 20])
    curves = [LearningCurve(label=name, sizes=sizes, errors=np.array([[2.0, 3.0], [1.0, 1.5]])) for name in ("a", "b")]
    axes = Figure().add_subplot()
    assert plot_learning_curves(curves, axes, unit="meV/atom") is axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_ylabel() == "RMSE (meV/atom)"
    assert len(axes.get_legend().get_texts()) == 2
    assert plot_learning_curves(curves).figure is not axes.figure


@pytest.mark.parametrize(("sizes", "n_repeats"), [([5], 1), ([5, 60], 1), ([0, 5], 1), ([5, 10], 0)])
def test_impossible_sizes_are_refused(smooth, sizes, n_repeats):
    with pytest.raises(InvalidSettingError, match="two or more sizes from 1 to 59 and a repeat"):
        learning_curve(predict, *smooth, sizes=sizes, n_repeats=n_repeats)


def test_importing_the_service_loads_neither_scikit_learn_nor_matplotlib():
    code = "import sys, hullscout.regression; print({'sklearn', 'matplotlib', 'numba', 'pymatgen'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
