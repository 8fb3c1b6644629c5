"""The hull of energies at hand, of two and three elements: table, figure, distances, exports; nothing of a campaign in it."""

import json
import re
from itertools import product

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read, write

from hullscout import Campaign, Pool, lower_hull
from hullscout import pool as pools
from hullscout.errors import InvalidPoolError
from hullscout.figures.style import title_of

OF_A_CAMPAIGN = ("saved", "rule", "not calculated", "Looked up", "predicted")


def cells(symbols, *, with_energy=True):
    """Every way to put elements on the four sites of an fcc cell, lattice constants by Vegard, with energies by EMT."""
    a = {"Cu": 3.61, "Ag": 4.09, "Au": 4.08}
    made = []
    for number, chosen in enumerate(sorted({tuple(sorted(sites)) for sites in product(symbols, repeat=4)})):
        atoms = bulk("Cu", "fcc", a=sum(a[s] for s in chosen) / 4, cubic=True)
        atoms.symbols[:] = list(chosen)
        atoms.info["id"] = f"c{number}"
        if with_energy:
            atoms.calc = EMT()
            atoms.info["energy"] = atoms.get_potential_energy()
            atoms.calc = None
        made.append(atoms)
    return made


@pytest.fixture
def pool_file(tmp_path):
    write(tmp_path / "pool.extxyz", cells(("Cu", "Au")), format="extxyz")
    return tmp_path / "pool.extxyz"


def test_a_hull_is_one_command_that_says_nothing_of_a_campaign(pool_file, hullscout, tmp_path):
    figure, table, entries = tmp_path / "hull.svg", tmp_path / "all.csv", tmp_path / "entries.json"
    words = ("-o", figure, "--distances", table, "--export", "entries", "--to", entries)
    code, text = hullscout("hull", pool_file, *words)
    assert code == 0, text
    assert "Convex hull of Au-Cu, 5 energies" in text
    assert not [word for word in OF_A_CAMPAIGN if word in text + figure.read_text() + table.read_text()]
    assert len(json.loads(entries.read_text())) == 5
    lines = table.read_text().splitlines()
    assert (lines[0].split(",")[:3], len(lines)) == (["id", "formula", "x"], 6)
    assert hullscout("hull", pool_file, "--distances", table)[0] == 2
    assert hullscout("hull", pool_file, "--distances", table, "--force")[0] == 0
    code, text = hullscout("hull", pool_file, "--elements", "Cu,Au")
    assert (code, "Convex hull of Cu-Au" in text, "x (Au)" in text) == (0, True, True), text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--distances", "all.txt"), "Expected a name that ends in .csv for --distances, found"),
        (("--distances", "no/all.csv"), "there is no folder"),
        (("--distances", "folder.csv"), "expected a file to replace, found another folder"),
        (("-o", "no/hull.png"), "there is no folder"),
        (("-o", "folder.png"), "expected the name of a file, found a folder"),
        (("-o", f"{'n' * 300}.png"), "cannot be written: File name too long"),
        (("-o", "hull.bmp"), "expected a file that ends in .png"),
        (("--size", "wide"), "expected WIDTHxHEIGHT"),
        (("--size", "0x2"), "Expected a size above 0"),
        (("--dpi", "0"), "dots per inch, found 0"),
        (("--ylim", "2:1"), "limits of y that ascend, found 2 to 1"),
        (("--style", "nowhere"), "style sheets, found 'nowhere'. Such as dark_background or grayscale."),
        (("--style", "grayscal"), "style sheets, found 'grayscal'. Near: grayscale."),
        (("--xlim", "0:inf"), "finite limits of x that ascend, found 0 to inf"),
        (("--restyle", "calculated"), "expected WHAT:KEY=VALUE, for example calculated:color=black"),
        (("--restyle", " :color=red"), "expected WHAT:KEY=VALUE"),
        (("--export", "cif", "--to", "all.csv"), "expected a folder to replace, found a file"),
        (("--distances", "new.csv", "--export", "entries", "--to", "new.csv"), "name the same file"),
    ],
)
def test_what_cannot_be_is_refused_before_the_pool_is_read_and_anything_written(words, message, hullscout, tmp_path):
    for name in ("folder.csv", "folder.png"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").touch()
    (tmp_path / "all.csv").touch()
    (tmp_path / "pool.extxyz").write_text("no pool")
    before = sorted(tmp_path.rglob("*"))
    placed = [tmp_path / word if "." in word else word for word in words]
    code, text = hullscout("hull", tmp_path / "pool.extxyz", "--force", "-o", tmp_path / "first.png", *placed)
    assert (code, message in text) == (2, True), text
    assert sorted(tmp_path.rglob("*")) == before


def test_energies_are_looked_over_as_for_a_campaign(hullscout, tmp_path):
    atoms = cells(("Cu", "Au"))
    atoms[0].info["xc"], atoms[1].info["xc"] = "PBE", "LDA"
    write(tmp_path / "mixed.extxyz", atoms, format="extxyz")
    code, text = hullscout("hull", tmp_path / "mixed.extxyz")
    assert (code, "same settings" in text, "--allow-mixed-settings" in text) == (2, True, True), text
    assert hullscout("hull", tmp_path / "mixed.extxyz", "--allow-mixed-settings")[0] == 0
    write(tmp_path / "half.extxyz", [one for one in cells(("Cu", "Au")) if set(one.symbols) != {"Au"}], format="extxyz")
    code, text = hullscout("hull", tmp_path / "half.extxyz")
    assert (code, "Au" in text) == (2, True), text


def test_where_faults_are_refused_its_own_option_to_leave_them_out_is_named(pool_file, hullscout):
    foreign = "1\nLattice='9 0 0 0 9 0 0 0 9' Properties=species:S:1:pos:R:3 id=odd energy=-1.0 pbc='T T T'\nH 0 0 0\n"
    pool_file.write_text(pool_file.read_text() + foreign.replace("'", '"'))
    code, text = hullscout("hull", pool_file, "--elements", "Cu,Au")
    said = " ".join(text.split())
    assert (code, "and --leave-out-faults takes them and says what is left out" in said) == (2, True), text
    assert "[pool]" not in said
    assert hullscout("hull", pool_file, "--elements", "Cu,Au", "--leave-out-faults")[0] == 0


def test_cells_without_energies_and_campaigns_are_refused_with_what_to_do(hullscout, tmp_path):
    write(tmp_path / "cells.extxyz", cells(("Cu", "Au"), with_energy=False), format="extxyz")
    code, text = hullscout("hull", tmp_path / "cells.extxyz")
    said = " ".join(text.split())
    assert (code, "expected an energy of each structure, found none in 5 structures" in said) == (2, True), text
    assert "looked up" not in said
    assert "oracle" not in said
    campaign = tmp_path / "by hand"
    assert hullscout("ask", tmp_path / "cells.extxyz", "--out", campaign, "--to", tmp_path / "outbox")[0] == 0
    code, text = hullscout("hull", campaign)
    said = " ".join(text.split())
    assert (code, "found the folder of a campaign" in said, "'hullscout" in said) == (2, True, False), text
    assert f"`hullscout plot '{campaign}'` draws its hull" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--lattices",), "--lattices is for a figure. Give -o as well."),
        (("--title", "mine"), "--title is for a figure. Give -o as well."),
        (("--width", "page"), "--width is for a figure. Give -o as well."),
        (("--ylim", "-80:20", "--distances", "all.csv"), "--ylim is for a figure. Give -o as well."),
        (("--cell", "given"), "--cell is for structures that are written. Give --export and --to as well."),
    ],
)
def test_options_that_say_nothing_without_what_they_are_for_are_refused(words, message, pool_file, hullscout):
    code, text = hullscout("hull", pool_file, *words)
    assert (code, message in " ".join(text.split())) == (2, True), text


@pytest.mark.parametrize("symbols", [("Cu", "Au"), ("Cu", "Ag", "Au")])
def test_a_pool_in_python_shows_its_energies_and_its_hull(symbols, tmp_path):
    atoms = cells(symbols)
    pool = Pool.of(atoms, symbols)
    by_id = {one.info["id"]: one.info["energy"] / len(one) for one in atoms}
    assert pool.energies_ev_per_atom == pytest.approx([by_id[name] for name in pool.ids])
    assert pool.table()["energy_ev_per_atom"].to_dict() == pytest.approx(by_id)
    hull = pool.hull()
    found = hull.candidates()
    assert found.index.tolist()[0] in {vertex.id for vertex in hull.ground_states}
    assert set(found.index[found.hull_distance_ev_per_atom < 1e-9]) == {vertex.id for vertex in hull.ground_states}
    formation = found.loc[list(pool.ids), "formation_energy_ev_per_atom"].to_numpy()
    assert sorted(pool.ids[i] for i in lower_hull(pool.fractions, formation).indices) == sorted(
        vertex.id for vertex in hull.ground_states
    )
    assert len(hull.phase_diagram().stable_entries) == len(hull.ground_states)
    assert not {"status", "round", "probability_on_hull"} & set(found.columns)
    assert title_of(hull.known) == f"{'-'.join(symbols)}: {len(atoms)} energies"
    write(tmp_path / "pool.extxyz", atoms, format="extxyz")
    read = Pool.read(tmp_path / "pool.extxyz", symbols)
    assert read.energies_ev_per_atom == pytest.approx(pool.energies_ev_per_atom)


def test_a_hull_is_drawn_into_the_axes_of_a_user():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ax = FigureCanvasAgg(Figure(layout="constrained")).figure.add_subplot()
    assert Pool.of(cells(("Cu", "Au")), ("Cu", "Au")).plot_hull(ax) is ax
    labels = ax.get_legend_handles_labels()[1]
    assert labels == ["calculated (5)", "hull found"]


def test_what_has_no_energy_is_no_part_of_the_hull_and_twins_count_once_by_the_lowest():
    atoms = cells(("Cu", "Au"))
    del atoms[1].info["energy"]
    twin = atoms[2].repeat((1, 1, 2))
    twin.info = {"id": "z", "energy": 2 * atoms[2].info["energy"] - 8.0}
    pool = Pool.of([*atoms, twin], ("Cu", "Au"))
    assert np.isnan(pool.energies_ev_per_atom).tolist() == [False, True, False, False, False]
    assert pool.energies_ev_per_atom[2] == pytest.approx(atoms[2].info["energy"] / 4 - 1.0)
    assert len(pool.hull().candidates()) == 4
    without = Pool.of(cells(("Cu", "Au"), with_energy=False), ("Cu", "Au"))
    assert (without.energies_ev_per_atom, "energy_ev_per_atom" in without.table()) == (None, False)
    with pytest.raises(InvalidPoolError, match=r"energy of a structure of pure Cu and of pure Au, .* found 0"):
        without.hull()


def test_a_campaign_of_such_a_pool_looks_its_energies_up(tmp_path):
    pool = Pool.of(cells(("Cu", "Au")), ("Cu", "Au"))
    campaign = Campaign.of(pool, tmp_path / "out", name="table", select={"rule": "random"})
    assert campaign.run(on_note=lambda _: None).reference.exact
    assert not hasattr(campaign.pool, "energies_ev_per_atom")


def test_a_pool_says_what_it_is_of_how_many_candidates_and_energies_it_has():
    atoms = cells(("Cu", "Ag", "Au"))
    del atoms[1].info["energy"]
    pool = Pool.of(atoms, ("Cu", "Ag", "Au"))
    said = f"Pool of Cu and Ag and Au: {len(atoms)} candidates, {len(atoms) - 1} with energies"
    assert repr(pool) == said
    assert said in pool._repr_html_()
    without = Pool.of(cells(("Cu", "Au"), with_energy=False), ("Cu", "Au"))
    assert repr(without) == "Pool of Cu and Au: 5 candidates, 0 with energies"
    assert repr(pools.Pool.of(cells(("Cu", "Au")), ("Cu", "Au"))) == "Pool of Cu and Au: 5 candidates"


def test_a_hull_that_stands_on_a_wrong_energy_says_so(hullscout, tmp_path, request):
    every = read(request.config.rootpath / "campaigns/agpd/agpd.extxyz.gz", ":", format="extxyz")
    atoms = [one for place, one in enumerate(every) if place % 8 == 0 or set(one.symbols) == {"Pd"}]
    for one in atoms:
        one.info["energy"], one.calc = one.get_potential_energy(), None
    target = tmp_path / "pool.extxyz"
    wrong, twin = atoms[40], atoms[50].copy()
    twin.info |= {"id": "twin", "energy": atoms[50].info["energy"] + 2.0}
    wrong.info["energy"] -= 2.0
    write(target, [*atoms, twin], format="extxyz")
    code, text = hullscout("hull", target)
    said = " ".join(text.split())
    assert code == 0, text
    assert re.search(rf"Suspect: {wrong.info['id']}: \d+\.\d meV/atom below what the others suggest", said), text
    assert f"Caution: this hull stands on suspect energies, {wrong.info['id']}. Look" in said, text
    assert f"`hullscout check {target}`" in said.replace("` ", "`"), text
    assert f"Caution: {atoms[50].info['id']} = twin are one crystal" in said, text
