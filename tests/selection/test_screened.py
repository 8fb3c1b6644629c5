"""Pools too large to look at in every round: what is set aside follows from the labels alone, and changes little."""

from pathlib import Path

import numpy as np
import pytest
from views import known_of

from hullscout.campaign import Setup, read_origin, run
from hullscout.campaign.store import Store
from hullscout.selection import ScreenedSurrogate, Surrogate, screened
from hullscout.selection.transforms import Transform

AGPD = Path(__file__).parents[2] / "campaigns" / "agpd" / "agpd.toml"
RNG = np.random.default_rng(5)
X = np.concatenate([[0.0, 1.0], np.repeat(np.arange(1, 8) / 8, 60)])
FEATURES = np.concatenate([[[0.0] * 3, [1.0] * 3], RNG.uniform(size=(420, 3))])
ENERGY = np.where((X > 0) & (X < 1), -0.2 * X * (1 - X) + 0.05 * np.sin(3 * FEATURES).sum(axis=1), 0.0)
ORDER = np.concatenate([[0, 1], 2 + RNG.permutation(420)])


def belief_of(surrogate, n, order=ORDER):
    known = known_of(X, ENERGY, order[:n].tolist())
    return surrogate.learn(known, Transform.CAP, energy_cap_ev_per_atom=0.1)


@pytest.fixture
def is_few(monkeypatch):
    monkeypatch.setattr(screened, "N_IN_PLAY", 60)


def test_with_all_in_play_nothing_changes():
    blocks = {"all": FEATURES}
    whole = belief_of(Surrogate(blocks, fractions=X), 50)
    sieved = belief_of(ScreenedSurrogate(blocks, fractions=X), 50)
    np.testing.assert_allclose(sieved.mean_ev_per_atom, whole.mean_ev_per_atom, atol=1e-9)
    np.testing.assert_allclose(sieved.std_ev_per_atom, whole.std_ev_per_atom, atol=1e-9)


@pytest.mark.usefixtures("is_few")
def test_what_may_lie_lowest_is_in_play_and_predicted_as_in_the_whole():
    blocks = {"all": FEATURES.astype(np.float32)}
    surrogate = ScreenedSurrogate(blocks, fractions=X)
    sieved, whole = belief_of(surrogate, 60), belief_of(Surrogate(blocks, fractions=X), 60)
    least = whole.mean_ev_per_atom - 3.0 * whole.std_ev_per_atom - whole.known.hull.energy_at(whole.known.fractions)
    lowest = np.argsort(least)[:30]
    np.testing.assert_allclose(sieved.mean_ev_per_atom[lowest], whole.mean_ev_per_atom[lowest], atol=1e-5)
    np.testing.assert_allclose(sieved.std_ev_per_atom[lowest], whole.std_ev_per_atom[lowest], atol=1e-5)
    assert np.abs(sieved.mean_ev_per_atom - whole.mean_ev_per_atom).max() < 0.05, "what is set aside is not forgotten"


@pytest.mark.usefixtures("is_few")
def test_a_joint_posterior_takes_in_what_was_set_aside():
    surrogate, whole = (kind({"all": FEATURES}, fractions=X) for kind in (ScreenedSurrogate, Surrogate))
    belief_of(surrogate, 60)
    belief_of(whole, 60)
    asked = np.setdiff1d(np.arange(len(X)), ORDER[:60])[::12]
    np.testing.assert_allclose(surrogate.posterior(asked).mean, whole.posterior(asked).mean, atol=1e-9)


@pytest.mark.usefixtures("is_few")
def test_a_belief_follows_from_the_labels_and_not_from_the_way_there():
    long_way = ScreenedSurrogate({"all": FEATURES}, fractions=X)
    for n in range(12, 71, 3):
        belief_of(long_way, n)
        long_way.posterior(ORDER[70:75])
    there, at_once = belief_of(long_way, 70), belief_of(ScreenedSurrogate({"all": FEATURES}, fractions=X), 70)
    np.testing.assert_array_equal(there.mean_ev_per_atom, at_once.mean_ev_per_atom)
    np.testing.assert_array_equal(there.std_ev_per_atom, at_once.std_ev_per_atom)


@pytest.mark.usefixtures("is_few")
def test_labels_that_all_agree_are_believed_to_go_on():
    surrogate = ScreenedSurrogate({"all": FEATURES}, fractions=X)
    belief = surrogate.fit(known_of(X, 0.0 * ENERGY, ORDER[:20].tolist()), np.zeros(20))
    assert not belief.is_learned
    np.testing.assert_array_equal(belief.mean_ev_per_atom, 0.0)


def test_a_campaign_finds_the_hull_and_is_resumed_to_the_same_bytes(monkeypatch, tmp_path):
    monkeypatch.setattr(screened, "SCREENED_ABOVE", 100)
    monkeypatch.setattr(screened, "N_IN_PLAY", 150)

    def played(folder, *limits):
        for limit in limits:
            result, _ = run(Setup(read_origin(AGPD, [f"stop.max_calculations={limit}"]), folder=folder), folder)
        with Store.read(folder) as store:
            return result, store.answers()

    (whole, answers), (resumed, again) = played(tmp_path / "a", 600), played(tmp_path / "b", 40, 600)
    assert list(answers) == list(again)
    assert [vertex.id for vertex in whole.hull] == [vertex.id for vertex in resumed.hull]
    assert whole.reference.hull_error_ev_per_atom < 0.002
    assert len(answers) < 200
