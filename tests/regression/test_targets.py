"""Tamed heights keep their order, their low part and their slope; the cap can be chosen by leave-one-out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression import HeightCap, KernelModel, tune_cap

caps = st.floats(0.01, 2.0)
heights = st.lists(st.floats(-0.5, 20.0), min_size=2, max_size=8).map(np.array)


@given(cap=caps, values=heights)
def test_order_is_kept_and_low_heights_stay(cap, values):
    tamed = HeightCap(cap=cap).tame(values)
    assert np.all(np.diff(tamed[np.argsort(values)]) >= 0.0)
    assert np.all(tamed[values <= cap] == values[values <= cap])
    assert np.all(tamed <= values + 1e-12)


@given(cap=caps, values=heights)
def test_restoring_undoes_taming(cap, values):
    tamer = HeightCap(cap=cap)
    np.testing.assert_allclose(tamer.restore(tamer.tame(values)), values, rtol=1e-9, atol=1e-12)


@given(cap=caps)
def test_slope_is_continuous_at_the_cap(cap):
    step = 1e-6
    low, at, high = HeightCap(cap=cap).tame(np.array([cap - step, cap, cap + step]))
    assert (at - low) / step == pytest.approx((high - at) / step, abs=1e-3)


def test_energies_drop_by_what_their_heights_lose():
    tamer = HeightCap(cap=0.1)
    found = tamer.apply(np.array([-0.05, 2.0]), np.array([0.0, 2.1]))
    assert found.tolist() == pytest.approx([-0.05, -0.1 + 0.1 * (1.0 + np.log(21.0))])


def test_an_infinite_cap_changes_nothing():
    values = np.array([-0.1, 0.2, 5.0])
    assert HeightCap(cap=np.inf).tame(values).tolist() == values.tolist()
    assert HeightCap(cap=np.inf).restore(values).tolist() == values.tolist()


def test_tuning_tames_a_pool_with_wild_energies_and_its_low_part_is_learned_better(alloy):
    X, y, _, blocks = alloy
    wild = X[:, 0] > 0.5
    energies = y + np.where(wild, 3.0 * (X[:, 0] + 0.3 * X[:, 7]) ** 2, 0.0)
    above = energies - energies.min()

    def leave_out(labels):
        model = KernelModel(blocks=blocks, max_kernels=12, suspicion=np.inf).fit(X[:80], labels)
        return model.loo_mean_, model.loo_std_

    found = tune_cap(leave_out, energies[:80], above[:80])
    assert found.cap < np.inf

    def low_error(cap):
        mean, _ = leave_out(cap.apply(energies[:80], above[:80]))
        return np.sqrt(np.mean((mean - energies[:80])[above[:80] < 0.05] ** 2))

    assert low_error(found) < low_error(HeightCap(cap=np.inf))


def test_impossible_caps_are_refused():
    with pytest.raises(InvalidSettingError, match="cap > 0"):
        HeightCap(cap=0.0)
    with pytest.raises(InvalidSettingError, match="cap > 0"):
        HeightCap(cap=np.nan)
    with pytest.raises(InvalidTrainingSetError, match="one height per energy"):
        HeightCap(cap=0.1).apply(np.zeros(3), np.zeros(2))
    with pytest.raises(InvalidSettingError, match="at least one cap"):
        tune_cap(lambda labels: (labels, labels), np.zeros(3), np.zeros(3), caps=())
    with pytest.raises(InvalidTrainingSetError, match=r"3 labels within 0\.1 eV/atom of the hull, found 1"):
        tune_cap(lambda labels: (labels, labels), np.zeros(3), np.array([0.0, 1.0, 2.0]), caps=(0.1,))
