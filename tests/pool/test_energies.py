"""What energies are of: said by a user, said by a column's name, or told by the energies themselves."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from hullscout.campaign import Setup, load_config, read_origin
from hullscout.errors import InvalidCampaignError, InvalidPoolError
from hullscout.oracle import TableOracle
from hullscout.pool import (
    EnergyMeaning,
    Faulty,
    Frames,
    Pool,
    Severity,
    WithoutEnergy,
    build_pool,
    find_doubts,
    inspect_frames,
    parse_frames,
    understand,
)

ELEMENTS = ("Cu", "Au")
OWN = {"Cu": -3.72, "Au": -3.27}
ROOT = Path(__file__).parents[2]


def cells(*, formation=-0.05, own=OWN, sizes=(1, 1, 2, 4, 4, 8, 3)):
    """ASE's atoms of Cu-Au, as many as there are sizes, with total energies: both elements, then compounds."""
    made = []
    for place, size in enumerate(sizes):
        n_gold = {0: 0, 1: size}.get(place, 1 + place % max(size - 1, 1))
        atoms = bulk("Cu", "fcc", a=3.7 + 0.05 * place) * (size, 1, 1)
        atoms.symbols[:n_gold] = "Au"
        energy = (size - n_gold) * own["Cu"] + n_gold * own["Au"]
        atoms.info = {"id": f"s{place}", "energy": energy + (formation * size if 0 < n_gold < size else 0.0)}
        made.append(atoms)
    return made


def frames_of(atoms, change=lambda energy, _: energy):
    frames = Frames.of(atoms)
    changed = (replace(f, energy_ev=change(f.energy_ev, f)) for f in frames.frames)
    return replace(frames, frames=tuple(changed))


def renamed(frames, column, factor=lambda _: 1.0):
    """The energies under another name."""
    moved = (replace(f, energy_ev=None, columns={column: f.energy_ev * factor(len(f.numbers))}) for f in frames.frames)
    return replace(frames, frames=tuple(moved))


def doubts_of(frames):
    return find_doubts(frames.frames, ELEMENTS)


def per_atom(energy, frame):
    return energy / len(frame.numbers)


def lowest(frames):
    """The formation energies in eV/atom that a campaign would see, by id."""
    pool = build_pool(frames, ELEMENTS, without_energy=WithoutEnergy.LEAVE_OUT)
    energies = TableOracle.from_frames(frames, pool).energies_ev_per_atom()
    ends = np.array([energies[pool.x == x].min() for x in (0.0, 1.0)])
    return dict(zip(pool.ids, energies - (1 - pool.x) * ends[0] - pool.x * ends[1], strict=True))


@pytest.mark.parametrize(
    ("column", "unit", "factor"),
    [
        ("REF_energy", None, lambda _: 1.0),
        ("energy_per_atom", None, lambda n: 1 / n),
        ("energy_ev_per_atom", "meV/atom", lambda n: 1000 / n),
        ("dft_energy", "Ry", lambda _: 1 / 13.605693123),
        ("Energy", "kJ/mol/atom", lambda n: 96.485332 / n),
        ("total_energy", "Ha", lambda _: 1 / 27.211386246),
    ],
)
def test_energies_mean_what_a_user_says(column, unit, factor):
    frames = renamed(frames_of(cells()), column, factor)
    read = understand(frames, EnergyMeaning(column=column, unit=unit))
    assert [f.energy_ev for f in read.frames] == pytest.approx([a.info["energy"] for a in cells()], rel=1e-8)
    assert doubts_of(read) == []


@pytest.mark.parametrize(("column", "factor"), [("energy_ev", lambda _: 1.0), ("energy_per_atom", lambda n: 1 / n)])
def test_a_column_that_says_its_unit_is_taken_where_there_is_no_energy(column, factor):
    read = understand(renamed(frames_of(cells()), column, factor))
    assert lowest(read)["s3"] == pytest.approx(-0.05)


@pytest.mark.parametrize("column", ["REF_energy", "free_energy", "Energy", "dft_energy", "e_tot", "E0"])
def test_other_columns_are_offered_by_name_and_not_taken(column):
    frames = understand(renamed(frames_of(cells()), column))
    with pytest.raises(
        InvalidPoolError, match=rf"Columns that look like energies: {column}\. Name one by pool\.energy"
    ):
        build_pool(frames, ELEMENTS, without_energy=WithoutEnergy.LEAVE_OUT)
    (note,) = [f for f in inspect_frames(frames, ELEMENTS).findings if f.kind == "no energy"]
    assert f"--energy {column}" in note.sentence


def test_two_columns_that_differ_are_said_and_two_that_agree_are_not():
    frames = frames_of(cells())
    beside = {
        "REF_energy": lambda f: f.energy_ev + (f.id == "s2"),
        "mace_energy": lambda f: f.energy_ev / len(f.numbers),
    }
    beside["formation_energy"] = lambda _: -0.05
    frames = replace(
        frames,
        frames=tuple(replace(f, columns={k: of(f) for k, of in beside.items()}) for f in frames.frames),
    )
    (note,) = understand(frames).notes
    assert note.startswith(
        "energy is taken; REF_energy stands beside it and differs for 1 of 7 (s2), by up to 0.5 eV/atom"
    )
    note, _ = understand(frames, EnergyMeaning(column="REF_energy")).notes
    assert note.startswith("REF_energy is taken; energy stands beside it")
    assert understand(frames, others=["REF_energy"]).notes == ()


@pytest.mark.parametrize(
    ("meaning", "message"),
    [
        (
            {"column": "nothing"},
            "pool.energy = 'nothing': expected a column of this name, found none; columns found: energy_per_atom, f",
        ),
        (
            {"column": "formation_energy_per_atom"},
            "expected pool.energy_kind to say whether this column holds energies",
        ),
        (
            {"column": "energy_per_atom", "unit": "eV"},
            'expected a unit per atom, as the column is named, found .* "eV/atom"',
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(meaning, message):
    frames = frames_of(cells())
    columns = {"formation_energy_per_atom": -0.1, "energy_per_atom": -3.0}
    frames = replace(frames, frames=tuple(replace(f, columns=columns) for f in frames.frames))
    with pytest.raises(InvalidPoolError, match=message):
        understand(frames, EnergyMeaning(**meaning))


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"unit": "electronvolt"}, "pool.energy_unit: expected one of eV, meV, Ry, Ha, kJ/mol, kcal/mol, eV/atom"),
        ({"kind": "free"}, "pool.energy_kind: expected one of total, formation, found 'free'"),
        ({"references": {"Cu": float("nan")}}, "pool.references: expected finite energies in eV/atom"),
    ],
)
def test_a_meaning_that_is_none_is_refused(stated, message):
    with pytest.raises(InvalidPoolError, match=message):
        EnergyMeaning(**stated)


def test_a_cell_that_is_no_number_is_a_fault_of_its_frame():
    frames = renamed(frames_of(cells()), "REF_energy")
    bad = replace(frames.frames[3], columns={"REF_energy": "pending"})
    frames = replace(frames, frames=(*frames.frames[:3], bad, *frames.frames[4:]))
    read = understand(frames, EnergyMeaning(column="REF_energy"))
    assert read.faults == ("frame 4 (id 's3'): expected REF_energy as a number in eV, found 'pending'",)
    assert (len(read.frames), read.n_frames) == (6, 7)


def test_formation_energies_need_no_structure_of_the_elements():
    compounds = [a for a in cells() if len(set(a.symbols)) > 1]
    frames = renamed(frames_of(compounds), "dH", lambda _: 0.0)
    frames = replace(frames, frames=tuple(replace(f, columns={"dH": -50.0}) for f in frames.frames))
    meaning = EnergyMeaning(column="dH", unit="meV/atom", kind="formation")
    read = understand(frames, meaning, elements=ELEMENTS)
    found = lowest(read)
    assert [found[f.id] for f in frames.frames] == pytest.approx([-0.05] * 5)
    assert found["reference-Cu"] == found["reference-Au"] == 0.0
    assert "reference-Cu is the end of the axis at Cu" in read.notes[0]


def test_a_metastable_element_is_no_end_of_formation_energies():
    frames = frames_of(cells(own={"Cu": 0.3, "Au": 0.0}))
    read = understand(frames, EnergyMeaning(kind="formation"), elements=ELEMENTS)
    assert [f.id for f in read.frames if f.id.startswith("reference")] == ["reference-Cu"]
    with pytest.raises(InvalidPoolError, match=r"expected 0 eV/atom or more for pure Cu, found -3\.72 for 's0'"):
        understand(frames_of(cells()), EnergyMeaning(kind="formation"), elements=ELEMENTS)


def test_references_are_the_ends_where_there_is_no_structure_of_an_element():
    frames = frames_of(cells()[1:])
    assert lowest(understand(frames, EnergyMeaning(references={"Cu": -3.72}), elements=ELEMENTS))[
        "s3"
    ] == pytest.approx(-0.05)
    with pytest.raises(InvalidPoolError, match=r"pool\.references\.Au: expected no pure Au with an energy, found 's1'"):
        understand(frames, EnergyMeaning(references={"Au": -3.0}), elements=ELEMENTS)
    with pytest.raises(InvalidPoolError, match="expected some of Cu, Au, found Ag"):
        understand(frames, EnergyMeaning(references={"Ag": -3.0}), elements=ELEMENTS)


WRONG = {
    "per atom": (per_atom, True, "these look like energies per atom"),
    "cells given as per atom": (
        lambda e, f: e * len(f.numbers),
        True,
        "energies of cells, stated per atom",
    ),
    "another cell": (lambda e, f: e / 4 if f.id in {"s0", "s1"} else e, True, "Cu of 1/4 of the atoms and Au of 1/4"),
    "formation beside totals": (
        lambda e, f: e if f.id in {"s0", "s1"} else -0.05 * len(f.numbers),
        True,
        "formation energies beside total energies of the elements",
    ),
    "one of another cell": (
        lambda e, f: e / 4 if f.id == "s3" else e,
        False,
        "1 of 7 energies look like energies per atom",
    ),
    "a placeholder": (lambda e, f: 0.0 if f.id == "s3" else e, False, "s3: an energy of exactly 0"),
    "placeholders": (lambda _e, _f: -1.0, False, "all 7 energies are -1 eV: are they placeholders?"),
}


@pytest.mark.parametrize(("change", "is_fault", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_energies_of_something_else_are_told_by_themselves(change, is_fault, sentence):
    doubts = doubts_of(frames_of(cells(), change))
    assert [(doubt.is_fault, sentence in doubt.sentence) for doubt in doubts] == [(is_fault, True)]
    if is_fault:
        with pytest.raises(InvalidPoolError, match=sentence):
            lowest(frames_of(cells(), change))
    else:
        frames = frames_of(cells(), change)
        assert sentence in "\n".join(
            build_pool(frames, ELEMENTS, without_energy=WithoutEnergy.LEAVE_OUT).report.lines()
        )


RIGHT = {
    "totals": ({}, 1.0),
    "all electrons": ({"own": {"Cu": -45_000.0, "Au": -520_000.0}}, 1.0),
    "near 0 for the elements": ({"own": {"Cu": -0.006, "Au": 0.002}}, 1.0),
    "formation energies": ({"own": {"Cu": 0.0, "Au": 0.0}}, 1.0),
    "deep compounds": ({"formation": -1.3}, 1.0),
    "one size": ({"sizes": (4,) * 6}, 1.0),
    "few": ({"sizes": (1, 1, 2)}, 1.0),
    "supercells of the elements": ({"sizes": (4, 4, 2, 1, 8)}, 1.0),
}


@pytest.mark.parametrize(("made", "_factor"), RIGHT.values(), ids=RIGHT.keys())
def test_right_energies_raise_no_doubt(made, _factor):
    assert doubts_of(frames_of(cells(**made))) == []


@pytest.mark.parametrize("path", sorted((ROOT / "campaigns").glob("*/*.extxyz.gz")), ids=lambda path: path.name)
def test_no_pool_of_the_repository_raises_a_doubt_and_each_one_per_atom_does(path):
    read = parse_frames(gzip.decompress(path.read_bytes()), path=path).frames
    read = [frame for frame in read if frame.energy_ev is not None]
    symbols = sorted({symbol for frame in read for symbol in frame.candidate().to_ase().symbols})
    assert find_doubts(read, symbols) == []
    is_of_formation = path.name == "agpd.extxyz.gz"  # as such they cannot be told from energies per atom
    changed = [replace(frame, energy_ev=per_atom(frame.energy_ev, frame)) for frame in read]
    assert [doubt.is_fault for doubt in find_doubts(changed, symbols)] == (
        [] if is_of_formation or not read else [True]
    )


def test_what_a_user_has_said_is_doubted_and_not_refused():
    frames = frames_of(cells(), per_atom)
    read = understand(frames, EnergyMeaning(unit="eV"), elements=ELEMENTS)
    report = build_pool(read, ELEMENTS, without_energy=WithoutEnergy.LEAVE_OUT).report
    assert "these look like energies per atom" in report.suspects[0]


@pytest.mark.parametrize("size", [5, 12, 45])
@pytest.mark.parametrize(
    ("place", "factor", "said"),
    [(3, 1 / 2, "2 times"), (3, 1 / 3, "3 times"), (3, 2.0, "1/2 of"), (3, 3.0, "1/3 of"), (0, 1 / 2, "2 times")],
)
def test_an_energy_of_several_cells_or_a_part_of_one_is_told_without_a_bound_on_physics(place, factor, said, size):
    frames = frames_of(
        cells(sizes=(1, 1, *((2, 4, 3, 8) * 11))[:size]), lambda e, f: e * factor if f.number == place + 1 else e
    )
    (doubt,) = doubts_of(frames)
    assert (doubt.is_fault, doubt.frames) == (False, (place + 1,))
    assert doubt.sentence.startswith(f"s{place}: ")
    assert f"{said} it 0.0" in doubt.sentence


def test_two_methods_on_one_axis_are_a_suspect():
    sizes = (1, 1, *(2, 3, 4, 5, 6, 8) * 4)
    frames = frames_of(cells(sizes=sizes), lambda e, f: e + 0.4 * len(f.numbers) * (f.number % 3 == 0))
    (doubt,) = doubts_of(frames)
    assert not doubt.is_fault
    assert "two groups 0.369 eV/atom apart with nothing between, 8 and 18 of 26" in doubt.sentence
    assert doubts_of(frames_of(cells(sizes=sizes))) == []


def test_an_inspection_names_them_and_goes_on():
    found = inspect_frames(frames_of(cells(), per_atom), ELEMENTS)
    (fault,) = found.of(Severity.FAULT)
    assert fault.kind == "energy of what"
    assert found.criteria[-1] == "Energies were not compared: they do not look like total energies of the cells."
    frames = frames_of(cells(sizes=(1, 1, *(2, 3, 4, 5, 6, 8) * 6)), lambda _e, _f: 0.0)
    assert "all 38 energies are 0 eV: are they placeholders?" in [
        f.sentence for f in inspect_frames(frames, ELEMENTS).findings
    ]


CAMPAIGN = """
name = "meaning"
elements = ["Cu", "Au"]

[pool]
path = "pool.extxyz"
{lines}
"""


def campaign(folder, lines, text):
    (folder / "pool.extxyz").write_text(text)
    (folder / "c.toml").write_text(CAMPAIGN.format(lines=lines))
    return folder / "c.toml"


@pytest.fixture
def text():
    from hullscout.pool import format_frames

    return format_frames(frames_of(cells()).frames).decode()


def test_a_campaign_reads_what_its_file_says(tmp_path, text):
    path = campaign(tmp_path, 'energy = "REF"\nenergy_unit = "meV"', text.replace("energy=", "REF="))
    setup = Setup(read_origin(path))
    assert min(setup.true_ev_per_atom) == pytest.approx(-0.00372 - 0.00005 / 4, abs=1e-4)
    path = campaign(tmp_path, "references = { Cu = -3.72 }", text.replace("id=s0 energy", "id=s0 x"))
    assert "reference-Cu" in Setup(read_origin(path)).pool.ids


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            'energy_unit = "eV/cell"',
            r"pool\.energy_unit: pool\.energy_unit: expected one of|pool\.energy_unit: expected one of",
        ),
        ('energy_kind = "mixing"', "expected one of total, formation"),
        ('references = { Cu = -3.7 }\nenergy_kind = "formation"', "expected none with pool.energy_kind"),
    ],
)
def test_a_campaign_file_that_says_what_cannot_be_is_refused(tmp_path, text, lines, message):
    with pytest.raises((InvalidCampaignError, InvalidPoolError), match=message):
        load_config(campaign(tmp_path, lines, text))


def test_a_pool_in_python_takes_the_same_options(tmp_path, text):
    path = tmp_path / "pool.extxyz"
    path.write_text(text.replace("id=s0 energy", "id=s0 x") + "1\nid=bad\nCu 0 0\n")
    pool = Pool.read(path, ELEMENTS, energies=EnergyMeaning(kind=None), faulty=Faulty.LEAVE_OUT)
    assert len(pool) == 7
    assert "bad" in pool.report.faults[0]


def test_an_energy_of_as_many_atoms_as_the_structure_does_not_have_is_a_fault():
    frames = frames_of(cells())
    columns = {f.id: {"n_atoms": float(len(f.numbers)) / (2 if f.id == "s3" else 1)} for f in frames.frames}
    frames = replace(frames, frames=tuple(replace(f, columns=columns[f.id]) for f in frames.frames))
    (fault,) = understand(frames).faults
    assert fault.startswith("frame 4 (id 's3'): expected the energy of the structure's 4 atoms, found n_atoms = 2")
    per_atom_column = replace(
        frames,
        frames=tuple(
            replace(f, energy_ev=None, columns={**f.columns, "energy_per_atom": f.energy_ev / len(f.numbers)})
            for f in frames.frames
        ),
    )
    assert understand(per_atom_column).faults == ()
