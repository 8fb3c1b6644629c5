"""Cost and baseline of the candidates, from columns that the user names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from frames import frames_of

from hullscout.campaign import Setup, read_origin
from hullscout.errors import InvalidCampaignError, InvalidPoolError
from hullscout.pool import Columns, Pool, WithoutEnergy, build_pool, read_frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CUBE = "4 0 0 0 4 0 0 0 4"
BOTH = Columns(cost="hours", baseline="emt")


def build(path: Path, columns: Columns = BOTH, *, without_energy: WithoutEnergy = WithoutEnergy.LEAVE_OUT) -> Pool:
    return build_pool(read_frames(path), ("Ag", "Pd"), without_energy=without_energy, columns=columns)


@pytest.fixture
def frames(make_frame: Callable[..., str]) -> list[str]:
    """Pure ends and a B2 cell that occurs twice, as a supercell under the later id; not in the order of their ids."""
    return [
        make_frame("Pd 0 0 0", id="pd", rest="hours=3 emt=-3.0"),
        make_frame(
            "Ag 0 0 0; Pd 2 2 2; Ag 0 0 4; Pd 2 2 6", id="b2-2", lattice="4 0 0 0 4 0 0 0 8", rest="hours=40 emt=-9"
        ),
        make_frame("Ag 0 0 0; Pd 2 2 2", id="b2-1", lattice=CUBE, rest="hours=4e0 emt=-5.0"),
        make_frame("Ag 0 0 0", id="ag", rest='hours="2.5" emt=+1'),
    ]


def test_columns_follow_the_candidates_and_twins_keep_the_kept_ones(write: Callable[[str], Path], frames: list[str]):
    pool = build(write("".join(frames)))
    assert pool.ids == ("ag", "b2-1", "pd")
    np.testing.assert_array_equal(pool.cost, [2.5, 4.0, 3.0])
    np.testing.assert_array_equal(pool.baseline_ev_per_atom, [1.0, -2.5, -3.0])
    assert (pool.cost.dtype, pool.baseline_ev_per_atom.dtype) == (np.float64, np.float64)
    with pytest.raises(ValueError, match="read-only"):
        pool.cost[0] = 1.0


def test_a_pool_has_neither_unless_asked_for(write: Callable[[str], Path], frames: list[str]):
    pool = build(write("".join(frames)), Columns())
    assert pool.cost is None
    assert pool.baseline_ev_per_atom is None


def test_frames_that_are_no_candidates_need_no_column(write: Callable[[str], Path], frames: list[str], make_frame):
    dark = make_frame("Ag 0 0 0; Pd 2 2 0", id="dark", lattice=CUBE, energy=None)
    path = write("".join(frames) + dark)
    assert build(path).cost.tolist() == [2.5, 4.0, 3.0]
    with pytest.raises(InvalidPoolError, match=r"found it for 3 of 4; missing for dark\."):
        build(path, without_energy=WithoutEnergy.KEEP)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "hours=4e0",
            "",
            (
                "pool.cost = 'hours': expected it for every candidate, found it for 2 of 3; missing for b2-1. "
                "Columns found: emt, hours."
            ),
        ),
        (
            "hours=4e0",
            "hours=0",
            ("expected a number above 0 for every candidate, found 0 for frame 3 (id 'b2-1') (1 of 3 are not above 0)"),
        ),
        ("hours=4e0", "hours=-4", "expected a number above 0 for every candidate, found -4 for frame 3"),
        ("hours=4e0", "hours=nan", "expected a finite number for every candidate, found 'nan' for frame 3"),
        ("hours=4e0", "hours=inf", "expected a finite number for every candidate, found 'inf' for frame 3"),
        ("hours=4e0", "hours=long", "found 'long' for frame 3 (id 'b2-1') (1 of 3 are no finite numbers)"),
        ("emt=-5.0", "emt=nan", "pool.baseline = 'emt': expected a finite number for every candidate, found 'nan'"),
        (
            "emt=",
            "other=",
            (
                "pool.baseline = 'emt': expected it for every candidate, found it for 0 of 3; missing for "
                "ag, b2-1, pd. Columns found: hours, other."
            ),
        ),
    ],
)
def test_a_column_that_is_not_whole_is_refused(write, frames, old, new, message):
    path = write("".join(frames).replace(old, new))
    with pytest.raises(InvalidPoolError, match=re.escape(message)):
        build(path)


@pytest.mark.parametrize("name", ["cost", "baseline"])
def test_the_energy_itself_is_no_column(name: str):
    with pytest.raises(InvalidPoolError, match=rf"pool\.{name}: expected a column other than 'energy'"):
        Columns(**{name: "energy"})


def test_a_pool_built_by_hand_with_other_lengths_is_refused(write: Callable[[str], Path], frames: list[str]):
    pool = build(write("".join(frames)))
    for name in ("cost", "baseline_ev_per_atom"):
        with pytest.raises(InvalidPoolError, match=f"Expected {name} as 3 finite numbers"):
            Pool(elements=pool.elements, candidates=pool.candidates, report=pool.report, **{name: np.ones(2)})
    with pytest.raises(InvalidPoolError, match="Expected cost as 3 finite numbers above 0"):
        Pool(elements=pool.elements, candidates=pool.candidates, report=pool.report, cost=np.zeros(3))


def test_a_campaign_file_names_the_columns(campaign_file: Path):
    pool_file = campaign_file.with_name("pool.extxyz")
    frames = frames_of(pool_file.read_text())
    pool_file.write_text("".join(f.replace(" id=", f" hours={n + 1} id=", 1) for n, f in enumerate(frames)))
    origin = read_origin(campaign_file, ["pool.cost=hours", "cost.kind=column", "pool.baseline=hours"])
    pool = Setup(origin).pool
    assert sorted(pool.cost.tolist()) == [float(n + 1) for n in range(len(frames))]
    np.testing.assert_allclose(pool.baseline_ev_per_atom * pool.n_atoms, pool.cost)
    with pytest.raises(InvalidCampaignError, match=r"pool\.cost: expected a column other than the energy"):
        read_origin(campaign_file, ["pool.cost=energy"])


def test_a_baseline_may_be_stated_for_some_and_the_others_are_named(write: Callable[[str], Path], frames: list[str]):
    pool = build(write("".join(frames).replace(" emt=-5.0", "")))
    np.testing.assert_array_equal(pool.baseline_ev_per_atom, [1.0, np.nan, -3.0])
    assert "emt: not stated for 1 of 3 candidates (b2-1), which are learned without it." in pool.report.lines()


def test_several_baselines_are_columns_side_by_side(write: Callable[[str], Path], frames: list[str]):
    text = "".join(frame.replace(" emt=", " other=7 emt=") for frame in frames)
    pool = build(write(text), Columns(baseline=("emt", "other")))
    np.testing.assert_array_equal(pool.baseline_ev_per_atom, [[1.0, 7.0], [-2.5, 3.5], [-3.0, 7.0]])
    assert [name for name in pool.table() if name.startswith("baseline")] == [
        "baseline_ev_per_atom_1",
        "baseline_ev_per_atom_2",
    ]


def test_a_campaign_file_names_one_baseline_or_several(campaign_file: Path):
    pool_file = campaign_file.with_name("pool.extxyz")
    pool_file.write_text(pool_file.read_text().replace(" id=", " a=1 b=2 id="))
    two = Setup(read_origin(campaign_file, ['pool.baseline=["a", "b"]'])).pool
    np.testing.assert_allclose(two.baseline_ev_per_atom * two.n_atoms[:, None], np.tile([1.0, 2.0], (len(two), 1)))
    for wrong, said in (
        ("3", "expected the name of a column, or a list of several; found 3"),
        ("[]", "expected the name of a column, or a list of several"),
        ('["a", "a"]', "expected different columns"),
        ('["a", "energy"]', "expected a column other than the energy"),
    ):
        with pytest.raises(InvalidCampaignError, match=rf"pool\.baseline: {re.escape(said)}"):
            read_origin(campaign_file, [f"pool.baseline={wrong}"])
