"""Results that come back: the one that counts in a folder, what is said of it, and in what results differ."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from code_outputs import outcar_text, pw_text
from pool_writers import vasprun_text

from hullscout.errors import ResultError
from hullscout.oracle import Calculated, HandoffSettings, notes_on_replies, read_replies
from hullscout.pool import Candidate, Frames

SILICON = bulk("Si")
CANDIDATES = {name: Candidate.from_ase(SILICON, name) for name in ("a", "b", "c")}


def told(folder, files, settings=HandoffSettings()):  # noqa: B008  (frozen)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, str):
            (folder / name).write_text(text)
        else:
            write(folder / name, text)
    return list(read_replies(folder, CANDIDATES, {}, settings))


def pressed(force, n=1, **info):
    """The cell of silicon with a force on its atoms, in n steps."""
    steps = []
    for step in range(n):
        atoms = SILICON.copy()
        atoms.positions[1] += 0.001 * (n - 1 - step)
        atoms.calc = SinglePointCalculator(atoms, energy=-10.0, forces=[[0, 0, force], [0, 0, -force]])
        atoms.info |= info
        steps.append(atoms)
    return steps


def test_a_renamed_output_is_read_and_judged(tmp_path):
    good, bad = pw_text(SILICON, -22.3), pw_text(SILICON, -22.3, end="     Maximum CPU time exceeded")
    replies = told(tmp_path, {"a/result": good, "b/job.7": bad, "b/slurm": "node 7\n"})
    assert [reply.id for reply in replies] == ["a", "b"]
    assert isinstance(replies[0].outcome, Calculated)
    assert replies[1].outcome.reason == "not-converged"
    assert "It was stopped at its maximum time (max_seconds) (energy then: -303.4" in replies[1].outcome.sentence


def test_a_run_of_another_kind_is_no_answer_and_no_failure(tmp_path):
    text = pw_text(SILICON, -22.3, body="     Molecular Dynamics Calculation\n")
    (reply,) = told(tmp_path, {"a/pw.out": text})
    assert isinstance(reply, ResultError)
    assert "found molecular dynamics" in str(reply)


def test_results_beside_the_one_that_counts_are_named(tmp_path):
    (tmp_path / "a").mkdir()
    replies = told(tmp_path, {"a/FAILED": "crashed", "a/pw.out": pw_text(SILICON, -22.3), "a/slurm.out": "node 7\n"})
    assert replies[0].unused == ("pw.out",)
    assert notes_on_replies(replies, CANDIDATES)[0].endswith("FAILED was read; not used beside it: pw.out.")


def test_a_result_that_is_contradicted_beside_it_is_not_taken_and_hinders_no_other(tmp_path):
    energy = SinglePointCalculator(SILICON, energy=-10.0)
    (silicon,) = Frames.of([Atoms(SILICON, calculator=energy)]).frames
    files = {"a/vasprun.xml": vasprun_text(silicon), "a/OUTCAR": outcar_text(), "b/vasprun.xml": vasprun_text(silicon)}
    wrong, right = told(tmp_path, files)
    assert "a: expected OUTCAR beside it to be of the same run, found Ni18 there and Si2 in vasprun.xml" in str(wrong)
    assert right.outcome.energy_ev == -10.0


def test_two_results_of_one_rank_are_refused(tmp_path):
    text = pw_text(SILICON, -22.3)
    (reply,) = told(tmp_path, {"a/one.out": text, "a/two": text})
    assert "expected one file with an energy, found one.out, two" in str(reply)


@pytest.mark.parametrize(
    ("fmax", "steps", "verdict"),
    [
        (None, pressed(0.8), None),
        (None, pressed(0.8, n=4), "a trajectory ends with a largest force of 0.8 eV/A"),
        (0.05, pressed(0.06), "The largest force is 0.06 eV/A, expected at most oracle.fmax = 0.05"),
        (0.05, pressed(0.04), None),
        (0.05, pressed(0.04, relaxed=False), "The file says relaxed = False"),
    ],
)
def test_results_with_forces_are_held_against_the_campaigns(fmax, steps, verdict, tmp_path):
    (tmp_path / "a").mkdir()
    (reply,) = told(tmp_path, {"a/r.extxyz": steps}, HandoffSettings(fmax=fmax))
    if verdict is None:
        assert isinstance(reply.outcome, Calculated)
    else:
        assert verdict in reply.outcome.sentence


def test_what_cannot_be_told_is_said_once(tmp_path):
    for name in "abc":
        (tmp_path / name).mkdir()
    replies = told(tmp_path, {f"{name}/r.extxyz": pressed(0.8 if name == "b" else 0.0) for name in "abc"})
    notes = notes_on_replies(replies, CANDIDATES)
    assert notes == (
        "Files of kind extxyz: whether these 3 converged cannot be told from the files.",
        "Forces above 0.1 eV/A: 1 of 3, the largest 0.80 eV/A of b. These are no relaxed structures, if that was meant.",
    )


def test_results_of_different_settings_are_said_to_be(tmp_path):
    texts = {"a/pw.out": pw_text(SILICON, -22.3), "b/pw.out": pw_text(SILICON, -22.3, cutoff=30.0)}
    notes = notes_on_replies(told(tmp_path, texts), CANDIDATES)
    assert notes == (
        "Energies of different settings do not belong on one hull, and these were told: cutoff (Ry): 30 (1: b); 60 (1: a).",
    )


def test_results_that_failed_are_not_compared(tmp_path):
    texts = {
        "a/pw.out": pw_text(SILICON, -22.3),
        "b/pw.out": pw_text(SILICON, -22.3, cutoff=30.0, end="     Maximum CPU time exceeded"),
    }
    replies = told(tmp_path, texts)
    assert notes_on_replies(replies, CANDIDATES) == ()
    assert notes_on_replies([replace(reply, outcome=replies[0].outcome) for reply in replies], CANDIDATES) != ()


def test_one_bad_result_is_an_error_and_the_others_are_taken(tmp_path):
    (good,) = pressed(0.0)
    write(tmp_path / "good.extxyz", good)
    text = (tmp_path / "good.extxyz").read_text()
    (tmp_path / "good.extxyz").unlink()
    bad = {
        "a": text.replace("energy=-10.0", "energy=*****"),
        "b": text.replace("species:S:1", "Z:I:1").replace("Si ", "200 "),
    }
    found = told(tmp_path, {**{f"{name}/result.extxyz": bad[name] for name in bad}, "c/result.extxyz": good})
    assert [type(each) for each in found[:2]] == [ResultError] * 2
    assert found[2].outcome.energy_ev == -10.0


def test_results_that_are_links_out_of_their_folder_are_errors(tmp_path):
    (good,) = pressed(0.0)
    write(tmp_path / "elsewhere.extxyz", good)
    folder = tmp_path / "out"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "result.extxyz").symlink_to(tmp_path / "elsewhere.extxyz")
    found = told(folder, {"c/result.extxyz": good})
    assert "leads out of" in str(found[0])
    assert [each.id for each in found[1:]] == ["c"]


def test_a_manifest_that_states_its_id_twice_is_none(tmp_path):
    (good,) = pressed(0.0)
    (error,) = told(tmp_path, {"x/manifest.json": '{"id": "a", "id": "b"}', "x/result.extxyz": good})
    assert "the key 'id' is stated twice" in str(error)
