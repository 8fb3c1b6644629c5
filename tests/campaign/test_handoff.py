"""Structures are handed out once, results come back late, in any order, twice or as failures, and no other structure slips in."""

import json
import re
import shutil

import pytest
from ase.calculators.emt import EMT
from ase.io import read, write


def folders(outbox):
    return sorted(folder for folder in outbox.iterdir() if folder.is_dir())


def id_of(folder):
    return json.loads((folder / "manifest.json").read_text())["id"]


def compute(folder):
    """The energy of what was handed out, as a person would: from the POSCAR."""
    atoms = read(folder / "POSCAR")
    atoms.calc = EMT()
    atoms.get_potential_energy()
    write(folder / "result.traj", atoms)
    return atoms.get_potential_energy()


def test_a_campaign_goes_round_by_files_to_its_end(hullscout, handoff, live_file, tmp_path):
    out, outbox = handoff
    handed = []
    for _ in range(20):
        code, text = hullscout("ask", out, "-n", 4, "--to", outbox)
        assert code == 0
        if "Convex hull" in text:
            break
        new = [folder for folder in folders(outbox) if id_of(folder) not in handed]
        handed += [id_of(folder) for folder in new]
        for folder in new[::-1]:
            compute(folder)
        assert hullscout("tell", out, outbox)[0] == 0
    assert sorted(handed) == sorted(set(handed))
    assert len(handed) == 10
    live_file.write_text(live_file.read_text().replace('"handoff"', '"calculator"\ncalculator = "emt"'))
    assert hullscout("run", live_file, "--out", tmp_path / "live", "--set", "executor.kind=in-process")[0] == 0
    hulls = [json.loads((folder / "result.json").read_text())["hull"] for folder in (out, tmp_path / "live")]
    assert [v["id"] for v in hulls[0]] == [v["id"] for v in hulls[1]]
    energies = [[v["formation_energy_ev_per_atom"] for v in hull] for hull in hulls]
    assert energies[0] == pytest.approx(energies[1], abs=1e-8)


def test_each_structure_is_written_in_three_formats_that_agree(hullscout, handoff):
    out, outbox = handoff
    assert hullscout("ask", out, "-n", 5, "--to", outbox)[0] == 0
    for folder in folders(outbox):
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest["campaign"] == "live"
        volumes = [read(folder / name).get_volume() for name in ("POSCAR", "structure.cif", "structure.extxyz")]
        assert volumes == pytest.approx([volumes[0]] * 3, rel=1e-6)
        assert len(read(folder / "POSCAR")) == manifest["n_atoms"]


def test_nothing_is_handed_out_twice_unless_wanted(hullscout, handoff):
    out, outbox = handoff
    first = hullscout("ask", out, "-n", 2, "--to", outbox)[1]
    ids = {id_of(folder) for folder in folders(outbox)}
    assert "2 results are awaited" in first
    shutil.rmtree(outbox)
    code, text = hullscout("ask", out, "-n", 8, "--to", outbox)
    assert code == 0
    assert "Handed out 0 structures; 2 results are awaited" in text
    assert "when some of these are told" in text
    assert hullscout("ask", out, "--to", outbox, "--again")[0] == 0
    assert {id_of(folder) for folder in folders(outbox)} == ids


@pytest.mark.usefixtures("handoff")
def test_a_folder_with_a_blank_is_quoted_in_the_next_step(hullscout, live_file, tmp_path):
    out = tmp_path / "by hand"
    for arguments in (["run", live_file, "--out", out], ["status", out], ["ask", out, "-n", 2, "--to", tmp_path / "b"]):
        code, text = hullscout(*arguments)
        assert code == 0
        assert f"'{out}'" in text


def csv_of(tmp_path, *lines):
    path = tmp_path / "results.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_told_twice_is_fine_and_contradicted_is_an_error_that_names_both(hullscout, handoff, tmp_path):
    out, outbox = handoff
    hullscout("ask", out, "-n", 2, "--to", outbox)
    table = csv_of(tmp_path, "id,energy_ev", "fcc-A1-0001,-0.25", "fcc-B1-0001,")
    assert "1 new energy, 0 new failures, 0 known already; 1 results are awaited" in hullscout("tell", out, table)[1]
    assert "0 new energies, 0 new failures, 1 known already" in hullscout("tell", out, table)[1]
    code, text = hullscout("tell", out, csv_of(tmp_path, "id,energy_ev", "fcc-A1-0001,-0.2505"))
    assert code == 2
    assert re.search(
        r"results.csv, line 2: the energy of 'fcc-A1-0001' was told as -0\.25 eV before and as -0\.2505 eV now", text
    )
    code, text = hullscout("tell", out, csv_of(tmp_path, "id,energy_ev,failed", "fcc-A1-0001,,crashed"))
    assert (code, "told to have failed, but its energy was told as -0.25 eV before" in text) == (2, True)


def test_a_failure_is_kept_shown_and_withdrawn_when_an_energy_comes_after_all(hullscout, handoff):
    out, outbox = handoff
    hullscout("ask", out, "-n", 2, "--to", outbox)
    folder = folders(outbox)[0]
    (folder / "FAILED").write_text("out of memory\non node 7")
    code, text = hullscout("tell", out, outbox)
    assert code == 0
    assert f"Failed: {id_of(folder)} (reported): out of memory on node 7" in text
    status = hullscout("status", out)[1]
    assert f"Failed: {id_of(folder)} (reported)" in status
    assert f"Handed out: {id_of(folders(outbox)[1])}, try 1" in status
    assert f"Not finished; `hullscout ask {out}` and" in status
    (folder / "FAILED").unlink()
    compute(folder)
    assert "1 new energy" in hullscout("tell", out, outbox)[1]
    assert "Failed" not in hullscout("status", out)[1]


def test_the_good_results_are_kept_where_others_are_faulty(hullscout, handoff):
    out, outbox = handoff
    hullscout("ask", out, "-n", 2, "--to", outbox)
    good, bad = folders(outbox)
    compute(good)
    (bad / "OUTCAR").write_text("running on 64 cores\n")
    code, text = hullscout("tell", out, outbox)
    assert code == 2
    assert "1 new energy, 0 new failures" in text
    assert re.search(
        rf"Error: .*{bad.name}: OUTCAR holds no energy that can be read .*Is the calculation complete\?", text
    )


FAULTY_TABLES = {
    "columns": (
        ["name,energy", "a,1"],
        "expected the columns id and one of energy_ev, energy, energy_ev_per_atom, energy_per_atom",
    ),
    "id": (["id,energy_ev", "nobody,1"], "line 2: 'nobody' is no candidate of this campaign"),
    "number": (["id,energy_ev", "fcc-A1-0001,many"], "line 2: expected an energy in eV as a number, found 'many'"),
    "huge": (["id,energy_ev", "fcc-A1-0001,-1e9"], "expected a finite energy of 'fcc-A1-0001' in eV, found -1e9"),
    "time": (["id,energy_ev,wall_s", "fcc-A1-0001,1,long"], "expected wall_s, in seconds, as a number, found 'long'"),
    "negative time": (["id,energy_ev,wall_s", "fcc-A1-0001,1,-5"], "expected wall_s of 0 seconds or more, found -5"),
    "infinite": (["id,energy_ev", "fcc-A1-0001,inf"], "expected a finite energy of 'fcc-A1-0001' in eV, found inf"),
    "both": (
        ["id,energy_ev,failed", "fcc-A1-0001,1,no"],
        "expected an energy or a failure of 'fcc-A1-0001', found both",
    ),
    "commas": (["id,energy_ev", "fcc-A1-0001,1,5"], "line 2: expected energy_ev as a number with a decimal point"),
    "twice": (["id,energy_ev,energy_ev", "fcc-A1-0001,1,2"], "found 'energy_ev' more than once"),
    "other letters": (
        ["id,ID,energy_ev", "fcc-A1-0001,fcc-B1-0001,1"],
        "expected columns of different names, found 'id' and 'ID'",
    ),
    "not seen": (
        ["id,energy_ev", "fcc-A1-0001\u2028,1"],
        "'fcc-A1-0001\\u2028' is no candidate of this campaign. It has signs that",
    ),
    "no blank": (
        ["id,energy_ev", "fcc-A1-0001\u00a0,1"],
        "line 2: 'fcc-A1-0001\\xa0' is no candidate of this campaign.",
    ),
    "number not seen": (
        ["id,energy_ev", "fcc-A1-0001,1\u2028"],
        "expected an energy in eV as a number, found '1\\u2028'",
    ),
    "contradiction": (
        ["id,energy_ev", "fcc-A1-0001,-1", "fcc-A1-0001,-1", "fcc-A1-0001,-2"],
        "expected one result of 'fcc-A1-0001', found -1.0 eV in line 2, -1.0 eV in line 3, -2.0 eV in line 4. None was taken",
    ),
    "energy and failure": (
        ["id,energy_ev,failed", "fcc-A1-0001,,no", "fcc-A1-0001,-1,"],
        "expected one result of 'fcc-A1-0001', found a failure in line 2, -1.0 eV in line 3. None was taken",
    ),
    "never asked": (["id,energy_ev,failed", "fcc-A2B1-0001,,no"], "'fcc-A2B1-0001' was never asked for"),
}


@pytest.mark.parametrize("fault", FAULTY_TABLES)
def test_a_faulty_table_is_refused_by_its_line(hullscout, handoff, tmp_path, fault):
    out, outbox = handoff
    hullscout("ask", out, "-n", 2, "--to", outbox)
    lines, message = FAULTY_TABLES[fault]
    code, text = hullscout("tell", out, csv_of(tmp_path, *lines))
    assert (code, message in text) == (2, True), text
    assert "0 new energies" in text


def test_another_structure_is_refused_or_failed(hullscout, handoff):
    out, outbox = handoff
    hullscout("ask", out, "-n", 2, "--to", outbox)
    copper, gold = folders(outbox)
    compute(gold)
    (gold / "result.traj").rename(copper / "result.traj")
    code, text = hullscout("tell", out, copper)
    assert code == 2
    assert "result.traj is of another structure. Expected the atoms Cu1 of 'fcc-A1-0001', found Au1" in text
    atoms = read(copper / "POSCAR")
    atoms.set_cell(atoms.cell.array @ [[1.2, 0, 0], [0, 1, 0], [0, 0, 0.9]], scale_atoms=True)
    atoms.calc = EMT()
    atoms.get_potential_energy()
    write(copper / "result.traj", atoms)
    code, text = hullscout("tell", out, copper)
    assert code == 0
    assert "Failed: fcc-A1-0001 (changed): It came back as another structure: its cell changed shape" in text


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: (folder / "manifest.json").write_text("{"), "is no manifest"),
        (
            lambda folder: (folder / "manifest.json").write_text('{"id": "x"}'),
            "names 'x', which is no candidate of this campaign",
        ),
        (
            lambda folder: shutil.copy(folder / "result.traj", folder / "b.traj"),
            "expected one file with an energy, found b.traj, result.traj",
        ),
        (
            lambda folder: [path.write_text("?") for path in (folder / "result.traj", folder / "slurm-7.out")],
            "expected one file with an energy, found none that can be read among result.traj, slurm-7.out",
        ),
        (shutil.rmtree, "There is no "),
        (lambda folder: (folder / "result.traj").unlink(), "holds no results"),
    ],
    ids=["manifest", "foreign", "two", "unreadable", "gone", "none"],
)
def test_a_faulty_folder_is_refused_with_what_to_do(hullscout, handoff, prepare, message):
    out, outbox = handoff
    hullscout("ask", out, "-n", 2, "--to", outbox)
    folder = folders(outbox)[0]
    compute(folder)
    prepare(folder)
    code, text = hullscout("tell", out, folder)
    assert (code, message in text) == (2, True), text


def test_what_a_code_leaves_beside_its_result_does_not_stand_in_the_way(hullscout, handoff):
    out, outbox = handoff
    hullscout("ask", out, "-n", 2, "--to", outbox)
    for folder in folders(outbox):
        compute(folder)
        (folder / "slurm-7.out").write_text("node 7\n")
        (folder / "pwscf.save").mkdir()
        (folder / "pwscf.save" / "data-file-schema.xml").write_text("<espresso/>")
    code, text = hullscout("tell", out, outbox)
    assert (code, "2 new energies, 0 new failures" in text) == (0, True), text
    assert "Note: Files of kind traj: whether these 2 converged cannot be told from the files." in text


def test_a_result_without_manifest_or_name_is_told_by_its_crystal_and_a_failure_is_refused(
    hullscout, handoff, tmp_path
):
    out, outbox = handoff
    hullscout("ask", out, "-n", 2, "--to", outbox)
    compute(folders(outbox)[0])
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (folders(outbox)[0] / "result.traj").rename(moved / "result.traj")
    code, text = hullscout("tell", out, moved)
    assert (code, "1 new energies" in text.replace("energy", "energies"), "never asked for" in text) == (
        0,
        True,
        False,
    ), text
    (moved / "result.traj").unlink()
    (moved / "FAILED").write_text("no licence")
    code, text = hullscout("tell", out, moved)
    assert (code, "expected manifest.json in the folder or above it" in text) == (2, True), text


def test_an_outbox_with_something_else_in_it_is_left_alone(hullscout, handoff):
    out, outbox = handoff
    (outbox / "fcc-A1-0001").mkdir(parents=True)
    (outbox / "fcc-A1-0001" / "POSCAR").write_text("precious")
    code, text = hullscout("ask", out, "--to", outbox)
    assert (code, "holds something else than 'fcc-A1-0001'. Nothing was changed" in text) == (2, True)
    assert (outbox / "fcc-A1-0001" / "POSCAR").read_text() == "precious"


def test_other_campaigns_do_not_ask_and_are_not_told(hullscout, campaign_file, tmp_path):
    hullscout("run", campaign_file, "--out", tmp_path / "out", "--set", "stop.max_calculations=5")
    to = ("--to", "box", "--template", "not-there")
    for command in (("ask", tmp_path / "out", *to), ("ask", campaign_file, *to), ("tell", tmp_path / "out", tmp_path)):
        code, text = hullscout(*command)
        assert (code, "has oracle.kind = 'table': it computes its energies by `hullscout run`" in text) == (2, True)


def test_an_energy_stated_twice_alike_is_taken_and_other_rows_of_a_table_that_contradicts_itself_are(
    hullscout, handoff, tmp_path
):
    out, outbox = handoff
    hullscout("ask", out, "-n", 2, "--to", outbox)
    rows = ("fcc-B1-0001,-1", "fcc-A1-0001, -0.25", "fcc-B1-0001,-2", "fcc-A1-0001,-0.25\t")
    code, text = hullscout("tell", out, csv_of(tmp_path, "id,energy_ev", *rows))
    assert (code, "1 new energy" in text, "line 2, -2.0 eV in line 4" in text) == (2, True, True), text


def test_a_row_that_is_cut_off_is_no_energy(hullscout, handoff, tmp_path):
    out, outbox = handoff
    hullscout("ask", out, "-n", 2, "--to", outbox)
    code, text = hullscout(
        "tell", out, csv_of(tmp_path, "id,energy_ev,wall_s", "fcc-A1-0001,-0.25,3", "fcc-B1-0001,-0.1")
    )
    assert code == 2
    assert "1 new energy" in text
    assert "line 3: expected 3 columns, found 2: was the row cut off?" in text


def test_an_energy_per_atom_among_those_of_cells_is_pointed_at_when_it_is_told_and_in_the_result(
    hullscout, handoff, tmp_path
):
    out, outbox = handoff
    told, wrong, table = {}, None, tmp_path / "results.csv"
    while "Convex hull" not in (text := hullscout("ask", out, "-n", 4, "--to", outbox)[1]):
        asked = {id_of(folder): len(read(folder / "POSCAR")) for folder in folders(outbox)}
        wrong = wrong or next((name for name, size in asked.items() if size > 1), None)
        told |= {name: -3.5 if name == wrong else -3.5 * size for name, size in asked.items() if name not in told}
        table.write_text("\n".join(["id,energy_ev", *(f"{name},{energy}" for name, energy in told.items())]))
        code, text = hullscout("tell", out, table)
        assert (code, "Look at the energies" in text) == (0, wrong is not None)
    said = " ".join(text.split())
    assert f"of {len(told)} energies look like energies per atom among energies of cells ({wrong})" in said
    assert wrong in json.loads((out / "result.json").read_text())["doubts"][0]


def test_the_comment_of_a_poscar_is_the_id(hullscout, handoff):
    out, outbox = handoff
    assert hullscout("ask", out, "-n", 3, "--to", outbox)[0] == 0
    for folder in folders(outbox):
        assert (folder / "POSCAR").read_text().splitlines()[0] == id_of(folder)
        assert sorted(read(folder / "POSCAR").symbols) == sorted(read(folder / "structure.extxyz").symbols)


@pytest.fixture
def template(tmp_path):
    folder = tmp_path / "template"
    folder.mkdir()
    (folder / "INCAR").write_text("ENCUT = 400\n")
    (folder / "job.sh").write_text("#!/bin/sh\nvasp\n")
    (folder / "job.sh").chmod(0o755)
    return folder


def test_the_files_of_a_template_go_into_each_folder_and_replace_nothing(hullscout, handoff, template):
    out, outbox = handoff
    assert hullscout("ask", out, "-n", 2, "--to", outbox, "--template", template)[0] == 0
    for folder in folders(outbox):
        assert (folder / "INCAR").read_text() == "ENCUT = 400\n"
        assert (folder / "job.sh").stat().st_mode & 0o777 == 0o755
    mine = folders(outbox)[0] / "INCAR"
    mine.write_text("ENCUT = 500\n")
    assert hullscout("ask", out, "--again", "--to", outbox, "--template", template)[0] == 0
    assert mine.read_text() == "ENCUT = 500\n"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "POSCAR").write_text("mine"), "POSCAR: expected other files than are handed out"),
        (lambda folder: (folder / "link").symlink_to("INCAR"), "expected a file, found a link"),
        (lambda folder: (folder / "deep").mkdir(), "A template holds regular files only"),
        (lambda folder: (folder / "POTCAR").write_bytes(bytes(17_000_000)), "expected files of no more than 16 MB"),
        (shutil.rmtree, "cannot be read as a template"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_before_anything_is_handed_out(
    hullscout, handoff, template, spoil, said
):
    out, outbox = handoff
    spoil(template)
    code, text = hullscout("ask", out, "--to", outbox, "--template", template)
    assert code == 2
    assert said in " ".join(text.split())
    assert not outbox.exists()
    assert "0 asked for" in " ".join(hullscout("status", out)[1].split())


def test_what_failed_is_handed_out_once_more_where_that_is_wanted(hullscout, handoff):
    out, outbox = handoff
    assert hullscout("ask", out, "-n", 10, "--to", outbox)[0] == 0
    handed = folders(outbox)
    (handed[0] / "FAILED").write_text("no more time")
    for folder in handed[1:]:
        compute(folder)
    assert hullscout("tell", out, outbox)[0] == 0
    shutil.rmtree(outbox)
    assert hullscout("ask", out, "--to", outbox, "--retry-failed")[0] == 0
    (again,) = folders(outbox)
    assert again.name == handed[0].name
    compute(again)
    assert hullscout("tell", out, outbox)[0] == 0
    assert "Failed:" not in hullscout("status", out)[1]
