"""What is kept of a belief is what would be computed, and is used only where the same would be."""

from dataclasses import fields, replace

import numpy as np
import pytest

from hullscout.campaign import Beliefs, kept_belief, read_history
from hullscout.campaign.kept_belief import KEPT_BELIEF
from hullscout.figures import save_campaign_figure
from hullscout.selection import Belief, Surrogate


@pytest.fixture
def finished(campaign_file, tmp_path, hullscout, monkeypatch):
    """A finished campaign that kept what it believed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    text = campaign_file.read_text().replace('"threshold"', '"hull-posterior"')
    campaign_file.write_text(f"{text}\n[stop]\nmax_calculations = 14\n")
    assert hullscout("run", campaign_file, "--out", tmp_path / "got")[0] == 0
    return tmp_path / "got"


@pytest.fixture
def fits(monkeypatch):
    """How often a model was fitted."""
    calls, learn = [], Surrogate.learn
    monkeypatch.setattr(Surrogate, "learn", lambda *words, **more: calls.append(1) or learn(*words, **more))
    return calls


def believed(folder, place=-1):
    history = read_history(folder)
    return Beliefs(history.setup).at(history.moments[place])


def test_what_is_kept_is_what_was_computed(finished, fits, tmp_path):
    kept = believed(finished)
    save_campaign_figure(finished, tmp_path / "kept.png")
    assert not fits
    (finished / KEPT_BELIEF).unlink()
    computed = believed(finished)
    save_campaign_figure(finished, tmp_path / "computed.png")
    assert len(fits) == 2
    for each in fields(Belief):
        one, other = getattr(kept, each.name), getattr(computed, each.name)
        if isinstance(one, np.ndarray):
            assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes()), each.name
        elif each.name != "known":
            assert (type(one), one) == (type(other), other), each.name
    for derived in kept_belief._DERIVED:
        assert derived in kept.__dict__
        assert getattr(kept, derived).tobytes() == getattr(computed, derived).tobytes()
    assert (tmp_path / "kept.png").read_bytes() == (tmp_path / "computed.png").read_bytes()
    assert not (finished / KEPT_BELIEF).exists()


def test_it_is_of_the_end_alone(finished, fits):
    assert believed(finished, -2) is not None
    assert len(fits) == 1


def test_what_was_believed_by_other_settings_or_code_is_computed_anew(
    finished, fits, monkeypatch, campaign_file, hullscout
):
    words = ("--set", "stop.max_calculations=15", "--set", "stop.hull_tolerance=0.004")
    before = believed(finished)
    found, setup = kept_belief.read_belief(finished), read_history(finished).setup
    assert kept_belief.belief_of(found, setup, before.known) is not None
    others = (
        {"answered": before.known.answered[::-1].copy()},
        {"energies_ev_per_atom": before.known.energies_ev_per_atom + 1e-6},
        {"decisions": before.known.decisions[:-1]},
        {"pool": replace(before.known.pool, baseline_ev_per_atom=np.zeros((before.known.n_candidates, 1)))},
    )
    for change in others:
        assert kept_belief.belief_of(found, setup, replace(before.known, **change)) is None
    assert not fits
    assert hullscout("run", campaign_file, "--out", finished, *words)[0] == 0
    del fits[:]
    after = believed(finished)
    assert not fits
    assert after.known.n_answered == 15 > before.known.n_answered
    monkeypatch.setattr(kept_belief, "code_of", lambda _: "another")
    assert believed(finished) is not None
    assert len(fits) == 1


def test_what_was_changed_is_computed_anew(finished, fits):
    path = finished / KEPT_BELIEF
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    assert believed(finished) is not None
    assert len(fits) == 1
