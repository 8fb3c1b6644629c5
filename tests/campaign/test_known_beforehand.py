"""What finished campaigns and pools with energies know of candidates is an answer before anything is asked, and no calculation."""

import json
import shutil

import pytest
from conftest import ROOT  # noqa: F401  the fixtures of all rooms

from hullscout import Campaign
from hullscout.campaign import Setup, Store, create, read_history, read_origin, run
from hullscout.campaign.salvage import salvage
from hullscout.errors import InvalidPoolError, StoreError
from hullscout.pool import EnumerationSettings, ParentLattice, make_pool, save_frames

CAMPAIGN = """
name = "{name}"
elements = {elements}

[pool]
path = "{name}.extxyz"
{known}

[oracle]
kind = "calculator"
calculator = "emt"
relax = "{relax}"

[executor]
kind = "in-process"

[select]
rule = "{rule}"
"""


def make(folder, elements, *, known="", rule="greedy", relax="none"):
    """A campaign file of the fcc cells of up to three atoms, volumes by Vegard between values of these tests."""
    name = "".join(elements)
    every = {"Cu": 11.8, "Ag": 17.0, "Au": 16.9, "Pd": 14.7}
    volumes = {symbol: every[symbol] for symbol in elements}
    recipe = EnumerationSettings(elements=elements, lattices=(ParentLattice.FCC,), max_atoms=3, volumes=volumes)
    if not (folder / f"{name}.extxyz").exists():
        save_frames(folder / f"{name}.extxyz", make_pool(recipe).frames)
    path = folder / f"{name}.toml"
    text = CAMPAIGN.format(name=name, elements=json.dumps(elements), known=known, rule=rule, relax=relax)
    path.write_text(text)
    return path


def ran(path, folder, **kwargs):
    """The result and what is known at the end of a run."""
    said = []
    result, known = run(Setup(read_origin(path)), folder, on_note=said.append, **kwargs)
    return result, known, said


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    """A folder with a finished campaign of Cu-Au, all of whose ten cells were calculated."""
    folder = tmp_path_factory.mktemp("binary")
    result, known, _ = ran(make(folder, ("Cu", "Au"), rule="random"), folder / "Cu-Au")
    assert (result.n_calculations, known.n_answered) == (10, 10)
    return folder


@pytest.fixture
def place(binary, tmp_path):
    """The same, for a test alone."""
    return shutil.copytree(binary, tmp_path / "place")


def test_answers_of_a_binary_start_a_ternary_and_are_not_paid_again(place):
    path = make(place, ("Cu", "Ag", "Au"), known='known = ["Cu-Au"]', rule="random")
    result, known, said = ran(path, place / "out")
    assert "Cu-Au: 10 of 10 energies are of candidates and known beforehand." in said
    assert (result.n_candidates, result.n_calculations, known.given.size) == (30, 20, 10)
    assert result.known_beforehand == {"Cu-Au": 10}
    assert (result.saved_fraction, result.cost_saved_fraction, known.saved_fraction) == (0.0, 0.0, 0.0)
    assert "Known beforehand: 10 from Cu-Au. Saved is counted over the other candidates." in result.sentences
    assert not set(known.asked.tolist()) & set(known.given.tolist())
    with Store.read(place / "Cu-Au") as store, Store.read(place / "out") as ternary:
        answers, told = store.answers(), ternary.answers()
        assert len(ternary.attempts()) == 20
    assert set(answers.values()) <= set(told.values())
    alone, whole, _ = ran(make(place, ("Cu", "Ag", "Au"), rule="random"), place / "alone")
    assert (alone.n_calculations, alone.known_beforehand) == (30, {})
    energies = [dict(zip(each.answered.tolist(), each.energies_ev_per_atom, strict=True)) for each in (known, whole)]
    assert energies[0] == pytest.approx(energies[1])


def test_a_campaign_that_saves_counts_over_what_was_not_known(place):
    path = make(place, ("Cu", "Ag", "Au"), known='known = ["Cu-Au"]', rule="greedy")
    result, known, _ = ran(path, place / "out")
    assert result.n_calculations == known.asked.size < 20
    assert result.saved_fraction == 1.0 - result.n_calculations / 20
    history = read_history(place / "out")
    assert history.now.given.size == 10
    assert [len(moment.decisions) for moment in history.moments] == list(range(1, len(known.decisions) + 1))


def test_a_campaign_that_was_ended_resumes_to_the_same_bytes_without_its_sources(place):
    path = make(place, ("Cu", "Ag", "Au"), known='known = ["Cu-Au"]', rule="hull-posterior")
    whole, _, _ = ran(path, place / "whole")

    class Killed(BaseException):
        pass

    def kill(known):
        if known.n_answered == 3:
            raise Killed("after three")

    with pytest.raises(Killed, match="after three"):
        ran(path, place / "cut", on_progress=kill)
    shutil.rmtree(place / "Cu-Au")
    resumed, _, said = ran(path, place / "cut")
    assert said == []
    stated = [json.loads(each.to_json()) for each in (whole, resumed)]
    for each in stated:
        del each["timings_s"]
    assert stated[0] == stated[1]
    with Store.read(place / "cut") as store:
        assert set(store.given().values()) == {"Cu-Au"}


def test_everything_known_beforehand_is_a_campaign_without_a_calculation(place):
    path = make(place, ("Cu", "Au"), known='known = ["Cu-Au"]')
    result, known, _ = ran(path, place / "out")
    assert (result.n_calculations, result.stop_reason, known.decisions) == (0, "all-known", ())
    assert [vertex.formula for vertex in result.hull] == list(known.hull_formulas)
    assert len(read_history(place / "out").moments) == 1


def test_pure_elements_that_are_known_cost_no_limit(place):
    ran(make(place, ("Cu", "Ag"), rule="random"), place / "Cu-Ag")
    path = make(place, ("Cu", "Ag", "Au"), known='known = ["Cu-Au", "Cu-Ag"]', rule="random")
    path.write_text(path.read_text() + "[stop]\nmax_calculations = 1\n")
    result, known, _ = ran(path, place / "out")
    assert (result.n_calculations, result.stop_reason) == (1, "max-calculations")
    assert result.known_beforehand == {"Cu-Au": 10, "Cu-Ag": 9}
    assert known.has_hull


def test_a_supercell_in_a_pool_with_energies_is_known_by_its_energy_per_atom(place):
    from ase.io import read, write

    cells = read(place / "CuAu.extxyz", ":")
    doubled = [cell.repeat((1, 1, 2)) for cell in cells[:3]]
    for cell, n in zip(doubled, range(3), strict=True):
        cell.info = {"id": f"twice-{n}", "energy": -1.5 * len(cell)}
    write(place / "doubled.extxyz", doubled, format="extxyz")
    path = make(place, ("Cu", "Ag", "Au"), known='known = ["doubled.extxyz"]')
    said = create(Setup(read_origin(path)), place / "out")
    assert said[-1] == "doubled.extxyz: 3 of 3 energies are of candidates and known beforehand."
    assert "whether they are of the settings of this campaign is not compared" in said[0]
    known = Setup.read(place / "out").read_ledger(place / "out").known
    assert known.energies_ev_per_atom.tolist() == [-1.5] * 3


def test_relaxed_structures_come_along(place):
    ran(make(place, ("Cu", "Au"), rule="random", relax="cell"), place / "relaxed")
    path = make(place, ("Cu", "Ag", "Au"), known='known = ["relaxed"]', relax="cell")
    create(Setup(read_origin(path)), place / "out")
    ledger, before = (Setup.read(each).read_ledger(each) for each in (place / "out", place / "relaxed"))
    assert len(ledger.relaxed) == len(before.relaxed) > 0
    volumes = [sorted(each.volume_a3_per_atom for each in one.relaxed.values()) for one in (ledger, before)]
    assert volumes[0] == pytest.approx(volumes[1])


def as_table(path):
    """The campaign file with energies that are looked up."""
    text = path.read_text().replace('kind = "calculator"\ncalculator = "emt"\nrelax = "none"', 'kind = "table"')
    path.write_text(text)
    return path


def with_energies(place, name):
    """The energies by EMT of the cells of a pool, written into it."""
    from ase.calculators.emt import EMT
    from ase.io import read, write

    cells = read(place / name, ":")
    for cell in cells:
        cell.calc = EMT()
        energy = cell.get_potential_energy()
        cell.calc = None
        cell.info["energy"] = energy
    write(place / name, cells, format="extxyz")


def test_a_replay_knows_what_a_campaign_of_a_subsystem_found(place):
    path = as_table(make(place, ("Cu", "Ag", "Au"), known='known = ["Cu-Au"]', rule="random"))
    with_energies(place, "CuAgAu.extxyz")
    result, *_ = ran(path, place / "out")
    assert (result.n_calculations, result.known_beforehand) == (20, {"Cu-Au": 10})
    assert result.reference.exact
    assert result.reference.mae_uncomputed_ev_per_atom is None
    text = (place / "CuAgAu.extxyz").read_text()
    first = next(line for line in text.splitlines() if "id=fcc-A1-0001" in line)
    (place / "CuAgAu.extxyz").write_text(text.replace(first, first.replace("energy=", "energy=1 was=")))
    with pytest.raises(
        InvalidPoolError, match=r"the energy of fcc-A1-0001 in Cu-Au is .* meV/atom below that in the pool"
    ):
        ran(path, place / "other")


def test_a_pool_that_holds_energies_may_name_itself(place):
    path = make(place, ("Cu", "Au"), known='known = ["CuAu.extxyz"]', rule="random")
    with_energies(place, "CuAu.extxyz")
    lines = (place / "CuAu.extxyz").read_text().replace("id=fcc-A1B1-0001 energy=", "id=fcc-A1B1-0001 unknown=")
    (place / "CuAu.extxyz").write_text(lines)
    result, known, _ = ran(path, place / "out")
    assert (result.n_calculations, result.known_beforehand) == (1, {"CuAu.extxyz": 9})
    assert [known.pool.ids[index] for index in known.asked] == ["fcc-A1B1-0001"]


def test_a_hand_off_says_what_is_known_and_never_hands_it_out(place, hullscout):
    path = make(place, ("Cu", "Ag", "Au"), known='known = ["Cu-Au"]')
    path.write_text(
        path.read_text().replace('kind = "calculator"\ncalculator = "emt"\nrelax = "none"', 'kind = "handoff"')
    )
    code, text = hullscout("run", path, "--out", place / "out")
    assert (code, "10 of 10 energies are of candidates and known beforehand" in text) == (0, True)
    chosen = Campaign(place / "out").ask(5)
    assert len(chosen) > 0
    assert all("Ag" in candidate.formula for candidate in chosen)
    assert "Known beforehand: 10 from Cu-Au." in hullscout("status", place / "out")[1].replace("\n", " ")


def test_a_salvaged_campaign_still_knows_what_was_known(place):
    path = make(place, ("Cu", "Ag", "Au"), known='known = ["Cu-Au"]')
    ran(path, place / "out")
    said = salvage(place / "out", place / "saved")
    assert said.sentences[-1] == "Nothing was lost."
    known = Setup.read(place / "saved").read_ledger(place / "saved").known
    assert known.given.size == 10


def another_functional(place):
    path = make(place, ("Cu", "Ag", "Au"), known='known = ["Cu-Au"]')
    path.write_text(path.read_text().replace('calculator = "emt"', 'calculator = "lj"'))
    return path


def energies_that_differ(place):
    from ase.io import read, write

    cells = read(place / "CuAu.extxyz", ":2")
    for cell in cells:
        cell.info["energy"] = 1.0
    write(place / "other.extxyz", cells, format="extxyz")
    return make(place, ("Cu", "Ag", "Au"), known='known = ["Cu-Au", "other.extxyz"]')


def nothing_alike(place):
    text = (place / "CuAu.extxyz").read_text().replace("id=", "energy=1.5 id=")
    lines = [
        line.replace("0.0000000000 ", "0.0500000000 ", 1) if "Lattice" in line else line for line in text.splitlines()
    ]
    (place / "strained.extxyz").write_text("\n".join(lines) + "\n")
    return make(place, ("Cu", "Ag", "Au"), known='known = ["strained.extxyz"]')


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda p: make(p, ("Cu", "Ag", "Au"), known='known = ["nowhere"]'), "found nothing at .*nowhere"),
        (lambda p: (p / "empty").mkdir() or make(p, ("Cu", "Ag", "Au"), known='known = ["empty"]'), "found neither in empty"),
        (lambda p: make(p, ("Cu", "Ag"), known='known = ["Cu-Au"]'), "energies of Cu, Ag alone, found Au in Cu-Au"),
        (lambda p: make(p, ("Cu", "Ag", "Au"), known='known = ["CuAu.extxyz"]'), "expected energies in CuAu.extxyz, found none"),
        (another_functional, "same settings, found oracle.calculator is 'emt' in Cu-Au and 'lj' here.*allow_mixed_settings"),
        (energies_that_differ, "one energy of each candidate, but the energy of .* in other.extxyz is .* above that in Cu-Au"),
        (nothing_alike, "candidates, found none in strained.extxyz.*--structures start"),
    ],
)  # fmt: skip
def test_a_source_that_cannot_be_used_is_refused_before_a_folder_is_made(place, given, message):
    path = given(place)
    with pytest.raises(InvalidPoolError, match=message):
        ran(path, place / "out")
    assert not (place / "out").exists()


def test_other_settings_may_be_allowed_and_are_said(place):
    path = another_functional(place)
    path.write_text(path.read_text().replace("[oracle]", "allow_mixed_settings = true\n\n[oracle]"))
    said = create(Setup(read_origin(path)), place / "out")
    assert said[0] == "Energies of different settings, as allowed: oracle.calculator is 'emt' in Cu-Au and 'lj' here."


def test_other_sources_than_it_was_made_with_are_another_campaign(place):
    path = make(place, ("Cu", "Ag", "Au"), known='known = ["Cu-Au"]')
    path.write_text(path.read_text() + "[stop]\nmax_calculations = 1\n")
    ran(path, place / "out")
    with pytest.raises(StoreError, match=r"pool.known: \('Cu-Au',\) before, \(\) now"):
        create(Setup(read_origin(make(place, ("Cu", "Ag", "Au")))), place / "out")
