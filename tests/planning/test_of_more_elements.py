"""Plans of three elements: what is known beforehand is not looked up, and alloys of another number of elements say nothing."""

import re

import pytest
import ternary
from ase.io import read, write

from hullscout.campaign import Setup, read_origin
from hullscout.errors import InvalidPlanError
from hullscout.planning import ReplayPool, order, planner, play
from hullscout.planning.forecast import Source

BINARY = ("Cu", "Au")
ALIKE = [("Cu", "Ag"), ("Ag", "Au"), ("Cu", "Pd")]


def campaign(folder, elements, *, name, more=""):
    folder.mkdir()
    file = ternary.campaign_file(folder, elements)
    file.write_text(file.read_text().replace('"some"', f'"{name}"') + more)
    return file


@pytest.fixture
def with_binary(tmp_path):
    """A ternary campaign that knows the energies of one of its binaries."""
    file = campaign(tmp_path / "all", ternary.ELEMENTS, name="all", more='pool.known = ["binary.extxyz"]\n')
    frames = [
        atoms for atoms in read(file.parent / "pool.extxyz", ":") if set(atoms.get_chemical_symbols()) <= {*BINARY}
    ]
    write(file.parent / "binary.extxyz", frames)
    return file


def test_replays_look_up_nothing_that_is_known_beforehand(with_binary):
    pool = ReplayPool.of(Setup(read_origin(with_binary)))
    assert set(pool.pool.given) == {each for each in pool.pool.ids if "Ag" not in each}
    path = play(pool, read_origin(with_binary).config, seed=0)
    asked = {pool.pool.ids[index] for index in path.order}
    assert asked
    assert not asked & set(pool.pool.given)
    assert path.end().hull_error_ev_per_atom < 0.05


def test_plans_count_what_is_left_to_look_up(hullscout, with_binary, tmp_path):
    code, text = hullscout("plan", with_binary, "--replicates", 1, "--workers", 1, "--out", tmp_path / "plan")
    assert code == 0, text
    pool = ReplayPool.of(Setup(read_origin(with_binary))).pool
    assert f"1 replays of {len(pool) - len(pool.given)} candidates" in text


def test_alloys_of_another_number_of_elements_predict_nothing(tmp_path):
    files = [campaign(tmp_path / "".join(pair), pair, name="-".join(pair)) for pair in ALIKE]
    new = planner.read_new([campaign(tmp_path / "new", ternary.ELEMENTS, name="new")])
    similar = planner.read_campaigns(files)
    with pytest.raises(InvalidPlanError, match=r"found 3 in new, 2 in Cu-Ag"):
        order.check_source(Source.REPLAYS, new=new, similar=similar, unused=())


def test_guesses_that_two_elements_taught_are_not_made_of_three(tmp_path):
    new = planner.read_new([campaign(tmp_path / "new", ternary.ELEMENTS, name="new")])
    with pytest.raises(InvalidPlanError, match=re.escape("two elements only, found 3 in new")):
        order.check_source(Source.BASELINE, new=new, similar=(), unused=())
