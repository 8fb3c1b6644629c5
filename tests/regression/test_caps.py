"""Capped heights keep their order, their low part and their cap; the cap can be chosen by leave-one-out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression import KernelModel, cap_height, tune_cap

caps = st.floats(0.01, 2.0)
heights = st.lists(st.floats(-0.5, 20.0), min_size=2, max_size=8).map(np.array)


@given(cap=caps, values=heights)
def test_order_is_kept_and_no_height_exceeds_the_cap(cap, values):
    capped = cap_height(values, cap)
    assert np.all(np.diff(capped[np.argsort(values)]) >= 0.0)
    assert np.all(np.abs(capped) <= np.minimum(np.abs(values), cap) + 1e-12)


@given(cap=caps)
def test_low_heights_stay_to_third_order(cap):
    low = np.linspace(0.0, 0.1, 5)
    np.testing.assert_allclose(cap_height(low * cap, cap), cap * (low - low**3 / 3.0), atol=2e-6 * cap)


def test_an_infinite_cap_changes_nothing():
    values = np.array([-0.1, 0.2, 5.0])
    assert cap_height(values, np.inf).tolist() == values.tolist()


def test_tuning_caps_a_pool_with_wild_energies_and_its_low_part_is_learned_better(alloy):
    X, y, _, blocks = alloy
    wild = X[:, 0] > 0.5
    energies = y + np.where(wild, 3.0 * (X[:, 0] + 0.3 * X[:, 7]) ** 2, 0.0)
    above = energies - energies.min()

    def leave_out(labels):
        model = KernelModel(blocks=blocks, max_kernels=12, suspicion=np.inf).fit(X[:80], labels)
        return model.loo_mean_, model.loo_std_

    found = tune_cap(leave_out, energies[:80], above[:80])
    assert found < np.inf

    def low_error(cap):
        labels = (energies - above + cap_height(above, cap))[:80]
        return np.sqrt(np.mean((leave_out(labels)[0] - labels)[above[:80] < 0.05] ** 2))

    assert low_error(found) < low_error(np.inf)


@pytest.mark.parametrize("cap", [0.0, -0.1, np.nan])
def test_impossible_caps_are_refused(cap):
    with pytest.raises(InvalidSettingError, match="cap > 0"):
        cap_height(np.zeros(3), cap)


def test_a_cap_is_chosen_from_some_on_labels_near_the_hull():
    with pytest.raises(InvalidSettingError, match="at least one cap"):
        tune_cap(lambda labels: (labels, labels), np.zeros(3), np.zeros(3), caps=())
    with pytest.raises(InvalidTrainingSetError, match=r"3 labels within 0\.1 eV/atom of the hull, found 1"):
        tune_cap(lambda labels: (labels, labels), np.zeros(3), np.array([0.0, 1.0, 2.0]), caps=(0.1,))
