"""Results of VASP as it writes them, told to a hand-off campaign: the last run counts, and what is not converged is no energy."""

import gzip
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import ase.test
import pytest
from ase.io import read
from code_outputs import outcar_text

from hullscout.oracle import HandoffSettings, read_outcome
from hullscout.pool import Candidate
from hullscout.pool.calculations import beside
from hullscout.pool.calculations.outcar import elapsed_s, read_outcar

VASP = Path(ase.test.__file__).parent / "testdata" / "vasp"


def salt(hullscout, tmp_path):
    """A campaign whose candidates are those of ASE's VASP examples: NaCl, and a supercell of Na and Cl for the ends."""
    frames = [
        (
            '2\nLattice="0 2.72739551 2.72739551 2.72739551 0 2.72739551 2.72739551 2.72739551 0" '
            "Properties=species:S:1:pos:R:3 id=rocksalt\nCl 2.72739551 2.72739551 2.72739551\nNa 0 0 0\n"
        ),
        *(
            f'1\nLattice="{a} 0 0 0 {a} 0 0 0 {a}" Properties=species:S:1:pos:R:3 id={s}\n{s} 0 0 0\n'
            for s, a in (("Na", 3.4), ("Cl", 3.0))
        ),
    ]
    (tmp_path / "salt.extxyz").write_text("".join(frames))
    campaign = tmp_path / "salt.toml"
    campaign.write_text(
        'name = "salt"\nelements = ["Na", "Cl"]\n[pool]\npath = "salt.extxyz"\n'
        '[oracle]\nkind = "handoff"\n[select]\nrule = "random"\n'
    )
    out, outbox = tmp_path / "salt", tmp_path / "box"
    hullscout("run", campaign, "--out", out)
    hullscout("ask", out, "-n", 8, "--to", outbox)
    ends = tmp_path / "ends.csv"
    ends.write_text("id,energy_ev_per_atom\nNa,-1.3\nCl,-1.8\n")
    hullscout("tell", out, ends)
    hullscout("ask", out, "-n", 8, "--to", outbox)
    return out, outbox / "rocksalt"


def test_a_real_vasprun_is_read_and_matched(hullscout, tmp_path):
    out, folder = salt(hullscout, tmp_path)
    shutil.copy(VASP / "vasprun_dfpt.xml", folder / "vasprun.xml")
    (folder / "vasprun.out").write_text("not looked at, since vasprun.xml is there")
    code, text = hullscout("tell", out, tmp_path / "box")
    assert code == 0, text
    code, text = hullscout("ask", out, "--to", tmp_path / "box")
    assert code == 0, text
    (vertex,) = [v for v in json.loads((out / "result.json").read_text())["hull"] if v["id"] == "rocksalt"]
    assert vertex["formation_energy_ev_per_atom"] == pytest.approx(-6.74587304 / 2 + (1.3 + 1.8) / 2, abs=1e-8)


def test_of_several_runs_in_a_folder_the_last_counts(hullscout, tmp_path):
    out, folder = salt(hullscout, tmp_path)
    text = (VASP / "vasprun_dfpt.xml").read_text()
    energies = {"relax1": "-6.50000000", "relax2": "-6.74587304", "relax10": "-6.80000000"}
    for run, energy in energies.items():
        with gzip.open(folder / f"vasprun.xml.{run}.gz", "wt") as file:
            file.write(text.replace("-6.74587304", energy))
    shutil.copy(VASP / "OUTCAR_example_1", folder / "OUTCAR")
    code, shown = hullscout("tell", out, folder)
    assert code == 0, shown
    hullscout("table", out, "-o", tmp_path / "table.extxyz")
    found = {atoms.info["id"]: atoms.get_potential_energy() for atoms in read(tmp_path / "table.extxyz", ":")}
    assert found["rocksalt"] == -6.8


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (
            lambda text: text.replace('name="NELM">   100', 'name="NELM">    11'),
            "The electrons did not converge within NELM = 11",
        ),
        (lambda text: text[: len(text) // 2], "vasprun.xml is cut off"),
        (lambda text: text.replace("<atominfo>", "").replace("2.72739551", "3.9", 3), "vasprun.xml"),
    ],
    ids=["unconverged", "truncated", "garbled"],
)
def test_a_faulty_vasprun_is_no_energy(hullscout, tmp_path, change, verdict):
    out, folder = salt(hullscout, tmp_path)
    (folder / "vasprun.xml").write_text(change((VASP / "vasprun_dfpt.xml").read_text()))
    text = hullscout("tell", out, folder)[1]
    assert "0 new energies" in text
    assert verdict in text


def test_a_real_outcar_of_another_structure_is_refused(hullscout, tmp_path):
    out, folder = salt(hullscout, tmp_path)
    shutil.copy(VASP / "OUTCAR_example_1", folder / "OUTCAR")
    code, text = hullscout("tell", out, folder)
    assert code == 2
    assert "OUTCAR is of another structure. Expected the atoms Na1 Cl1 of 'rocksalt', found Ni18" in text


def test_the_work_of_a_pressure_is_no_energy_and_atoms_that_did_not_come_to_rest_are_none(tmp_path):
    """Diamond under PSTRESS: the last loop of the file states the energy, its last lines the enthalpy."""
    atoms = read(VASP / "vasprun_pstress.xml", format="vasp-xml")
    candidate = Candidate(id="C2", numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell.array)
    vasprun = tmp_path / "vasprun.xml"
    text = (VASP / "vasprun_pstress.xml").read_text()
    vasprun.write_text(text)
    outcome = read_outcome(vasprun, candidate, HandoffSettings())
    assert (outcome.energy_ev, outcome.relaxed) == (pytest.approx(-20.24720095, abs=1e-7), None)
    step = text[text.index(" <calculation>") : text.index("</calculation>") + len("</calculation>")]
    for name, value in (("NSW", 2), ("IBRION", 2)):
        text = re.sub(rf'(<i type="int" name="{name}">)\s*-?\d+', rf"\g<1> {value}", text)
    higher = re.sub(r'(name="e_fr_energy">)\s*-20', r"\g<1> -19", step)
    vasprun.write_text(text.replace(step, f"{higher}\n{step}"))
    outcome = read_outcome(vasprun, candidate, HandoffSettings())
    assert "The atoms did not come to rest after 2 of NSW = 2 steps: the energy changed by 1 eV" in outcome.sentence
    assert "(energy then: -20.247" in outcome.sentence


def test_a_real_outcar_is_read(tmp_path):
    atoms = read(VASP / "OUTCAR_example_1", format="vasp-out")
    candidate = Candidate(id="Ni18", numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell.array)
    outcar = tmp_path / "OUTCAR"
    shutil.copy(VASP / "OUTCAR_example_1", outcar)
    assert read_outcome(outcar, candidate, HandoffSettings()).energy_ev == -68.23102426
    outcar.write_text(
        outcar.read_text().replace("loop because EDIFF is reached", "loop EDIFF was not reached (unconverged)")
    )
    assert read_outcome(outcar, candidate, HandoffSettings()).reason == "not-converged"


def test_the_time_that_vasp_took_is_kept(tmp_path, monkeypatch):
    """By its OUTCAR, also beside the vasprun.xml that is read; so plans know core-hours."""
    outcar = tmp_path / "OUTCAR"
    outcar.write_text(outcar_text())
    took = elapsed_s(outcar.read_text())
    done = read_outcar(outcar)
    assert done.wall_s == took > 0.0
    assert elapsed_s(outcar.read_text().replace("Elapsed time", "Time")) is None
    candidate = Candidate.from_ase(done.atoms, "nickel")
    assert read_outcome(outcar, candidate, HandoffSettings()).wall_s == took
    monkeypatch.setattr(beside, "_of_outcar", agrees := lambda *_: "")
    monkeypatch.setattr(beside, "_beside", lambda _: iter([(outcar, agrees)]))
    assert beside.held_against_others(tmp_path / "vasprun.xml", replace(done, wall_s=None)).wall_s == took
