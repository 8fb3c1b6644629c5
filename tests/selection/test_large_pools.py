"""A pool is large from some thousands of candidates on: what was solved is kept then, and a campaign decides the same."""

import pytest
from conftest import ROOT

from hullscout.campaign import Setup, read_origin
from hullscout.planning import ReplayPool
from hullscout.regression import kept_rows, pool_model

POOLS = ("agpd/agpd.toml", "agpt-unep/agpt-unep.toml", "cuagau/cuagau.toml")


def _asked(pool, config):
    """What a campaign asks for, round by round, and the probability that it ends with."""
    engine, asked = pool.engine(config, seed=0), []
    energies = dict(zip(pool.pool.ids, pool.energies_ev.tolist(), strict=True))
    while names := engine.ask():
        asked.append(names)
        for name in names:
            engine.tell(name, energies[name])
    return asked, engine.decision.stated_failure_probability


@pytest.mark.parametrize("campaign", POOLS)
def test_decisions_are_the_same_whether_rows_are_kept_or_not(campaign, monkeypatch):
    setup = Setup(read_origin(ROOT / "campaigns" / campaign))
    pool, used = ReplayPool.of(setup), []
    plain = _asked(pool, setup.config)
    assert len(pool.pool) < pool_model._SLICE, "a usual pool is not large"
    read = kept_rows._Rows.read
    monkeypatch.setattr(kept_rows._Rows, "read", lambda *given: (used.append(1), read(*given))[1])
    monkeypatch.setattr(pool_model, "_SLICE", 64)
    asked, probability = _asked(pool, setup.config)
    assert len(used) >= len(asked) - 2
    assert asked == plain[0]
    assert probability == pytest.approx(plain[1], rel=1e-9)
