"""Whether a calculation may be used is decided by what its code wrote, whatever its file is called."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from code_outputs import outcar_text, pw_text
from pool_writers import vasprun_text

from hullscout.errors import ResultError
from hullscout.pool.calculations import kind_of, notes_on, read_calculation, stated_unconverged

RELAXED = {"nsw": 50, "higher_by": (0.4, 0.1, 0.0), "EDIFFG": -0.02}


@pytest.fixture
def read(tmp_path):
    def _read(text, name="vasprun.xml"):
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_calculation(file)

    return _read


@pytest.fixture
def silicon():
    return bulk("Si")


def compound(frames):
    return next(frame for frame in frames if len(frame.numbers) == 2)


@pytest.mark.parametrize(
    ("tags", "verdict"),
    [
        ({}, ""),
        ({"n_loop": 59}, ""),
        ({"n_loop": 60}, "The electrons did not converge within NELM = 60 steps"),
        ({"nsw": 0, "force": 2.0, "EDIFFG": -0.02}, ""),
        ({"nsw": 1, "force": 2.0, "EDIFFG": -0.02}, ""),
        ({**RELAXED, "force": 0.019}, ""),
        ({**RELAXED, "force": 0.8}, "after 3 of NSW = 50 steps: the largest force is 0.8 eV/A, EDIFFG = -0.02 eV/A"),
        ({**RELAXED, "nsw": 3, "force": 0.019}, ""),
        ({**RELAXED, "nsw": 3, "force": 0.021}, "after 3 of NSW = 3 steps: the largest force is 0.021 eV/A"),
        ({**RELAXED, "ISIF": 2, "stress": 90.0}, ""),
        ({**RELAXED, "ISIF": 3, "stress": 90.0}, "the stress times the volume per atom is "),
        ({**RELAXED, "ISIF": 3, "stress": 90.0, "PSTRESS": 90.0}, ""),
        ({**RELAXED, "ISIF": 3, "stress": 0.5}, ""),
        ({**RELAXED, "ISIF": 4, "stress": 90.0}, ""),
        ({**RELAXED, "EDIFFG": 0.001}, "the energy changed by 0.1 eV in the last one, EDIFFG = 0.001 eV"),
        ({**RELAXED, "EDIFFG": 0.001, "higher_by": (0.4, 0.0005, 0.0)}, ""),
        ({**RELAXED, "EDIFFG": 0.001, "higher_by": (0.0,), "force": 0.5}, "there is no second energy"),
        ({**RELAXED, "EDIFFG": 0.001, "higher_by": (0.0,)}, ""),
        ({**RELAXED, "EDIFFG": 0.0, "force": 0.5}, "EDIFFG = 0 asks for none"),
    ],
)
def test_a_vasprun_is_judged_by_its_own_criteria(tags, verdict, frames, read):
    found = read(vasprun_text(compound(frames), **tags)).unconverged
    assert bool(found) == bool(verdict)
    assert verdict in found


def test_atoms_that_are_held_do_not_count_as_moving(frames, read):
    """Selective dynamics: the first atom may not move along x, whatever pulls at it."""
    frame = compound(frames)
    text = vasprun_text(frame, **RELAXED, force=0.8)
    held = '<varray type="logical" name="selective"><v type="logical"> F T T </v><v type="logical"> T T T </v></varray></structure>'
    assert "largest force is 0.8" in read(text).unconverged
    assert read(text.replace("</structure>", held, 1)).unconverged == ""


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ({"ibrion": 0, "nsw": 100, "higher_by": (0.1, 0.0)}, "molecular dynamics (IBRION = 0, NSW = 100)"),
        ({"ibrion": 6, "nsw": 1}, "vibrations by displaced atoms or perturbations (IBRION = 6)"),
        ({"ibrion": 8}, "vibrations by displaced atoms or perturbations (IBRION = 8)"),
        ({"ibrion": 44, "nsw": 10}, "a run that moves the atoms in another way (IBRION = 44)"),
        ({"ICHARG": 11}, "a run with a fixed charge density (ICHARG = 11)"),
        ({"IMAGES": 5}, "a chain of images (IMAGES = 5)"),
        ({"ML_LMLFF": True}, "energies by a force field that VASP learned (ML_LMLFF = T)"),
        ({"ALGO": "GW0"}, "a response or many-body run (ALGO = "),
    ],
)
def test_runs_of_another_kind_are_refused(tags, found, frames, read):
    with pytest.raises(ResultError, match="expected a static run or a relaxation, found ") as refused:
        read(vasprun_text(compound(frames), **tags))
    assert found in str(refused.value)


def test_a_static_run_that_states_molecular_dynamics_without_steps_is_static(frames, read):
    assert read(vasprun_text(compound(frames), ibrion=0, nsw=0)).unconverged == ""


@pytest.mark.parametrize(
    ("pack", "name"),
    [
        (bytes, "Cu3Au-final.xml"),
        (bytes, "results.txt"),
        (gzip.compress, "vasprun.xml.gz"),
        (gzip.compress, "vasprun.xml"),
        (bz2.compress, "a.b"),
    ],
)
def test_a_vasprun_is_told_by_its_content(pack, name, frames, read, tmp_path):
    frame = compound(frames)
    done = read(pack(vasprun_text(frame).encode()), name)
    assert kind_of(tmp_path / name) == "vasprun.xml"
    assert done.energy_ev == pytest.approx(frame.energy_ev)
    assert "did not converge" in read(pack(vasprun_text(frame, n_loop=60).encode()), name).unconverged


@pytest.mark.parametrize("name", ["OUTCAR", "OUTCAR.relax2", "silver.log"])
@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ((), ""),
        ((("because EDIFF is reached", "EDIFF was not reached (unconverged)"),), "The electrons did not converge"),
        ((("NELM   =    120", "NELM   =     63"),), "The electrons did not converge within NELM = 63 steps"),
        (
            (("NSW    =      0", "NSW    =     40"), ("IBRION =     -1", "IBRION =      2")),
            "The atoms did not come to rest",
        ),
        (
            (
                ("NSW    =      0", "NSW    =     40"),
                ("IBRION =     -1", "IBRION =      2"),
                (
                    " General timing",
                    " reached required accuracy - stopping structural energy minimisation\n General timing",
                ),
            ),
            "",
        ),
    ],
)
def test_an_outcar_is_judged_whatever_it_is_called(changes, verdict, name, read):
    done = read(outcar_text(*changes), name)
    assert bool(done.unconverged) == bool(verdict)
    assert verdict in done.unconverged
    assert done.energy_ev == -68.23102426


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ((("IBRION =     -1", "IBRION =      0"), ("NSW    =      0", "NSW    =     40")), "found molecular dynamics"),
        ((("ICHARG =      2", "ICHARG =     11"),), "found a run with a fixed charge density"),
        ((("General timing and accounting", ""),), "OUTCAR is cut off"),
    ],
)
def test_an_outcar_of_another_kind_or_cut_off_is_refused(changes, message, read):
    with pytest.raises(ResultError, match=message):
        read(outcar_text(*changes), "OUTCAR")


def test_the_settings_of_an_outcar_are_those_of_a_vasprun_by_name(frames, read):
    outcar, vasprun = read(outcar_text(), "OUTCAR_2").columns, read(vasprun_text(compound(frames))).columns
    assert (outcar["functional"], outcar["cutoff"], outcar["ispin"], outcar["total_charge"]) == (
        "PBE",
        "300.0",
        "2",
        0.0,
    )
    assert {name for name in vasprun if "_" not in name} <= set(outcar)


def test_a_vasprun_that_states_two_energies_of_one_step_is_doubted(frames, read):
    """A digit that was changed in the energy of the step, of the loop, or of zero smearing."""
    frame = compound(frames)
    text, energy = vasprun_text(frame), repr(frame.energy_ev)
    places = [at for at in range(len(text)) if text.startswith(energy, at)]
    done = [read(text[:at] + "-9.9" + text[at + len(energy) :]) for at in places]
    assert len(done) == 6
    assert all(calculation.doubt for calculation in done if abs(calculation.energy_ev - frame.energy_ev) > 1e-6)
    assert sum(bool(calculation.doubt) for calculation in done) >= 3
    assert read(text).doubt == ""


def test_an_outcar_that_states_two_energies_of_one_step_is_doubted(read):
    before = "energy  without entropy=      -68.23570214  energy(sigma->0) =      -6"
    done = read(outcar_text((f"{before}8.23102426", f"{before}9.23102426")), "OUTCAR")
    assert done.doubt.startswith(
        "two energies of the last step, -68.231024 eV after its electronic loop and -69.231024 eV"
    )
    assert notes_on([("a", done)])[0].startswith("a states two energies of the last step")


RELAX = "     BFGS Geometry Optimization\n"


@pytest.mark.parametrize(
    ("printed", "verdict"),
    [
        ({}, ""),
        ({"after": RELAX + "     bfgs converged in   4 scf cycles and   3 bfgs steps"}, ""),
        ({"after": RELAX}, "The atoms did not come to rest"),
        ({"after": RELAX + "     The maximum number of steps has been reached."}, "within the maximum number of steps"),
        ({"end": "     convergence NOT achieved after 100 iterations: stopping"}, "The electrons did not converge"),
        ({"body": "     convergence NOT achieved after 100 iterations"}, ""),
        ({"end": "     Maximum CPU time exceeded"}, "It was stopped at its maximum time"),
        ({"end": "     Program stopped by user request"}, "It was stopped by a file EXIT"),
        ({"end": "     Error in routine electrons (1): charge is wrong"}, "It ended in an error"),
    ],
)
@pytest.mark.parametrize("name", ["pw.out", "Si.txt", "espresso.pwo"])
def test_an_output_of_pw_x_is_judged_by_what_it_prints(printed, verdict, name, silicon, read):
    done = read(pw_text(silicon, -22.3, **printed), name)
    assert bool(done.unconverged) == bool(verdict)
    assert verdict in done.unconverged
    assert done.energy_ev == pytest.approx(-22.3 * 13.605693, abs=1e-4)


def test_of_runs_that_were_continued_in_one_file_the_last_tells_how_it_ended(silicon, read):
    stopped, finished = pw_text(silicon, -22.2, end="     Maximum CPU time exceeded"), pw_text(silicon, -22.3)
    done = read(stopped + finished, "pw.out")
    assert (done.unconverged, done.energy_ev) == ("", pytest.approx(-22.3 * 13.605693, abs=1e-4))
    assert "stopped at its maximum time" in read(finished + stopped, "pw.out").unconverged
    with pytest.raises(ResultError, match="is cut off"):
        read(finished + stopped[: len(stopped) // 2], "pw.out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("JOB DONE.", ""), r"is cut off: expected 'JOB DONE\.'"),
        (lambda text: text.replace("!  ", "     Molecular Dynamics Calculation\n!  "), "found molecular dynamics"),
        (lambda text: text.replace("!  ", "     Band Structure Calculation\n   "), "found a band structure"),
    ],
)
def test_an_output_of_pw_x_of_another_kind_or_cut_off_is_refused(change, message, silicon, read):
    with pytest.raises(ResultError, match=message):
        read(change(pw_text(silicon, -22.3)), "pw.out")


@pytest.mark.parametrize(
    ("smearing", "share"),
    [("gaussian", 0.5), ("Fermi-Dirac", 0.5), ("Methfessel-Paxton", 1 / 3), ("Marzari-Vanderbilt", 0.0), (None, 0.0)],
)
def test_the_energy_of_pw_x_is_for_zero_smearing(smearing, share, silicon, read):
    done = read(pw_text(silicon, -22.3, smearing=smearing, entropy_ry=-0.006), "pw.out")
    assert done.energy_ev == pytest.approx((-22.3 + 0.006 * share) * 13.605693, abs=1e-4)


@pytest.mark.parametrize(("ewald", "is_doubted"), [("-16.2", False), ("-16.206", False), ("-17.2", True)])
def test_an_output_of_pw_x_whose_terms_do_not_add_up_is_doubted(ewald, is_doubted, silicon, read):
    """The sum is of the energy with the entropy, or, in later versions, of that without."""
    terms = (
        "     The total energy is the sum of the following terms:\n     one-electron contribution =       4.70000000 Ry\n"
        "     hartree contribution      =       1.10000000 Ry\n     xc contribution           =     -11.90000000 Ry\n"
        f"     ewald contribution        =     {ewald} Ry\n      -> PAW hartree energy AE =      99.0 Ry\n"
    )
    done = read(pw_text(silicon, -22.3, after=terms, smearing="gaussian", entropy_ry=0.006), "pw.out")
    assert bool(done.doubt) == is_doubted


def test_the_settings_of_pw_x_are_read(silicon, read):
    points = [(x, y, 0.0) for x in (0.0, 0.25, 0.5) for y in (0.0, 0.5)]
    done = read(pw_text(silicon, -22.3, points=points, smearing="gaussian", charge=1.0), "pw.out")
    reciprocal = 2 * np.pi * np.linalg.norm(np.linalg.inv(silicon.cell.array), axis=0)
    expected = {
        "functional": "PBE",
        "ecutwfc": "60.0000",
        "ecutrho": "480.0000",
        "potential_Si": "0123abcd",
        "total_charge": 1.0,
        "smearing": "gaussian",
        "degauss": "0.0200",
        "hubbard_u_Si": 0.0,
        "code_version": "7.2",
        "ispin": 1,
    }
    assert {name: done.columns[name] for name in expected} == expected
    assert done.columns["k_spacing"] == pytest.approx((reciprocal / (4, 2, 1)).max())


def moved(force, *, n=1, converged=None, momenta=None):
    """Steps of a hydrogen molecule in a box, the last with a force."""
    steps = []
    for step in range(n):
        atoms = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.7 + 0.01 * step]], cell=[5, 5, 5], pbc=True)
        atoms.calc = SinglePointCalculator(atoms, energy=-6.0, forces=[[0, 0, force], [0, 0, -force]])
        if converged is not None:
            atoms.info["converged"] = converged
        if momenta is not None:
            atoms.set_momenta(momenta)
        steps.append(atoms)
    return steps


@pytest.mark.parametrize("name", ["a.traj", "a.extxyz"])
@pytest.mark.parametrize(
    ("steps", "verdict"),
    [
        ({"force": 0.01, "n": 3}, ""),
        ({"force": 0.8, "n": 3}, "The atoms did not come to rest: a trajectory ends with a largest force of 0.8 eV/A"),
        ({"force": 0.8}, ""),
        ({"force": 0.01, "converged": False}, "The file says converged = False"),
        ({"force": 0.01, "converged": True}, ""),
    ],
)
def test_files_of_ase_are_judged_by_what_they_state(name, steps, verdict, tmp_path):
    write(tmp_path / name, moved(**steps))
    done = read_calculation(tmp_path / name)
    assert bool(done.unconverged) == bool(verdict)
    assert verdict in done.unconverged
    assert done.max_force == pytest.approx(steps["force"])
    assert bool(done.untested) == (not verdict and "converged" not in steps)


def test_a_snapshot_of_molecular_dynamics_is_refused(tmp_path):
    write(tmp_path / "md.traj", moved(0.0, momenta=[[0, 0, 0.3], [0, 0, -0.3]]))
    with pytest.raises(ResultError, match="molecular dynamics"):
        read_calculation(tmp_path / "md.traj")


def test_several_structures_in_one_result_are_refused(tmp_path):
    write(tmp_path / "a.extxyz", [*moved(0.0), bulk("Cu")], format="extxyz")
    with pytest.raises(ResultError, match="expected one structure, found several of different atoms"):
        read_calculation(tmp_path / "a.extxyz")


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "OUTCAR", "OUTCAR holds no energy that can be read: it is empty"),
        ("hello\n", "a.out", "it begins 'hello', as no code does that is known here"),
        ("hello\n", "OUTCAR", r"OUTCAR holds no energy that can be read .* Is the calculation complete\?"),
    ],
)
def test_what_is_no_result_is_said_in_plain_words(text, name, message, read):
    with pytest.raises(ResultError, match=message):
        read(text, name)


def test_codes_that_ase_wrote_examples_of_are_told():
    examples = Path(__import__("ase").__file__).parent / "test" / "testdata"
    with pytest.raises(ResultError, match=r"found molecular dynamics \(CASTEP\)"):
        read_calculation(examples / "castep" / "md.castep")
    gpaw = read_calculation(examples / "gpaw_expected_text_output")
    assert (gpaw.energy_ev, gpaw.columns["code"], gpaw.untested) == (-6.70731, "gpaw", "GPAW (atoms at rest)")


@pytest.mark.parametrize(
    ("stated", "denied"),
    [
        ({"scf_converged": "False"}, "The file says scf_converged = False"),
        ({"is_converged": 0.0}, "The file says is_converged = False"),
        ({"converged_electronic": "F"}, "The file says converged_electronic = False"),
        ({"unconverged": 1.0}, "The file says unconverged = True"),
        ({"not_converged": "T"}, "The file says not_converged = True"),
        ({"not_converged": "F"}, ""),
        ({"scf_converged": True, "converged_to": "0"}, ""),
        ({"converged": ""}, ""),
    ],
)
def test_what_a_source_says_of_its_convergence_is_heard_under_its_usual_names(stated, denied):
    assert stated_unconverged(stated) == denied


@pytest.mark.parametrize(
    "text", ["<html>not found</html>", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"]
)
def test_a_file_that_is_only_called_vasprun_is_said_to_be_none(text, read):
    with pytest.raises(ResultError, match=r"expected what VASP writes in vasprun.xml, found a file that begins"):
        read(text)
