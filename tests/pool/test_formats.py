"""The same candidates give the same pool and the same campaign in whatever format they come."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace

import numpy as np
import pytest
from pool_writers import (
    WRITERS,
    content,
    make,
)

from hullscout.campaign import Setup, read_origin, run
from hullscout.campaign.store import Store
from hullscout.errors import InvalidCampaignError, InvalidPoolError
from hullscout.pool import (
    FORMATS,
    Candidate,
    Columns,
    WithoutEnergy,
    build_pool,
    find_twins,
    keep_pool,
    kept_frames,
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
    first = keep_pool(written).content
    assert keep_pool(written).content == first
    assert content(written) == before
    again = kept_frames(first, path=written)
    assert [frame.id for frame in again.frames] == [frame.id for frame in read_pool(written).frames]
    assert again.frames[3].columns.keys() == read_pool(written).frames[3].columns.keys()


def played(path, folder):
    """The hull and the energies that a campaign with this pool finds."""
    campaign = folder / "campaign.toml"
    campaign.write_text(CAMPAIGN.format(path=path.as_posix()))
    result, _ = run(Setup(read_origin(campaign)), folder / "out")
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
        ("ase.db", "ase"),
        ("ase.json", "ase"),
        ("entries.json", "entries"),
        ("entries.json.gz", "entries"),
        ("cif", "files"),
        ("poscar", "files"),
        ("vasprun", "vasprun"),
        ("parquet", "parquet"),
    ],
)
def test_the_format_is_told_by_the_content(kind, expected, frames, tmp_path):
    path = WRITERS[kind](tmp_path, frames[:3])
    assert detect_format(path) is expected
    if path.is_file():
        assert detect_format(path.rename(tmp_path / "pool")) is expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "[", "expected JSON, found none that can be read"),
        ("a.json", "[" * 100_000, "expected JSON, found none that can be read"),
        ("vasprun.xml", "<?xml version='1.0'?>", "found XML. For vasprun.xml files, name the folder"),
        ("POSCAR", "Ag\n1\n", "POSCAR: expected a pool, found a file with one structure. Name the folder that holds such"),
        ("ag.cif", "data_ag", "ag.cif: expected a pool, found a file with one structure"),
        ("a.json.gz", gzip.compress(b'{"1": {}, "ids": [1], "nextid": 2}', mtime=0), "found it gzipped. Unpack it."),
        ("a.db.gz", gzip.compress(b"SQLite format 3", mtime=0), "found it gzipped. Unpack it."),
        ("a.json", "[]", "expected a list of pymatgen's ComputedStructureEntry with at least one, found list"),
        ("a.json", "{}", "found a dictionary of "),
        ("a.json", '{"a": 1}', "found a dictionary of a"),
        ("a.json", '[{"energy": 1, "composition": {"Ag": 1}}]', "(structure, energy), found one with composition, energy"),
        ("a.json", "[3]", "entry 1: expected a ComputedStructureEntry"),
        ("a.json", '[{"energy": 1, "structure": {}}]', "entry 1: expected a structure with lattice and sites"),
        ("a.json", '[{"energy": "low", "structure": {}}]', "entry 1: expected a structure with lattice and sites"),
        ("a.json.gz", b"\x1f\x8b\x08\x00 not gzip", "truncated or damaged"),
        ("a.db", b"SQLite format 3\x00 and nothing more", "expected an ASE database with candidates, found "),
        ("a.db", b"", "a.db: "),
    ],
)  # fmt: skip
def test_a_file_that_is_no_pool_is_one_clear_error(name, text, message, tmp_path):
    path = make(tmp_path, {name: text}) / name
    with pytest.raises(InvalidPoolError, match=re.escape(message)):
        read_pool(path)


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


@pytest.mark.parametrize("pool_format", list(FORMATS))
def test_a_format_that_does_not_fit_what_is_there_is_refused(pool_format, frames, tmp_path):
    is_folder = FORMATS[pool_format].is_folder
    path = WRITERS["ase.db" if is_folder else "cif"](tmp_path, frames[:2])
    found = "a file" if is_folder else "a folder"
    with pytest.raises(InvalidPoolError, match=f'pool.format = "{pool_format}" reads, found {found}'):
        read_pool(path, pool_format)
    with pytest.raises(InvalidPoolError, match="found no file or folder of this name"):
        read_pool(tmp_path / "nothing", pool_format)


def test_nothing_there_is_a_clear_error(tmp_path):
    with pytest.raises(InvalidPoolError, match="found none that can be read: No such file"):
        read_pool(tmp_path / "nothing")


def test_the_campaign_file_may_name_the_format(frames, tmp_path):
    path = WRITERS["ase.db"](tmp_path, frames)
    (tmp_path / "c.toml").write_text(CAMPAIGN.format(path=path.name).replace("[select]", 'format = "ase"\n\n[select]'))
    assert read_origin(tmp_path / "c.toml").config.pool.format == "ase"
    kinds = "'extxyz', 'ase', 'entries', 'files', 'vasprun', 'calculations', 'atat', 'traj', 'parquet'"
    with pytest.raises(
        InvalidCampaignError,
        match=rf"pool\.format: expected one of {kinds}; found 'excel'",
    ):
        read_origin(tmp_path / "c.toml", ["pool.format=excel"])
    with pytest.raises(InvalidPoolError, match="expected JSON"):
        read_origin(tmp_path / "c.toml", ["pool.format=entries"])
