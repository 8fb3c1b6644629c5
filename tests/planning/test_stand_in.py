"""Energies that stand in: what was drawn is learned again, a draw has the scales asked for, and plans come of both kinds."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import CAMPAIGN

from hullscout.errors import InvalidPlanError
from hullscout.planning.replay import ReplayPool
from hullscout.planning.stand_in import EnergyScales, baseline_energies, draw_energies, learn_scales
from hullscout.regression import Hyperparameters, Kernel, KernelShape, KernelTerm, Mean
from hullscout.selection.surrogate import SurrogateSettings


def scales(*, std=0.05, length=1.5, noise=1e-4, curvature=0.2):
    terms = tuple(KernelTerm(block=block, length_scale=length, weight=0.5) for block in ("k2", "k3"))
    return EnergyScales(
        hyperparameters=Hyperparameters(
            kernel=Kernel(terms=terms, shape=KernelShape.MATERN52), regularization=noise, signal_variance=std**2
        ),
        mean=Mean.QUADRATIC,
        coefficients=np.array([0.0, -curvature, curvature]),
    )


def drawn(replay_pool, of, seed):
    return draw_energies(replay_pool.pool, replay_pool.features, [of], seed=seed) / replay_pool.pool.n_atoms


def test_draws_have_the_spread_and_the_mean_that_was_asked_for(replay_pool):
    x, draws = replay_pool.pool.x, np.array([drawn(replay_pool, scales(), seed) for seed in range(300)])
    np.testing.assert_allclose(draws.std(axis=0), 0.05, rtol=0.15)
    np.testing.assert_allclose(draws.mean(axis=0), 0.2 * (x**2 - x), atol=0.02)


def test_a_draw_is_the_same_for_a_seed_and_differs_between_seeds(replay_pool):
    np.testing.assert_array_equal(drawn(replay_pool, scales(), 3), drawn(replay_pool, scales(), 3))
    assert np.abs(drawn(replay_pool, scales(), 3) - drawn(replay_pool, scales(), 4)).max() > 0.01


def test_a_block_that_only_one_of_two_pools_has_leaves_its_weight_to_the_others(replay_pool):
    """The volume per atom is a block only where the composition does not say it all."""
    plain = scales()
    terms = (*(replace(term, weight=0.25) for term in plain.hyperparameters.kernel.terms),)
    with_volume = (*terms, KernelTerm(block="volume", length_scale=1.0, weight=0.5))
    kernel = replace(plain.hyperparameters.kernel, terms=with_volume)
    other = replace(plain, hyperparameters=replace(plain.hyperparameters, kernel=kernel))
    np.testing.assert_allclose(drawn(replay_pool, other, 3), drawn(replay_pool, plain, 3), atol=1e-12)


def test_a_longer_length_scale_makes_neighbours_agree(replay_pool):
    features = np.hstack([replay_pool.features["k2"], replay_pool.features["k3"]])
    distance = np.linalg.norm(features[:, None] - features, axis=2) + 1e9 * np.eye(len(features))
    nearest = distance.argmin(axis=1)
    rough, smooth = (
        np.mean(
            [
                np.ptp([e, e[nearest]], axis=0).mean()
                for e in (drawn(replay_pool, scales(length=length), s) for s in range(20))
            ]
        )
        for length in (0.3, 3.0)
    )
    assert smooth < 0.7 * rough


def test_what_was_drawn_is_learned_again(replay_pool):
    draws = [draw_energies(replay_pool.pool, replay_pool.features, [scales()], seed=seed) for seed in range(5)]
    found = [
        learn_scales(
            ReplayPool(pool=replay_pool.pool, energies_ev=energies, features=replay_pool.features),
            SurrogateSettings(),
            energy_cap=10.0,
        )
        for energies in draws
    ]
    stds = [np.sqrt(one.hyperparameters.signal_variance) for one in found]
    lengths = [term.length_scale for one in found for term in one.hyperparameters.kernel.terms if term.weight > 0.2]
    assert 0.02 < np.median(stds) < 0.15
    assert 0.5 < np.median(lengths) < 5.0


def test_a_pool_without_a_baseline_is_refused(replay_pool):
    with pytest.raises(InvalidPlanError, match="--from baseline: the pool states no energies"):
        baseline_energies(replay_pool.pool)


def test_a_new_alloy_is_planned_on_its_own_pool(hullscout, planned, tmp_path):
    file = planned[0]
    text = (file.parent / "pool.extxyz").read_text()
    (tmp_path / "bare.extxyz").write_text(text.replace("energy=", "cheap="))
    new = tmp_path / "new.toml"
    named = CAMPAIGN.replace('"small"', '"new"').replace("threshold", "hull-posterior")
    new.write_text(named.replace('path = "pool.extxyz"', 'path = "bare.extxyz"\nbaseline = "cheap"'))
    for source, more in (("prior", ["--like", file]), ("baseline", [])):
        out = tmp_path / source
        arguments = ["plan", new, "--from", source, "--replicates", 3, "--workers", 1, "--out", out, *more]
        code, printed = hullscout(*arguments)
        assert code == 0, printed
        (entry,) = json.loads((out / "prediction.json").read_text())
        assert (entry["campaign"], entry["n_candidates"]) == ("new", 57)
        assert 5 < entry["calculations"]["0.05"] <= entry["calculations"]["0.95"] <= 57
        assert "Predicted from 3 replays of" in printed
        before = (out / "prediction.json").read_bytes()
        assert hullscout(*arguments)[0] == 0
        assert (out / "prediction.json").read_bytes() == before


RULE = ("--set", "select.rule=hull-posterior")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "prior", "--like", "LIKE"], "is the campaign that is to be predicted"),
        (["--from", "prior", "--like", "OTHER", "--grid", "select.batch=1,2"], "leave --grid out"),
        (["--from", "prior"], "--from prior: give at least one --like"),
        (["--from", "baseline"], "states no energies of a cheaper"),
        (
            ["--from", "prior", "--like", "OTHER", "--set", "select.rule=greedy"],
            "'hull-posterior' only, found 'greedy'",
        ),
    ],
)
def test_sources_that_are_not_there_are_refused(hullscout, planned, tmp_path, arguments, message):
    (tmp_path / "pool.extxyz").write_bytes((planned[0].parent / "pool.extxyz").read_bytes())
    (tmp_path / "other.toml").write_text(CAMPAIGN.replace('"small"', '"other"'))
    files = {"LIKE": planned[0], "OTHER": tmp_path / "other.toml"}
    given = [files.get(argument, argument) for argument in arguments]
    code, text = hullscout("plan", planned[0], "--out", tmp_path / "out", "--replicates", 1, *RULE, *given)
    assert (code, message in text) == (2, True), text
