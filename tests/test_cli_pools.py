"""The commands that prepare a pool, as a person uses them."""

from __future__ import annotations

import gzip

import pytest
from click.testing import CliRunner

from hullscout.cli import main
from hullscout.pool import WithoutEnergy, build_pool, read_frames


def hullscout(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    return result.exit_code, result.output


def test_enumerate_writes_a_pool_and_says_how_many_there_are(tmp_path):
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


def test_the_same_command_gives_the_same_bytes(tmp_path):
    for name in ("a.extxyz.gz", "b.extxyz.gz"):
        assert hullscout("enumerate", "Cu", "Au", "--max-atoms", 2, "--prototypes", "-o", tmp_path / name)[0] == 0
    assert (tmp_path / "a.extxyz.gz").read_bytes() == (tmp_path / "b.extxyz.gz").read_bytes()


def test_enumerate_takes_volumes(tmp_path):
    path = tmp_path / "pool.extxyz"
    code, text = hullscout(
        "enumerate", "Ag", "Pt", "--max-atoms", 2, "--volume", "Ag=16", "--volume", "Pt=16", "-o", path
    )
    assert (code, "between Ag 16.00, Pt 16.00 A^3 per atom" in text) == (0, True)
    assert 'Lattice="0.0000000000 2.0000000000 2.0000000000 ' in path.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Ag", "Ag"], "Expected two different chemical elements"),
        (["Ag", "Silver"], "found elements=('Ag', 'Silver')"),
        (["Ag", "Pt", "--lattice", "fcc,sc"], "expected some of fcc, bcc, hcp, separated by commas, found 'fcc,sc'"),
        (["Ag", "Pt", "--lattice", "fcc,fcc"], "found 'fcc,fcc'"),
        (["Ag", "Pt", "--max-atoms", "40"], "Expected max_atoms from 2 to 12 for fcc, bcc, hcp, found 40"),
        (["Ag", "Pt", "--volume", "Ag"], "expected ELEMENT=A3, for example Ag=17.05, found 'Ag'"),
        (["Ag", "Pt", "--volume", "Au=17"], "Expected volumes above 0 A^3 per atom for Ag or Pt, found Au=17"),
    ],
)
def test_what_cannot_be_enumerated_is_one_clear_error(tmp_path, arguments, message):
    code, text = hullscout("enumerate", *arguments, "-o", tmp_path / "pool.extxyz")
    assert code == 2
    assert message in text
    assert list(tmp_path.iterdir()) == []


def test_a_pool_that_is_there_is_kept_unless_told_otherwise(tmp_path):
    path = tmp_path / "pool.extxyz.gz"
    path.write_bytes(b"mine")
    code, text = hullscout("enumerate", "Ag", "Pt", "--max-atoms", 2, "-o", path)
    assert (code, "is there already and was not changed" in text) == (2, True)
    assert path.read_bytes() == b"mine"
    assert hullscout("enumerate", "Ag", "Pt", "--max-atoms", 2, "-o", path, "--force")[0] == 0
    assert b"id=fcc-A1-0001" in gzip.decompress(path.read_bytes())


def test_the_help_shows_an_example():
    code, text = hullscout("enumerate", "--help")
    assert (code, "hullscout enumerate Ag Pt" in text) == (0, True)
