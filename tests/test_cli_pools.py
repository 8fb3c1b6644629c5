"""The commands that prepare a pool, as a person uses them."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from frames import frames_of
from pool_writers import content, write_files

from hullscout.cli import pools
from hullscout.pool import FORMATS, ParentLattice, Severity, WithoutEnergy, build_pool, read_frames, read_pool


def test_enumerate_writes_a_pool_and_says_how_many_there_are(hullscout, tmp_path):
    path = tmp_path / "agpt.extxyz.gz"
    code, text = hullscout("enumerate", "Ag", "Pt", "--lattice", "fcc,bcc", "--max-atoms", 4, "-o", path)
    assert code == 0
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
    assert rows[3:] == [["4", "19", "19", "38"], ["all", "29", "29", "58"]]
    assert f"Wrote {path}: 58 candidates, A = Ag, B = Pt." in text
    pool = build_pool(read_frames(path), ("Ag", "Pt"), without_energy=WithoutEnergy.KEEP)
    assert len(pool) == 58
    assert pool.report.twin_groups == ()
    assert {"fcc-A1-0001", "fcc-B1-0001", "bcc-A1B1-0001"} <= set(pool.ids)


def test_the_same_command_gives_the_same_bytes(hullscout, tmp_path):
    for name in ("a.extxyz.gz", "b.extxyz.gz"):
        words = ["Cu", "Au", "--max-atoms", 2, "--prototypes", "--prototype-atoms", 4, "-o", tmp_path / name]
        assert hullscout("enumerate", *words)[0] == 0
    assert (tmp_path / "a.extxyz.gz").read_bytes() == (tmp_path / "b.extxyz.gz").read_bytes()


def test_enumerate_takes_three_elements_and_limits(hullscout, tmp_path):
    path = tmp_path / "cuagau.extxyz"
    words = ["Cu", "Ag", "Au", "--lattice", "fcc", "--max-atoms", 3, "--limit", "Au=0.3:1", "-o", path]
    code, text = hullscout("enumerate", *words)
    assert (code, "Cu-Ag-Au" in text) == (0, True)
    n_within = 1 + 2 * 2 + 2 * 6 + 3  # Au; CuAu, AgAu; Cu2Au, CuAu2, Ag2Au, AgAu2; CuAgAu
    assert "(Au 0.3 to 1); Cu, Ag, Au stay." in text
    assert f"Wrote {path}: {n_within + 2} candidates, A = Cu, B = Ag, C = Au." in text


def test_enumerate_writes_parquet_with_the_same_candidates_and_campaigns_run_on_it(hullscout, tmp_path):
    command = (
        "enumerate",
        "Cu",
        "Au",
        "--lattice",
        "fcc",
        "--max-atoms",
        4,
        "--prototypes",
        "--prototype-atoms",
        4,
        "-o",
    )
    code, text = hullscout(*command, tmp_path / "pool.parquet")
    assert code == 0
    assert hullscout(*command, tmp_path / "pool.extxyz")[0] == 0
    columns, lines = (read_pool(tmp_path / name).frames for name in ("pool.parquet", "pool.extxyz"))
    assert f"Wrote {tmp_path / 'pool.parquet'}: {len(lines)} candidates" in text
    assert [frame.id for frame in columns] == [frame.id for frame in lines]
    for one, other in zip(columns, lines, strict=True):
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-10)
    campaign = tmp_path / "campaign.toml"
    campaign.write_text(
        'name = "Cu-Au"\nelements = ["Cu", "Au"]\n[pool]\npath = "pool.parquet"\n[oracle]\nkind = "calculator"\n'
        'calculator = "ase.calculators.emt.EMT"\n[stop]\nmax_calculations = 12\n'
    )
    for _ in range(2):  # the second goes by what the folder keeps
        code, text = hullscout("run", campaign, "--out", tmp_path / "out")
        assert (code, "12 calculations" in text) == (0, True), text


def test_enumerate_takes_volumes(hullscout, tmp_path):
    path = tmp_path / "pool.extxyz"
    code, text = hullscout(
        "enumerate", "Ag", "Pt", "--max-atoms", 2, "--volume", "Ag=16", "--volume", "Pt=16", "-o", path
    )
    assert (code, "between Ag 16.00, Pt 16.00 A^3 per atom" in text) == (0, True)
    assert 'Lattice="0.0000000000 2.0000000000 2.0000000000 ' in path.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Ag", "Ag"], "Expected two to five different chemical elements"),
        (["Ag", "Silver"], "found elements=('Ag', 'Silver')"),
        (["Ag", "Pt", "--lattice", "fcc,sc"], "expected some of fcc, bcc, hcp, separated by commas, found 'fcc,sc'"),
        (["Ag", "Pt", "--lattice", "fcc,fcc"], "found 'fcc,fcc'"),
        (["Ag", "Pt", "--max-atoms", "40"], "Expected max_atoms from 2 to 12 for fcc, bcc, hcp, found 40"),
        (["Ag", "Pt", "--prototype-atoms", "8"], "--prototype-atoms says nothing without --prototypes; give both"),
        (["Ag", "Pt", "--volume", "Ag"], "expected ELEMENT=A3, for example Ag=17.05, found 'Ag'"),
        (["Ag", "Pt", "--limit", "Ag=0.5"], "expected ELEMENT=LOW:HIGH, for example Cu=0.1:0.5, found 'Ag=0.5'"),
        (["Ag", "Pt", "--limit", "Au=0:1"], "Expected limits of Ag or Pt, found some of 'Au'"),
        (["Ag"], "Expected two to five different chemical elements, found elements=('Ag',)"),
        (["Cu", "Ag", "Au", "Pd", "Pt", "Ni"], "Expected two to five different chemical elements"),
        (["Ag", "Pt", "--volume", "Au=17"], "Expected volumes above 0 A^3 per atom for Ag or Pt, found Au=17"),
    ],
)
def test_what_cannot_be_enumerated_is_one_clear_error(hullscout, tmp_path, arguments, message):
    code, text = hullscout("enumerate", *arguments, "-o", tmp_path / "pool.extxyz")
    assert code == 2
    assert message in text
    assert list(tmp_path.iterdir()) == []


def test_a_pool_that_is_there_is_kept_unless_told_otherwise(hullscout, tmp_path):
    path = tmp_path / "pool.extxyz.gz"
    path.write_bytes(b"mine")
    code, text = hullscout("enumerate", "Ag", "Pt", "--max-atoms", 2, "-o", path)
    assert (code, "is there already and was not changed" in text) == (2, True)
    assert path.read_bytes() == b"mine"
    assert hullscout("enumerate", "Ag", "Pt", "--max-atoms", 2, "-o", path, "--force")[0] == 0
    assert b"id=fcc-A1-0001" in gzip.decompress(path.read_bytes())


def test_ctrl_c_says_that_nothing_was_written(hullscout, pool, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("hullscout.pool.MadePool.stream", interrupted)
    monkeypatch.setattr("hullscout.pool.inspect_frames", interrupted)
    target = tmp_path / "new.extxyz"
    for command in (["enumerate", "Ag", "Pt", "-o", target], ["check", pool, "--write", target]):
        assert hullscout(*command) == (130, "\nInterrupted. Nothing was written.\n")
        assert not target.exists()


def test_the_help_shows_an_example(hullscout):
    code, text = hullscout("enumerate", "--help")
    assert (code, "hullscout enumerate Ag Pt" in text) == (0, True)


def test_what_the_help_names_is_what_there_is():
    assert set(pools.FORMATS) == set(FORMATS)
    assert tuple(lattice.value for lattice in ParentLattice) == pools.LATTICES
    assert list(pools.STYLES) == [severity.value for severity in Severity]


@pytest.fixture
def pool(tmp_path, small_pool):
    path = tmp_path / "pool.extxyz"
    path.write_text(small_pool)
    return path


def test_check_finds_nothing_in_a_sound_pool(hullscout, pool):
    code, text = hullscout("check", pool)
    assert code == 0
    assert "57 frames of Ag-Pd, 57 with an energy, 57 different crystals." in text
    assert "Nothing is wrong with this pool" in text


def test_check_names_what_is_wrong_and_writes_a_cleaned_pool(hullscout, pool, small_pool, tmp_path):
    frames = frames_of(small_pool)
    twin = frames[20].replace(" id=", " id=twin-", 1)
    pool.write_text("".join([*frames, twin, frames[30].replace("Pd", "Pt").replace(" id=", " id=foreign-", 1)]))
    before = pool.read_bytes()
    target = tmp_path / "clean.extxyz.gz"
    code, text = hullscout("check", pool, "--write", target)
    assert code == 1
    assert "foreign element Pt" in " ".join(text.split())
    assert "1 fault, 0 suspects. No campaign takes it as it is" in text
    assert f"Wrote {target}: 57 of 59 frames, 2 taken out." in text
    assert pool.read_bytes() == before
    assert {frame.id for frame in read_frames(target).frames} == {frame.id for frame in read_frames(pool).frames} - {
        next(frame.id for frame in read_frames(pool).frames if frame.id.startswith("foreign-")),
        next(frame.id for frame in read_frames(pool).frames if frame.id.startswith("twin-")),
    }
    assert hullscout("check", target)[0] == 0


def test_check_shows_the_first_of_many_findings_or_all(hullscout, pool, small_pool):
    frames = frames_of(small_pool)
    pool.write_text("".join([*frames, *(frame.replace(" id=", " id=z-", 1) for frame in frames[:20])]))
    code, text = hullscout("check", pool)
    assert (code, "and 12 more; --all shows them" in text) == (0, True)
    _, everything = hullscout("check", pool, "--all")
    assert "--all shows them" not in everything
    assert everything.count("duplicate") == 20


def test_the_pool_itself_is_never_written_over(hullscout, pool):
    before = pool.read_bytes()
    code, text = hullscout("check", pool, "--write", pool, "--force")
    assert (code, "is the pool that is read and stays as it is" in text) == (2, True)
    assert pool.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--elements", "Ag"], "expected two to five elements, for example Ag,Pd, found 'Ag'"),
        (["--elements", "Ag,Silver"], "Expected two to five different chemical elements"),
        (["--write", "no/where.extxyz"], "there is no folder no"),
    ],
)
def test_what_cannot_be_checked_is_one_clear_error(hullscout, pool, arguments, message):
    code, text = hullscout("check", pool, *arguments)
    assert (code, message in text) == (2, True)


def test_a_pool_that_is_not_there_is_a_clear_error(hullscout, tmp_path):
    code, text = hullscout("check", tmp_path / "no.extxyz")
    assert (code, "expected a pool, found none that can be read" in text) == (2, True)


def test_check_reads_pools_of_any_format(hullscout, pool, tmp_path):
    folder = write_files(tmp_path / "files", read_frames(pool).frames, fmt="poscar")
    before = content(folder)
    code, text = hullscout("check", folder, "--write", tmp_path / "clean.extxyz")
    assert (code, "57 frames of Ag-Pd, 57 with an energy" in text) == (0, True)
    assert content(folder) == before
    assert len(read_frames(tmp_path / "clean.extxyz").frames) == 57
    code, text = hullscout("check", folder, "--format", "vasprun")
    assert (code, "expected a folder with vasprun.xml files in it, found none" in text) == (2, True)


def test_a_campaign_runs_on_a_folder(hullscout, pool, tmp_path):
    write_files(tmp_path / "files", read_frames(pool).frames, fmt="cif")
    campaign = tmp_path / "c.toml"
    campaign.write_text('name = "c"\nelements = ["Ag", "Pd"]\npool = {path = "files"}\nselect = {rule = "threshold"}\n')
    arguments = ["run", campaign, "--set", "stop.max_calculations=6", "--out", tmp_path / "out"]
    code, text = hullscout(*arguments)
    assert (code, "57 frames hold 57 candidates." in text) == (0, True)
    assert hullscout(*arguments)[0] == 0
    (tmp_path / "files" / "energies.csv").write_text("id,energy\nnothing,1\n")
    code, text = hullscout(*arguments)
    assert (code, "expected one structure file for id 'nothing', found none" in text) == (2, True)
    assert hullscout("status", tmp_path / "out")[0] == 0


def test_an_error_that_nobody_meant_is_told_as_a_bug_with_its_traceback_in_a_file(hullscout, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise KeyError("surprise")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hullscout.pool.read_pool", broken)
    code, text = hullscout("check", "pool.extxyz")
    (written,) = tmp_path.glob("hullscout-error-*.txt")
    assert (code, "This is a bug of Hullscout (KeyError)" in text, written.name in text) == (70, True, True)
    assert "KeyError: 'surprise'" in written.read_text()
    assert "Traceback" not in text


def test_too_little_memory_is_an_error_in_a_sentence(hullscout, tmp_path, monkeypatch):
    def large(*_, **__):
        raise MemoryError

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hullscout.pool.read_pool", large)
    code, text = hullscout("check", "pool.extxyz")
    assert (code, "There is not enough memory" in text, list(tmp_path.iterdir())) == (2, True, [])
