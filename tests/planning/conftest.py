"""One plan of a small campaign, made once: three rules, two failure probabilities, four replicates, two workers."""

import pytest
from conftest import CAMPAIGN

from hullscout.campaign import Setup, read_origin
from hullscout.planning import Path, ReplayPool
from hullscout.selection import Decision, Stop

GRID = ("--grid", "select.rule=hull-posterior,hull-threshold,random", "--grid", "stop.failure_probability=0.5,0.1")


@pytest.fixture(scope="session")
def planned(hullscout, tmp_path_factory, small_pool):
    """The campaign file, the folder of its plan, and what the command printed."""
    folder = tmp_path_factory.mktemp("plan")
    (folder / "pool.extxyz").write_text(small_pool)
    file = folder / "small.toml"
    file.write_text(CAMPAIGN)
    code, text = hullscout("plan", file, "--replicates", 4, "--workers", 2, "--out", folder / "out", *GRID)
    assert code == 0, text
    return file, folder / "out", text


@pytest.fixture(scope="session")
def replay_pool(planned):
    """The pool of that plan with its energies and features."""
    return ReplayPool.of(Setup(read_origin(planned[0])))


def made_path(*decided, seed=0, steps):
    """A path of decisions (calculations until then, contenders, stated probability, lookups foreseen) after ones at the start.

    Candidates are looked up in the order of the pool; the last decision ends the campaign.
    """
    decisions = [Decision(chosen=tuple(range(decided[0][0])))]
    stop = Stop(reason="failure-probability", sentence="")
    for place, (n, n_contenders, stated, n_foreseen) in enumerate(decided):
        is_last = place == len(decided) - 1
        decisions.append(
            Decision(
                chosen=() if is_last else tuple(range(n, decided[place + 1][0])),
                stop=stop if is_last else None,
                n_contenders=n_contenders,
                model_errors={"cap": 0.01},
                stated_failure_probability=stated,
                n_lookups_foreseen=n_foreseen,
            )
        )
    return Path(seed=seed, decisions=tuple(decisions), error_steps=steps)
