"""An inspection finds what is wrong, says so by id, and takes out of a cleaned pool what it says."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from frames import frames_of

from hullscout.errors import InvalidPoolError
from hullscout.pool import Severity, Suspects, clean, inspect_frames, most_frequent_elements, parse_frames
from hullscout.pool.checks import find_odd_volumes

ROOT = Path(__file__).parents[2]
ELEMENTS = ("Ag", "Pd")


@pytest.fixture(scope="module")
def texts():
    """The 220 first frames of the committed Ag-Pd pool, pure ends included, as text."""
    with gzip.open(ROOT / "campaigns" / "agpd" / "agpd.extxyz.gz", "rt") as file:
        return frames_of(file.read())[:220]


def read(*texts):
    return parse_frames("".join(texts).encode(), path=Path("pool.extxyz"))


def inspect(*texts, elements=ELEMENTS):
    return inspect_frames(read(*texts), elements)


def changed(text, **keys):
    for key, value in keys.items():
        text = re.sub(rf" {key}=\S+", "" if value is None else f" {key}={value}", text, count=1)
    return text


def energy_of(text):
    return float(re.search(r" energy=(\S+)", text)[1])


def sentences(inspection, kind):
    return [finding.sentence for finding in inspection.findings if finding.kind == kind]


def name_of(text):
    return re.search(r" id=(\S+)", text)[1]


def test_a_sound_pool_has_no_findings(texts):
    inspection = inspect(*texts)
    assert inspection.findings == ()
    assert inspection.is_clean
    assert (inspection.n_frames, inspection.n_energies, inspection.n_crystals) == (220, 220, 220)
    assert clean(read(*texts).frames, inspection)[7].id == name_of(texts[7])


@pytest.mark.parametrize("offset", [0.1, -0.03])
def test_a_wrong_energy_is_found_and_measured(texts, offset):
    n_atoms = int(texts[100].split()[0])
    wrong = changed(texts[100], energy=energy_of(texts[100]) + offset * n_atoms)
    inspection = inspect(*texts[:100], wrong, *texts[101:])
    (sentence,) = sentences(inspection, "energy")
    pattern = rf"{name_of(wrong)}: ([\d.]+) meV/atom {'above' if offset > 0 else 'below'} what the others suggest"
    assert float(re.match(pattern, sentence)[1]) == pytest.approx(1000 * abs(offset), abs=5.0)
    assert len(inspection.of(Severity.SUSPECT)) == 1
    assert len(clean(read(*texts).frames, inspection)) == 220
    left = clean(read(*texts).frames, inspection, suspects=Suspects.LEAVE_OUT)
    assert name_of(wrong) not in {frame.id for frame in left}
    assert len(left) == 219


def test_large_absolute_energies_hide_no_wrong_one(texts):
    shifted = [changed(text, energy=energy_of(text) - 1e5 * int(text.split()[0])) for text in texts]
    wrong = changed(shifted[100], energy=energy_of(shifted[100]) + 0.1 * int(texts[100].split()[0]))
    inspection = inspect(*shifted[:100], wrong, *shifted[101:])
    assert [s.split(":")[0] for s in sentences(inspection, "energy")] == [name_of(wrong)]


def test_large_pools_are_judged_in_parts(texts, monkeypatch):
    monkeypatch.setattr("hullscout.pool.checks.MAX_COMPARED", 80)
    doing = []
    wrong = changed(texts[100], energy=energy_of(texts[100]) + 3.0)
    frames = read(*texts[:100], wrong, *texts[101:])
    inspection = inspect_frames(frames, ELEMENTS, on_progress=doing.append)
    assert name_of(wrong) in {sentence.split(":")[0] for sentence in sentences(inspection, "energy")}
    assert "comparing energies, part 3 of 3" in doing


def test_few_energies_are_not_compared_and_it_is_said(texts):
    inspection = inspect(*texts[:29])
    assert inspection.criteria[-1] == (
        "Energies were not compared: that takes 30 different crystals with an energy; found 29."
    )


def test_twins_that_agree_are_a_note_and_the_first_stays(texts):
    inspection = inspect(*texts[:20], changed(texts[9], id="zz"))
    (finding,) = inspection.findings
    assert (finding.kind, finding.severity) == ("duplicate", Severity.NOTE)
    assert finding.sentence == f"{name_of(texts[9])} = zz"
    assert finding.taken_out == (21,)
    assert inspection.is_clean


def test_twins_that_do_not_agree_are_suspects_and_the_lowest_stays(texts):
    lower = changed(texts[9], id="zz", energy=energy_of(texts[9]) - 0.02 * int(texts[9].split()[0]))
    (finding,) = inspect(*texts[:20], lower).findings
    assert finding.severity is Severity.SUSPECT
    assert finding.sentence == f"{name_of(texts[9])} = zz: energies differ by 20.0 meV/atom; zz is lowest"
    assert finding.taken_out == (10,)


def test_faults_of_frames_are_named_and_taken_out(texts):
    inspection = inspect(*texts[:20], changed(texts[20], energy="nan"), texts[21].replace("Pd", "Pt"))
    assert [finding.severity for finding in inspection.findings] == [Severity.FAULT] * 2
    assert "energy is nan" in sentences(inspection, "frame")[0]
    assert "foreign element Pt" in sentences(inspection, "frame")[1]
    assert len(clean(read(*texts[:22]).frames, inspection)) == 20


def test_a_repeated_id_keeps_its_first_sound_frame(texts):
    other = changed(texts[19], id=name_of(texts[5]))
    inspection = inspect(changed(texts[5], energy="inf"), *texts[:19], other)
    (finding,) = (finding for finding in inspection.findings if finding.kind == "repeated id")
    assert finding.sentence == f"{name_of(texts[5])}: frames 1, 7, 21 have this id"
    assert {number for found in inspection.findings for number in found.taken_out} == {1, 21}


def test_mixed_settings_are_a_fault_and_the_most_frequent_stays(texts):
    stated = [
        text.replace(" id=", f" xc={'LDA' if n in {3, 4} else 'PBE'} id=", 1) for n, text in enumerate(texts[:20])
    ]
    (finding,) = inspect(*stated).findings
    assert (finding.kind, finding.severity, finding.taken_out) == ("mixed settings", Severity.FAULT, (4, 5))


def test_missing_energies_are_a_note(texts):
    (finding,) = inspect(*texts[:20], changed(texts[20], energy=None)).findings
    assert (finding.kind, finding.severity) == ("no energy", Severity.NOTE)
    assert finding.sentence == f"{name_of(texts[20])}: no candidates where energies are looked up"
    (finding,) = inspect(*(changed(text, energy=None) for text in texts[:20])).findings
    assert finding.sentence == "no frame states an energy: they have to be computed"


def test_a_missing_pure_element_is_a_fault(texts):
    (finding,) = inspect(*(text for text in texts[:20] if name_of(text) != "Pd")).findings
    assert (finding.kind, finding.severity) == ("missing element", Severity.FAULT)
    assert "no structure of pure Pd" in finding.sentence


def test_a_cell_of_another_size_is_an_odd_volume(texts):
    swollen = re.sub(r'Lattice="[^"]*"', 'Lattice="0 2.4 2.4 2.4 0 2.4 2.4 2.4 0"', texts[0])
    (finding,) = inspect(changed(swollen, id="swollen"), *texts[:20]).findings
    assert finding.kind == "volume"
    assert finding.sentence == "swollen: 27.65 A^3 per atom; the others suggest 17.10"
    assert finding.doubted == (1,)


def test_odd_volumes_are_judged_along_the_axis():
    """From 10 to 40 A^3 per atom: 25 is as expected in the middle, and odd at an end."""
    x = np.linspace(0, 1, 13)
    volumes = 10.0 + 30.0 * x
    lattices = (f"{v} 0 0 0 1 0 0 0 1" for v in volumes)
    cells = [f'1\nLattice="{lattice}" Properties=species:S:1:pos:R:3\nAg 0 0 0\n' for lattice in lattices]
    assert find_odd_volumes(read(*cells).frames, x[:, None]) == {}
    cells[0] = cells[0].replace("10.0", "25.0")
    (place,) = find_odd_volumes(read(*cells).frames, x[:, None])
    assert place == 0


CUBE = '2\nLattice="4 0 0 0 4 0 0 0 {c}" Properties=species:S:1:pos:R:3 id=odd energy=0\nAg 0 0 0\nPd {z} {z} {z}\n'


@pytest.mark.parametrize(
    ("c", "z", "sentence"),
    [
        (4, 0.9, "odd: atoms come as close as 0.44 of the fcc neighbour distance"),
        (6, 1.5, None),
        (4, 2.0, None),
    ],
)
def test_atoms_that_come_too_close_are_suspects(texts, c, z, sentence):
    found = sentences(inspect(*texts[:20], CUBE.format(c=c, z=z)), "distance")
    assert found == ([] if sentence is None else [sentence])


def test_the_elements_are_those_in_most_frames(texts):
    assert most_frequent_elements(read(*texts[:20], texts[20].replace("Pd", "Pt"))) == ELEMENTS
    with pytest.raises(InvalidPoolError, match=r"two elements or more, found only Ag\. Name them: --elements"):
        most_frequent_elements(read(next(text for text in texts if name_of(text) == "Ag")))


@pytest.mark.slow
def test_an_enumerated_pool_with_prototypes_has_nothing_but_missing_energies():
    from hullscout.pool import EnumerationSettings, Frames, ParentLattice, make_pool

    recipe = EnumerationSettings(elements=("Ag", "Pt"), lattices=(ParentLattice.FCC,), max_atoms=3, prototype_atoms=6)
    made = make_pool(recipe)
    inspection = inspect_frames(Frames(path=Path("made"), frames=made.frames, keys=()), ("Ag", "Pt"))
    assert [finding.kind for finding in inspection.findings] == ["no energy"]
