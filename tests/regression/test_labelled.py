"""One wrong label is named and does not poison the others; right labels are trusted."""

import numpy as np
import pytest

from hullscout.regression import KernelModel
from hullscout.regression.labelled import distrust


@pytest.mark.parametrize("wrong", [3, 27, 55])
@pytest.mark.parametrize("offset", [0.2, -0.2])
def test_a_label_off_by_200_mev_is_named_and_moves_others_less_than_their_error(alloy, wrong, offset):
    X, y, _, blocks = alloy
    clean = KernelModel(blocks=blocks).fit(X[:60], y[:60])
    labels = y[:60].copy()
    labels[wrong] += offset
    model = KernelModel(blocks=blocks).fit(X[:60], labels)
    assert model.suspects_.tolist() == [wrong]
    others = np.delete(np.arange(60), wrong)
    assert np.all(np.abs(model.loo_mean_ - clean.loo_mean_)[others] <= model.loo_std_[others])
    mean, std = model.predict(X[60:], return_std=True)
    assert np.all(np.abs(clean.predict(X[60:]) - mean) <= std)


def test_trusting_every_label_is_worse(alloy):
    X, y, _, blocks = alloy
    labels = y[:60].copy()
    labels[10] += 0.2
    robust = KernelModel(blocks=blocks).fit(X[:60], labels)
    trusting = KernelModel(blocks=blocks, suspicion=np.inf).fit(X[:60], labels)

    def rmse(model):
        return np.sqrt(np.mean((model.predict(X[60:]) - y[60:]) ** 2))

    assert rmse(robust) < 0.5 * rmse(trusting)
    assert trusting.suspects_.tolist() == []


def test_several_wrong_labels_cannot_hide_each_other(alloy):
    X, y, _, blocks = alloy
    labels = y[:60].copy()
    labels[[5, 20, 41]] += [0.2, -0.3, 1.5]
    assert KernelModel(blocks=blocks).fit(X[:60], labels).suspects_.tolist() == [5, 20, 41]


def test_a_suspect_whose_noise_is_the_common_one_is_left_out_all_the_same(alloy):
    X, y, _, blocks = alloy
    labels = y[:80].copy()
    labels[[40, 36, 60]] += [0.2, -0.3, 1.5]
    model = KernelModel(combination="joint", blocks=blocks, max_kernels=20).fit(X[:80], labels)
    assert model.suspects_.tolist() == [36, 40, 60]


def test_clean_labels_are_trusted(alloy):
    X, y, _, blocks = alloy
    for start in range(0, 180, 60):
        chosen = slice(start, start + 60)
        assert KernelModel(blocks=blocks).fit(X[chosen], y[chosen]).suspects_.tolist() == []


def test_suspect_copies_are_named_together(alloy):
    X, y, _, blocks = alloy
    labels = y[:60].copy()
    labels[7] += 0.2
    model = KernelModel(blocks=blocks).fit(np.vstack([X[:60], X[[7]]]), np.append(labels, labels[7]))
    assert model.suspects_.tolist() == [7, 60]


def test_at_most_a_tenth_of_the_labels_is_distrusted():
    residuals = np.where(np.arange(40) % 3 == 0, 50.0, 0.1)
    assert len(distrust(residuals, np.ones(40), 0.5, suspicion=6.0).suspects) == 4


def test_noise_of_a_suspect_explains_its_residual():
    residuals = np.ones(20)
    residuals[4] = 30.0
    found = distrust(residuals, np.full(20, 1.5), 0.5, suspicion=6.0)
    assert found.suspects.tolist() == [4]
    assert found.noise[4] == pytest.approx((30.0**2 - 1.0) / 0.5)
    assert np.all(np.delete(found.noise, 4) == 1.0)
