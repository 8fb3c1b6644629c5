"""Campaigns between compounds, and within limits: live by EMT, as a table, in Python, on the command line."""

import json

import numpy as np
import pytest

from hullscout import Campaign
from hullscout.campaign import Setup, read_origin, run
from hullscout.errors import InvalidCampaignError
from hullscout.figures.style import new_axes
from hullscout.hull import lower_hull
from hullscout.pool import EnumerationSettings, ParentLattice, Pool, make_pool, save_frames

CAMPAIGN = """
name = "between"
elements = ["Cu", "Ag", "Au"]
ends = ["CuAu", "AgAu"]
{top}

[pool]
path = "between.extxyz"

[oracle]
kind = "calculator"
calculator = "emt"

[executor]
kind = "in-process"

[select]
rule = "random"
"""


@pytest.fixture
def file_of(tmp_path):
    """A campaign file between CuAu and AgAu, with other lines at its top, and its 27 fcc cells beside it."""
    lattices = (ParentLattice.FCC,)
    recipe = EnumerationSettings(elements=("Cu", "Ag", "Au"), ends=("CuAu", "AgAu"), lattices=lattices, max_atoms=4)
    save_frames(tmp_path / "between.extxyz", make_pool(recipe).frames)

    def made(top=""):
        path = tmp_path / "between.toml"
        path.write_text(CAMPAIGN.format(top=top))
        return path

    return made


@pytest.fixture
def ended(file_of, tmp_path):
    """The result, what is known and the folder at the end."""
    result, known = run(Setup(read_origin(file_of())), tmp_path / "out")
    return result, known, tmp_path / "out"


def test_the_hull_is_that_of_energies_relative_to_the_lowest_structures_of_the_ends(ended):
    result, known, _ = ended
    assert (result.n_calculations, result.ends, known.pool.fraction_names) == (27, ("CuAu", "AgAu"), ("x",))
    counts = np.array([[(candidate.numbers == z).sum() for z in (29, 47, 79)] for candidate in known.pool])
    x = counts[:, 1] * 2 / counts.sum(axis=1)  # twice the silver: every second atom is gold
    np.testing.assert_allclose(known.pool.x, x)
    energies = np.empty(27)
    energies[known.answered] = known.energies_ev_per_atom
    formation = energies - (1 - x) * energies[x == 0].min() - x * energies[x == 1].min()
    np.testing.assert_allclose(known.formation_ev_per_atom, formation[known.answered])
    assert result.hull[0].formation_energy_ev_per_atom == result.hull[-1].formation_energy_ev_per_atom == 0.0
    vertices = lower_hull(x, formation).indices.tolist()
    assert [vertex.id for vertex in result.hull] == [known.pool.ids[index] for index in vertices]
    assert {result.hull[0].formula, result.hull[-1].formula} == {"CuAu", "AgAu"}


def test_result_table_and_figures_name_the_ends(ended, hullscout):
    result, _, folder = ended
    stated = json.loads(result.to_json())
    assert (stated["ends"], "fractions" in stated["hull"][0]) == (["CuAu", "AgAu"], False)
    assert type(result).from_json(result.to_json()) == result
    axes = Campaign(folder).plot_hull(new_axes())
    assert axes.get_xlabel() == "$x$ in (CuAu)$_{1-x}$(AgAu)$_x$ (share of the atoms)"
    code, text = hullscout("status", folder)
    assert (code, "Hull so far: CuAu" in text) == (0, True)
    assert hullscout("export", folder, "--format", "csv", "-o", folder / "all.csv")[0] == 0
    assert (folder / "all.csv").read_text().startswith("id,formula,x,n_atoms")


def test_the_same_campaign_from_python(ended, tmp_path):
    result, known, _ = ended
    pool = Pool.of(known.pool.candidates, ("Cu", "Ag", "Au"), ends=("CuAu", "AgAu"))
    oracle = {"kind": "calculator", "calculator": "emt"}
    campaign = Campaign.of(pool, tmp_path / "python", name="between", oracle=oracle, executor={"kind": "in-process"})
    assert campaign.config.ends == ("CuAu", "AgAu")
    lowest = {vertex.id for vertex in campaign.run(on_note=lambda _: None).hull}
    assert lowest == {vertex.id for vertex in result.hull}


def test_limits_leave_out_what_is_beyond_and_keep_the_ends(file_of, tmp_path):
    origin = read_origin(file_of(top="limits = { Cu = [0.2, 0.3] }"))
    result, known = run(Setup(origin), tmp_path / "out")
    assert set(np.round(known.pool.x, 6).tolist()) == {0.0, 0.5, 1.0}
    assert (result.n_candidates, known.n_answered) == (len(known.pool), len(known.pool))
    assert "Limits: Cu 0.2 to 0.3." in " ".join(known.pool.report.notes)


@pytest.mark.parametrize(
    ("top", "message"),
    [
        ("limits = { Pd = [0, 1] }", "limits: Expected limits of Cu or Ag or Au, found some of 'Pd'"),
        ("limits = { Cu = [0.5, 0.2] }", "the lower one first, found"),
        ("limits = { Cu = 0.5 }", r"limits.Cu: expected a valid tuple, found 0.5"),
        ("limits = { Cu = [0.7, 1], Au = [0.7, 1] }", "limits: .*atomic fractions add up to 1. Widen one"),
    ],
)
def test_limits_that_say_nothing_are_refused_with_the_file(file_of, top, message):
    with pytest.raises(InvalidCampaignError, match=message):
        read_origin(file_of(top=top))


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ('["CuAu", "Cu2Au2", "AgAu"]', "ends: .*linearly independent, found Cu2Au2, which is made of CuAu"),
        ('["CuAu", "Au"]', "ends: .*found Ag in none"),
    ],
)
def test_ends_that_make_no_axis_are_refused_with_the_file(file_of, ends, message):
    path = file_of()
    path.write_text(path.read_text().replace('["CuAu", "AgAu"]', ends))
    with pytest.raises(InvalidCampaignError, match=message):
        read_origin(path)


def test_a_vacancy_is_no_element_and_the_reader_is_told_what_to_do(file_of):
    path = file_of()
    path.write_text(path.read_text().replace('["Cu", "Ag", "Au"]', '["Cu", "Ag", "X"]'))
    with pytest.raises(InvalidCampaignError, match=r"elements: 'X' is a vacancy.*see `ends`"):
        read_origin(path)


def test_a_limit_of_calculations_counts_one_structure_of_each_end(file_of, tmp_path):
    path = file_of()
    path.write_text(path.read_text() + "[stop]\nmax_calculations = 1\n")
    with pytest.raises(InvalidCampaignError, match="max_calculations: expected at least 2"):
        run(Setup(read_origin(path)), tmp_path / "out")


def test_check_finds_what_is_outside_of_the_ends(file_of, tmp_path, hullscout):
    code, text = hullscout(
        "check", file_of().with_name("between.extxyz"), "--elements", "Cu,Ag,Au", "--ends", "CuAu,Au"
    )
    assert (code, "found Ag in none" in text) == (2, True)
    code, text = hullscout("check", tmp_path / "between.extxyz", "--elements", "Cu,Ag,Au", "--ends", "CuAu,AgAu")
    assert (code, "Nothing is wrong with this pool" in text) == (0, True)
    code, text = hullscout(
        "check", tmp_path / "between.extxyz", "--elements", "Cu,Ag,Au", "--ends", "CuAu,Cu2AgAu3", "--all"
    )
    assert code == 1
    said = " ".join(text.replace("│", " ").split())
    assert "composition AgAu is" in said
    assert "missing end" in said
