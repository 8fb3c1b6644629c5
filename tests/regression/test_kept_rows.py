"""What was solved of a large pool is kept: predictions equal those from nothing, and say nothing of how labels came."""

import numpy as np
import pytest

from hullscout.regression import KernelPrior, KernelShape, Mean, ModelSettings, PoolModel, kept_rows, pool_model
from hullscout.regression.kept_rows import _edges

SETTINGS = ModelSettings(mean=Mean.LINEAR, shape=KernelShape.MATERN52)


@pytest.fixture(autouse=True)
def _every_pool_is_large(monkeypatch):
    monkeypatch.setattr(pool_model, "_SLICE", 16)
    monkeypatch.setattr(kept_rows, "_COLUMNS", 50)


def _pool(alloy, settings=SETTINGS):
    X, _, x, blocks = alloy
    return PoolModel({name: X[:, columns] for name, columns in blocks.items()}, composition=x, settings=settings)


def _predicted(pool, y, upto):
    start = len(pool.labelled)
    pool.add(range(start, upto))
    pool.fit(y[:upto])
    return pool.predict()


def _solved(monkeypatch):
    """How many rows were solved of how many settings, as they are."""
    solved, grow = [], kept_rows._Rows.grow

    def counted(rows, parts, places, diagonal):
        before = rows._labels.size
        grow(rows, parts, places, diagonal)
        solved.append(rows._labels.size - before)

    monkeypatch.setattr(kept_rows._Rows, "grow", counted)
    return solved


def test_predictions_are_those_from_nothing(alloy, monkeypatch):
    y = alloy[1]
    kept, plain = _pool(alloy), _pool(alloy)
    for n in (20, 21, 24, 61, 140):
        found = _predicted(kept, y, n)
        with monkeypatch.context() as patched:
            patched.setattr(kept_rows, "MAX_BYTES", 0)
            expected = _predicted(plain, y, n)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_how_labels_came_leaves_no_trace(alloy):
    y, at_once, one_by_one, some = alloy[1], _pool(alloy), _pool(alloy), _pool(alloy)
    expected = _predicted(at_once, y, 90)
    for n in range(20, 91):
        found = _predicted(one_by_one, y, n)
    for n in (33, 34, 71, 90):
        then = _predicted(some, y, n)
    for one, two, three in zip(expected, found, then, strict=True):
        assert one.tobytes() == two.tobytes() == three.tobytes()


def test_what_was_solved_is_not_solved_again(alloy, monkeypatch):
    only = KernelPrior(log_length_mean=1.0, log_length_std=0.0, log_weight_std=0.0, n_drawn=1)
    settings = ModelSettings(prior=only, log_regularization_bounds=(-4.0, -4.0), n_regularizations=1)
    pool, y = _pool(alloy, settings), alloy[1]
    _predicted(pool, y, 80)
    solved = _solved(monkeypatch)
    pool.predict()
    for n in range(81, 95):
        _predicted(pool, y, n)
    assert solved == [0, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0]


def test_suspects_and_copies_are_solved_as_they_are_learned(alloy, monkeypatch):
    X, y, x, blocks = alloy
    X, x, y = np.vstack([X[:70], X[3:6], X[70:]]), np.concatenate([x[:70], x[3:6], x[70:]]), y.copy()
    y = np.concatenate([y[:70], y[3:6], y[70:]])
    y[40] += 0.5
    kept, plain = _pool((X, y, x, blocks)), _pool((X, y, x, blocks))
    for n in (39, 60, 80, 100):
        found = _predicted(kept, y, n)
        with monkeypatch.context() as patched:
            patched.setattr(kept_rows, "MAX_BYTES", 0)
            expected = _predicted(plain, y, n)
        assert kept.fitted.suspects.tolist() == ([40] if n > 40 else [])
        assert len(kept.fitted.grouping.kept) == min(n, 70) + max(n - 73, 0)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_no_more_is_kept_than_there_is_room_for(alloy, monkeypatch):
    pool, y, n = _pool(alloy), alloy[1], len(alloy[1])
    monkeypatch.setattr(kept_rows, "MAX_BYTES", 5 * 8 * 60 * n)
    for upto in range(20, 61):
        _predicted(pool, y, upto)
        assert len(pool._kept._settings) * 8 * upto * n <= kept_rows.MAX_BYTES
    assert len(pool.fitted.components) <= len(pool._kept._settings) <= 5


@pytest.mark.parametrize("n", [0, 3, 4, 255, 256, 263, 264, 511, 519, 528, 1040, 1100, 2000])
def test_blocks_are_counted_from_the_first_label(n):
    edges = _edges(n)
    assert edges[0] == 0
    assert edges[-1] <= n
    assert edges == _edges(n + 64)[: len(edges)]
    assert n - edges[-1] < 32
