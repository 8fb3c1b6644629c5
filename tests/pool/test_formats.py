"""The same candidates give the same pool and the same campaign in whatever format they come."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import ase
import numpy as np
import pytest
from ase import Atoms
from pool_writers import WRITERS, content, structure_as, to_atoms, vasprun_text, write_ase, write_files, write_vaspruns

from hullscout.campaign import runner
from hullscout.campaign.store import Store
from hullscout.errors import InvalidCampaignError, InvalidPoolError
from hullscout.pool import (
    Candidate,
    Columns,
    MixedSettings,
    PoolFormat,
    WithoutEnergy,
    build_pool,
    find_twins,
    parse_frames,
    pool_bytes,
    read_pool,
)
from hullscout.pool.formats import detect_format

ELEMENTS = ("Ag", "Pd")
CAMPAIGN = """
name = "formats"
elements = ["Ag", "Pd"]

[pool]
path = "{path}"

[select]
rule = "threshold"
batch = 8
"""


@pytest.fixture(scope="session")
def frames(small_pool):
    """The cells of up to five atoms of Ag-Pd; cost and baseline made of the atoms."""
    read = parse_frames(small_pool.encode(), path=Path("small.extxyz")).frames
    return tuple(
        replace(frame, columns={"hours": 1.0 + len(frame.numbers), "cheap": -0.5 * len(frame.numbers)})
        for frame in read
    )


@pytest.fixture(scope="session", params=sorted(WRITERS))
def written(request, frames, tmp_path_factory):
    """The pool in one format, for reading only."""
    return WRITERS[request.param](tmp_path_factory.mktemp("pool"), frames)


def candidates(frames):
    return {f.id: Candidate(id=f.id, numbers=f.numbers, positions=f.positions, cell=f.cell) for f in frames}


def test_every_format_gives_the_same_ids_energies_and_crystals(written, frames):
    read = read_pool(written).frames
    assert {frame.id: frame.energy_ev for frame in read} == pytest.approx(
        {f.id: f.energy_ev for f in frames}, abs=1e-12
    )
    before, after = candidates(frames), candidates(read)
    for name, candidate in before.items():
        assert find_twins([candidate, after[name]]) == ((0, 1),)


def test_every_format_states_cost_and_baseline(written):
    pool = build_pool(
        read_pool(written),
        ELEMENTS,
        without_energy=WithoutEnergy.LEAVE_OUT,
        columns=Columns(cost="hours", baseline="cheap"),
    )
    np.testing.assert_allclose(pool.cost, pool.n_atoms + 1.0)
    np.testing.assert_allclose(pool.baseline_ev_per_atom, -0.5)


def test_reading_changes_nothing_and_gives_the_same_bytes_each_time(written):
    before = content(written)
    first = pool_bytes(written)
    assert pool_bytes(written) == first
    assert content(written) == before
    again = parse_frames(first, path=written)
    assert [frame.id for frame in again.frames] == [frame.id for frame in read_pool(written).frames]
    assert again.frames[3].columns.keys() == read_pool(written).frames[3].columns.keys()


def played(path, folder):
    """The hull and the energies that a campaign with this pool finds."""
    campaign = folder / "campaign.toml"
    campaign.write_text(CAMPAIGN.format(path=path.as_posix()))
    origin = runner.read_origin(campaign)
    pool, oracle = runner.open_pool(origin)
    result, standing = runner.run(origin, folder / "out", pool=pool, oracle=oracle)
    runner.save(folder / "out", result, standing)
    with Store.read(folder / "out") as store:
        return result, store.answers()


@pytest.fixture(scope="session")
def reference(small_pool, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    (folder / "pool.extxyz").write_text(small_pool)
    return played(folder / "pool.extxyz", folder)


def test_every_format_gives_the_same_campaign(written, reference, tmp_path):
    result, answers = played(written, tmp_path)
    expected, expected_answers = reference
    assert [(v.id, v.formula) for v in result.hull] == [(v.id, v.formula) for v in expected.hull]
    np.testing.assert_allclose(
        [v.formation_energy_ev_per_atom for v in result.hull],
        [v.formation_energy_ev_per_atom for v in expected.hull],
        atol=1e-12,
    )
    assert answers == pytest.approx(expected_answers, abs=1e-12)
    assert played(written, tmp_path)[1] == answers, "the campaign is resumed"


@pytest.mark.parametrize("kind", sorted(set(WRITERS) - {"vasprun"}))
def test_pools_without_any_energies_are_read(kind, frames, tmp_path):
    dark = [replace(frame, energy_ev=None) for frame in frames]
    read = read_pool(WRITERS[kind](tmp_path, dark))
    assert {frame.energy_ev for frame in read.frames} == {None}
    assert len(build_pool(read, ELEMENTS, without_energy=WithoutEnergy.KEEP)) == len(frames)
    with pytest.raises(InvalidPoolError, match=r"expected an energy .* found one for none of 57 frames"):
        build_pool(read, ELEMENTS, without_energy=WithoutEnergy.LEAVE_OUT)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ase.db", PoolFormat.ASE),
        ("ase.json", PoolFormat.ASE),
        ("entries.json", PoolFormat.ENTRIES),
        ("entries.json.gz", PoolFormat.ENTRIES),
        ("cif", PoolFormat.FILES),
        ("poscar", PoolFormat.FILES),
        ("vasprun", PoolFormat.VASPRUN),
    ],
)
def test_the_format_is_told_by_the_content(kind, expected, frames, tmp_path):
    path = WRITERS[kind](tmp_path, frames[:3])
    assert detect_format(path) is expected
    if path.is_file():
        assert detect_format(path.rename(tmp_path / "pool")) is expected


def test_the_table_itself_may_be_named(frames, tmp_path):
    folder = write_files(tmp_path / "files", frames[:4], fmt="cif")
    shutil.copy(folder / TABLE, folder / "more.csv")
    assert len(read_pool(folder / TABLE).frames) == 4
    with pytest.raises(InvalidPoolError, match=r"one CSV file with the energies, found energies\.csv, more\.csv"):
        read_pool(folder)


def test_entries_may_stand_in_a_dictionary(frames, tmp_path):
    path = WRITERS["entries.json"](tmp_path, frames[:3])
    path.write_text(json.dumps({"source": "me", "entries": json.loads(path.read_text())}))
    assert [frame.id for frame in read_pool(path).frames] == [frame.id for frame in frames[:3]]


def test_corrections_of_entries_count(frames, tmp_path):
    path = WRITERS["entries.json"](tmp_path, frames[:3])
    tree = json.loads(path.read_text())
    tree[0]["correction"] = 0.25
    tree[0]["energy_adjustments"] = []
    path.write_text(json.dumps(tree))
    assert read_pool(path).frames[0].energy_ev == pytest.approx(frames[0].energy_ev + 0.25)


def test_rows_of_a_database_without_names_of_their_own_are_named_by_number(frames, tmp_path):
    unnamed = [replace(frame, id="same") for frame in frames[:3]]
    assert [f.id for f in read_pool(write_ase(tmp_path / "a.db", unnamed)).frames] == ["row-1", "row-2", "row-3"]


def test_files_are_named_by_their_place_without_a_table(frames, tmp_path):
    for name, frame in zip(("ag/POSCAR", "pd/CONTCAR", "more/x.vasp", "POSCAR_7"), frames, strict=False):
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(structure_as(frame, "poscar"))
    read = read_pool(tmp_path / "files")
    assert [frame.id for frame in read.frames] == ["POSCAR_7", "ag", "more/x", "pd"]


def test_ids_come_from_the_file_and_files_from_the_id(frames, tmp_path):
    folder = write_files(tmp_path / "files", frames[:3], fmt="cif")
    (folder / TABLE).write_text("file,energy\nstructure0.cif,-1\nstructure2.cif,-2\n")
    assert {f.id: f.energy_ev for f in read_pool(folder).frames} == {
        "structure0": -1,
        "structure1": None,
        "structure2": -2,
    }
    (folder / TABLE).write_text("id,energy (eV),energy\nstructure1,5,-1\n")
    assert {f.id: f.energy_ev for f in read_pool(folder).frames} == {
        "structure0": None,
        "structure1": -1,
        "structure2": None,
    }


@pytest.fixture
def packaged():
    """vasprun.xml files that VASP wrote: carbon with a functional of its potential (LDA), NaCl with PBE."""
    return Path(ase.__file__).parent / "test" / "testdata" / "vasp"


def test_files_that_vasp_wrote_are_read(packaged, tmp_path):
    """Diamond at a = 3.57 A, two atoms; energies as in the last lines of the files."""
    for name, file in (("c", "vasprun_pstress.xml"), ("nacl", "vasprun_dfpt.xml")):
        (tmp_path / name).mkdir()
        shutil.copy(packaged / file, tmp_path / name / "vasprun.xml")
    carbon, salt = read_pool(tmp_path).frames
    assert (carbon.id, salt.id) == ("c", "nacl")
    assert carbon.energy_ev == pytest.approx(-20.24010135)
    assert abs(np.linalg.det(carbon.cell)) == pytest.approx(3.57**3 / 4)
    assert carbon.columns["potential_C"] == "PAW C 22Mar2012"
    assert carbon.columns["cutoff"] == 400.0
    assert carbon.columns["k_spacing"] == pytest.approx(2 * np.pi * np.sqrt(3) / 3.57 / 4)
    assert salt.columns["functional"] == "PBE"


def written_mixed(kind, frames, folder):
    """Three pure cells, the last computed otherwise."""
    if kind == "ase":
        from ase.db import connect

        with connect(str(folder / "a.db"), use_lock_file=False) as database:
            for frame, xc in zip(frames, ("PBE", "PBE", "LDA"), strict=True):
                database.write(to_atoms(frame, xc=xc, encut=400 if xc == "PBE" else 520), name=frame.id)
        return folder / "a.db"
    if kind == "entries":
        path = WRITERS["entries.json"](folder, frames)
        tree = json.loads(path.read_text())
        for entry, u in zip(tree, (0.0, 0.0, 3.0), strict=True):
            entry["parameters"] = {
                "hubbards": {"Ag": u},
                "run_type": "GGA+U" if u else "GGA",
                "potcar_symbols": ["PBE Ag"],
            }
        path.write_text(json.dumps(tree))
        return path
    if kind == "files":
        return write_files(
            folder / "f", [replace(f, columns={"xc": xc}) for f, xc in zip(frames, "aab", strict=True)], fmt="cif"
        )
    path = write_vaspruns(folder / "v", frames)
    changes = {
        "vasprun functional": {"gga": "PS"},
        "vasprun cutoff": {"cutoff": 520.0},
        "vasprun U": {"u": {"Ag": 3.0, "Pd": 3.0}},
        "vasprun potential": {"potentials": "PAW_PBE {}_pv 01Jan2000"},
        "vasprun k": {"mesh": "20 20 20"},
    }
    for frame in frames:
        change = changes[kind] if frame is frames[-1] else {}
        (path / frame.id / "vasprun.xml").write_text(vasprun_text(frame, **change))
    return path


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (
            "ase",
            [
                "functional: PBE (2: Ag, AgPd_0002); LDA (1: other)",
                "cutoff (eV): 400 (2: Ag, AgPd_0002); 520 (1: other)",
            ],
        ),
        ("entries", ["functional: GGA (2: Ag, AgPd_0002); GGA+U (1: other)", "Hubbard U of Ag (eV): 0 "]),
        ("files", ["functional: a (2: Ag, AgPd_0002); b (1: other)"]),
        ("vasprun functional", ["functional: PBE (2: Ag, AgPd_0002); PBEsol (1: other)"]),
        ("vasprun cutoff", ["cutoff (eV): 400 (2: Ag, AgPd_0002); 520 (1: other)"]),
        ("vasprun U", ["Hubbard U of Ag (eV): 0 (2: Ag, AgPd_0002); 3 (1: other)"]),
        (
            "vasprun potential",
            ["potential of Ag: PAW_PBE Ag 01Jan2000 (2: Ag, AgPd_0002); PAW_PBE Ag_pv 01Jan2000 (1: other)"],
        ),
        ("vasprun k", ["coarsest k-point spacing (1/A): "]),
    ],
)
def test_mixed_settings_are_refused_in_every_format_that_states_them(kind, named, frames, tmp_path):
    silver, palladium, compound = frames[0], next(f for f in frames if f.id == "Pd"), frames[2]
    other = replace(compound, id="other", cell=1.02 * compound.cell, positions=1.02 * compound.positions)
    read = read_pool(written_mixed(kind, [silver, compound, other], tmp_path))
    with pytest.raises(InvalidPoolError, match="computed with the same settings, found several") as refused:
        build_pool(with_end(read, palladium), ELEMENTS, without_energy=WithoutEnergy.LEAVE_OUT)
    for part in named:
        assert part in str(refused.value)
    allowed = build_pool(
        with_end(read, palladium),
        ELEMENTS,
        without_energy=WithoutEnergy.LEAVE_OUT,
        mixed_settings=MixedSettings.ALLOW,
    )
    assert "other" in allowed.ids


def with_end(frames, end):
    """Frames and one more, that states no settings."""
    return replace(frames, frames=(*frames.frames, replace(end, number=99, columns={})))


CIF = """data_x
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_type_symbol
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
"""
POSCAR = "cell\n1.0\n4 0 0\n0 4 0\n0 0 4\n{symbols}1\ndirect\n0 0 0\n"


def make(folder, files):
    """A folder of files by name and text; a file alone is itself the pool."""
    for name, text in files.items():
        path = folder / "pool" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / "pool"


TABLE = "energies.csv"
ENERGIES = "id,energy\nag,-1\n"
SILVER = POSCAR.format(symbols="Ag\n")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.txt": "x"}, "expected vasprun.xml, POSCAR or CIF files in the folder, found none among 1 files"),
        ({"ag.vasp": SILVER, TABLE: "id,energy\nag,low\n"}, "expected energy as a number in eV per cell, found 'low'"),
        ({"ag.vasp": SILVER, TABLE: "id,energy\npd,-1\n"}, "expected one structure file for id 'pd', found none"),
        ({"ag.vasp": SILVER, TABLE: "file,energy\npd.cif,-1\n"}, "expected the structure file 'pd.cif'"),
        ({"ag.vasp": SILVER, TABLE: "id,energy\n,-1\n"}, "line 2: expected an id or a file, found neither"),
        ({"ag.vasp": SILVER, TABLE: "id,energy\nag\n"}, "line 2: expected 2 fields (id,energy), found 1"),
        ({"ag.vasp": SILVER, TABLE: "id;energy\nag;-1\n"}, "with `id` or `file` among them, found 'id;energy'"),
        ({"ag.vasp": SILVER, TABLE: ""}, "expected a first line that names the columns"),
        ({"ag.vasp": SILVER, TABLE: "id,energy,energy\nag,-1,-2\n"}, "found 'energy' more than once"),
        ({"ag.vasp": SILVER, TABLE: b"id,energy\nag,\xff\n"}, "expected a CSV table in UTF-8"),
        ({"ag.vasp": SILVER, "ag.cif": CIF + "Ag Ag 0 0 0 1\n"}, "ag: expected one file, found ag.cif and ag.vasp"),
        ({"ag.vasp": SILVER, "ag.cif": CIF + "Ag Ag 0 0 0 1\n", "e.csv": ENERGIES}, "found ag.cif and ag.vasp: name it in `file`"),
        ({"ag.vasp": "nonsense\n"}, "ag.vasp (id 'ag'): not readable as POSCAR"),
        ({"ag.vasp": POSCAR.format(symbols="")}, "ag.vasp (id 'ag'): expected element symbols above the numbers of atoms"),
        ({"ag.cif": "data_x\n"}, "ag.cif (id 'ag'): not readable as CIF"),
        ({"ag.cif": CIF + "Ag Ag 0 0 0 0.5\nPd Pd 0 0 0 0.5\n"}, "(id 'ag'): expected whole atoms, found partly"),
        ({"ag.cif": CIF + "Ag Ag 0 0 0 1\n" + CIF.replace("data_x", "data_y") + "Pd Pd 0 0 0 1\n"}, "one structure, found 2"),
        ({"ag.vasp": SILVER, "a/vasprun.xml": "<modeling>", "e.csv": ENERGIES}, 'found both. Set pool.format = "vasprun"'),
        ({"a/vasprun.xml": "<modeling><incar>"}, "a/vasprun.xml: not readable as a finished vasprun.xml: "),
        ({"a/vasprun.xml": ""}, "a/vasprun.xml: not readable as a finished vasprun.xml"),
        ({"a/vasprun.xml.gz": b"\x1f\x8b nothing"}, "a/vasprun.xml.gz: not readable as a finished vasprun.xml"),
    ],
)  # fmt: skip
def test_a_folder_that_is_no_pool_is_one_clear_error(files, message, tmp_path):
    with pytest.raises(InvalidPoolError, match=re.escape(message)):
        read_pool(make(tmp_path, files))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"nelm": 1},
            "Ag/vasprun.xml: expected a converged calculation, found the last electronic loop cut off at NELM",
        ),
        ({"nsw": 1}, None),
        ({"nsw": 2}, None),
    ],
)
def test_only_converged_calculations_count(change, message, frames, tmp_path):
    path = make(tmp_path, {"Ag/vasprun.xml": vasprun_text(frames[0], **change)})
    if message is None:
        assert len(read_pool(path).frames) == 1
    else:
        with pytest.raises(InvalidPoolError, match=re.escape(message)):
            read_pool(path)


def test_a_relaxation_that_was_cut_off_is_refused(frames, tmp_path):
    text = vasprun_text(frames[0], nsw=2)
    step = text[text.index("<calculation>") : text.index("</calculation>") + len("</calculation>")]
    path = make(tmp_path, {"Ag/vasprun.xml": text.replace(step, step + step)})
    with pytest.raises(
        InvalidPoolError, match=r"Ag/vasprun\.xml: expected a converged relaxation, found it cut off at NSW"
    ):
        read_pool(path)


def test_a_vasprun_that_was_cut_off_is_refused_and_all_faults_are_told(frames, tmp_path):
    text = vasprun_text(frames[0])
    files = {f"{n}/vasprun.xml": text[: len(text) - cut] for n, cut in enumerate((0, 40, 400))}
    with pytest.raises(InvalidPoolError, match="2 faults in 3 frames") as refused:
        read_pool(make(tmp_path, files))
    assert "1/vasprun.xml: " in str(refused.value)
    assert "2/vasprun.xml: " in str(refused.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "id,energy\nAg,-1\n",
            "expected at most one CSV file beside vasprun.xml files, with a column `id` and none `energy`",
        ),
        ("file,hours\nAg,-1\n", "expected at most one CSV file beside vasprun.xml files"),
        ("id,hours\nAu,1\n", "the table states 'Au': there is no such calculation"),
    ],
)
def test_a_table_that_does_not_fit_calculations_is_refused(table, message, frames, tmp_path):
    path = make(tmp_path, {"Ag/vasprun.xml": vasprun_text(frames[0]), "t.csv": table})
    with pytest.raises(InvalidPoolError, match=re.escape(message)):
        read_pool(path, PoolFormat.VASPRUN)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "[", "expected JSON, found none that can be read"),
        ("a.json", "[" * 100_000, "expected JSON, found none that can be read"),
        ("vasprun.xml", "<?xml version='1.0'?>", "found XML. For vasprun.xml files, name the folder"),
        ("a.json.gz", gzip.compress(b'{"1": {}, "ids": [1], "nextid": 2}', mtime=0), "found it gzipped. Unpack it."),
        ("a.db.gz", gzip.compress(b"SQLite format 3", mtime=0), "found it gzipped. Unpack it."),
        ("a.json", "[]", "expected a list of pymatgen's ComputedStructureEntry with at least one, found list"),
        ("a.json", "{}", "found a dictionary of "),
        ("a.json", '{"a": 1}', "found a dictionary of a"),
        ("a.json", '[{"energy": 1, "composition": {"Ag": 1}}]', "(structure, energy), found one with composition, energy"),
        ("a.json", "[3]", "entry 1: expected a ComputedStructureEntry"),
        ("a.json", '[{"energy": 1, "structure": {}}]', "entry 1: not readable: "),
        ("a.json", '[{"energy": "low", "structure": {}}]', "entry 1: not readable: "),
        ("a.json.gz", b"\x1f\x8b\x08\x00 not gzip", "truncated or damaged"),
        ("a.db", b"SQLite format 3\x00 and nothing more", "expected an ASE database with candidates, found "),
        ("a.db", b"", "a.db: "),
    ],
)  # fmt: skip
def test_a_file_that_is_no_pool_is_one_clear_error(name, text, message, tmp_path):
    path = make(tmp_path, {name: text}) / name
    with pytest.raises(InvalidPoolError, match=re.escape(message)):
        read_pool(path)


def test_a_damaged_archive_is_refused_as_entries(frames, tmp_path):
    path = WRITERS["entries.json.gz"](tmp_path, frames[:3])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InvalidPoolError, match="the compressed file is truncated or damaged"):
        read_pool(path)


def test_databases_that_are_not_of_ase_are_refused_and_stay_as_they_are(tmp_path):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x INTEGER)")
        connection.commit()
    before = content(path)
    with pytest.raises(InvalidPoolError, match="found an SQLite database with the tables mine"):
        read_pool(path)
    assert content(path) == before


def test_an_empty_database_is_refused(tmp_path):
    from ase.db import connect

    for name in ("a.db", "a.json"):
        with connect(str(tmp_path / name), use_lock_file=False) as database:
            database.write(Atoms("Ag"))
        database.delete([1])
        with pytest.raises(InvalidPoolError, match="expected an ASE database with candidates, found no rows"):
            read_pool(tmp_path / name, PoolFormat.ASE)


def test_faults_of_structures_are_the_same_in_every_format(frames, tmp_path):
    """A molecule, a foreign element, an infinite energy: found by the common checks."""
    bad = [
        frames[0],
        replace(frames[1], energy_ev=float("inf")),
        replace(frames[2], numbers=frames[2].numbers * 0 + 13),
    ]
    for kind in ("ase.db", "cif", "poscar"):
        folder = tmp_path / kind
        folder.mkdir()
        read = read_pool(WRITERS[kind](folder, bad))
        with pytest.raises(InvalidPoolError, match="frames") as refused:
            build_pool(read, ELEMENTS, without_energy=WithoutEnergy.LEAVE_OUT)
        assert f"frame 2 (id {frames[1].id!r}): energy is inf" in str(refused.value)
        assert f"frame 3 (id {frames[2].id!r}): foreign element Al" in str(refused.value)


@pytest.mark.parametrize("pool_format", list(PoolFormat))
def test_a_format_that_does_not_fit_what_is_there_is_refused(pool_format, frames, tmp_path):
    is_folder = pool_format in {PoolFormat.VASPRUN, PoolFormat.FILES}
    path = WRITERS["ase.db" if is_folder else "cif"](tmp_path, frames[:2])
    found = "a file" if is_folder else "a folder"
    with pytest.raises(InvalidPoolError, match=f'pool.format = "{pool_format.value}" reads, found {found}'):
        read_pool(path, pool_format)
    with pytest.raises(InvalidPoolError, match="found no file or folder of this name"):
        read_pool(tmp_path / "nothing", pool_format)


def test_nothing_there_is_a_clear_error(tmp_path):
    with pytest.raises(InvalidPoolError, match="found none that can be read: No such file"):
        read_pool(tmp_path / "nothing")


def test_the_campaign_file_may_name_the_format(frames, tmp_path):
    path = WRITERS["ase.db"](tmp_path, frames)
    (tmp_path / "c.toml").write_text(CAMPAIGN.format(path=path.name).replace("[select]", 'format = "ase"\n\n[select]'))
    assert runner.read_origin(tmp_path / "c.toml").config.pool.format is PoolFormat.ASE
    with pytest.raises(
        InvalidCampaignError, match=r"pool\.format: expected 'extxyz', 'ase', 'entries', 'files' or 'vasprun'"
    ):
        runner.read_origin(tmp_path / "c.toml", ["pool.format=excel"])
    with pytest.raises(InvalidPoolError, match="expected JSON"):
        runner.read_origin(tmp_path / "c.toml", ["pool.format=entries"])
