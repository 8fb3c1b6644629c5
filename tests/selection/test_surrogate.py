"""The surrogate: kernels drawn from what alloys have in common, a start that covers the pool, intervals that hold near the hull."""

import numpy as np
import pytest
from views import known_of

from hullscout.regression import KernelPrior, ModelSettings, PoolModel
from hullscout.regression.calibration import scale_of
from hullscout.selection import Surrogate
from hullscout.selection.alloys import KERNELS

RNG = np.random.default_rng(3)
X = np.concatenate([[0.0, 1.0], np.repeat(np.arange(1, 6) / 6, 20)])
FEATURES = np.concatenate([[[0.0] * 3, [1.0] * 3], RNG.uniform(size=(100, 3))])
ENERGY = -0.2 * X * (1 - X) + 0.1 * np.sin(3 * FEATURES).sum(axis=1)


def test_draws_of_a_prior_are_the_same_and_follow_it():
    prior = KernelPrior(log_length_mean=1.0, log_length_std=2.0, log_weight_std=1.0, n_drawn=400)
    points = prior.points(["k2", "k3"])
    assert points == prior.points(["k2", "k3"])
    lengths, weights = np.array([length for length, _ in points]), np.array([weight for _, weight in points])
    assert lengths.mean(axis=0) == pytest.approx([1.0, 1.0], abs=0.1)
    assert lengths.std(axis=0) == pytest.approx([2.0, 2.0], abs=0.1)
    assert abs(np.corrcoef(lengths.T)[0, 1]) < 0.1
    assert (weights.max(axis=1) == 0.0).all(), "weights are over the largest"
    assert np.diff(weights, axis=1).std() == pytest.approx(2.0**0.5, abs=0.1)


def test_every_other_draw_has_an_extra_block():
    points = KERNELS.points(["k2", "k3", "volume"])
    weights = [weight[2] for _, weight in points]
    assert weights[::2] == [-1.5] * 16
    assert max(weights[1::2]) == -12.0
    assert len(KERNELS.points(["mine"])) == KERNELS.n_drawn


def test_nothing_is_searched_and_the_likelier_kernels_count():
    model = PoolModel({"all": FEATURES}, composition=X, settings=ModelSettings(prior=KERNELS, n_averaged=8))
    model.add(np.arange(40))
    fitted = model.fit(ENERGY[:40])
    distinct = set(KERNELS.points(["all"]))
    assert {(one.point.log_lengths, one.point.log_weights) for one in fitted.evaluated} == distinct
    weights = [component.weight for component in fitted.components]
    assert weights == sorted(weights, reverse=True)
    assert 1 < len(weights) <= 8
    assert weights[-1] >= 0.01 * weights[0]
    assert np.sqrt(np.mean((model.predict()[0][40:] - ENERGY[40:]) ** 2)) < 0.4 * ENERGY.std()


def test_a_start_covers_the_pool_and_is_another_for_each_seed():
    """Candidates far from each other: their smallest distance is larger than that of as many random ones."""

    def closest(rows):
        distances = np.linalg.norm(FEATURES[rows][:, None] - FEATURES[rows][None], axis=2)
        return distances[np.triu_indices(len(rows), 1)].min()

    surrogate, starts = Surrogate({"all": FEATURES}, fractions=X), []
    for seed in range(30):
        known = known_of(X, ENERGY, [0, 1], seed=seed)
        starts.append(surrogate.spread_out(known, 6))
        assert starts[-1] == surrogate.spread_out(known, 6)
        assert len({*starts[-1], 0, 1}) == 8
    assert len(set(starts)) > 25
    by_chance = [closest(RNG.permutation(np.arange(2, 102))[:6]) for _ in range(30)]
    assert np.mean([closest(list(start)) for start in starts]) > 1.3 * np.mean(by_chance)
    assert len(surrogate.spread_out(known_of(X, ENERGY, np.arange(98)), 6)) == 4


def test_a_scale_known_from_few_scores_has_the_tails_of_one_drawn_again():
    """Scores of six labels whose scale is drawn from its prior: the interval stated for a seventh holds as often as it says."""
    rng, n, n_prior = np.random.default_rng(0), 6, 4
    true = np.sqrt(n_prior / rng.chisquare(n_prior, size=20_000))
    scores = true[:, None] * rng.standard_normal((20_000, n + 1))
    found = [scale_of(one) for one in scores[:, :n]]
    is_inside = [abs(new) < one.half_width(0.95) for one, new in zip(found, scores[:, n], strict=True)]
    assert np.mean(is_inside) == pytest.approx(0.95, abs=0.005)


def test_intervals_are_as_wide_as_left_out_labels_near_the_hull_ask():
    assert scale_of(np.zeros(0)).scale == 1.0
    assert scale_of(np.full(60, 2.0)).scale == pytest.approx(1.95, abs=0.02)
    assert [scale_of(np.ones(n)).degrees_of_freedom for n in (0, 6, 60)] == [4.0, 10.0, 30.0]
    wild = ENERGY.copy()
    wild[np.median(ENERGY) < ENERGY] += np.random.default_rng(0).uniform(
        0.5, 3.0, size=(np.median(ENERGY) < ENERGY).sum()
    )
    rows = np.arange(60)
    surrogate = Surrogate({"all": FEATURES}, fractions=X)
    known = known_of(X, wild, rows)
    belief = surrogate.fit(known, wild[rows])
    height = known.formation_ev_per_atom - known.hull.energy_at(known.fractions[rows])
    z = (wild[rows] - belief.left_out_mean_ev_per_atom) / belief.left_out_std_ev_per_atom
    near = height <= np.median(height)
    assert 0.7 < np.sqrt(np.mean(z[near] ** 2)) < 1.3
