"""Folder trees of vasprun.xml files: finished and converged calculations count, each once."""

from __future__ import annotations

import bz2
import gzip
import re
import shutil
from dataclasses import replace
from pathlib import Path

import ase
import numpy as np
import pytest
from pool_writers import (
    make,
    said_of,
    vasprun_text,
)

from hullscout.errors import InvalidPoolError
from hullscout.pool import (
    read_pool,
)


@pytest.fixture
def packaged():
    """vasprun.xml files that VASP wrote: carbon with a functional of its potential (LDA), NaCl with PBE."""
    return Path(ase.__file__).parent / "test" / "testdata" / "vasp"


def test_files_that_vasp_wrote_are_read(packaged, tmp_path):
    """Diamond at a = 3.57 A, two atoms, under a pressure of 1 kbar, whose work is no energy: the last loop states it without."""
    for name, file in (("c", "vasprun_pstress.xml"), ("nacl", "vasprun_dfpt.xml")):
        (tmp_path / name).mkdir()
        shutil.copy(packaged / file, tmp_path / name / "vasprun.xml")
    carbon, salt = read_pool(tmp_path).frames
    assert (carbon.id, salt.id) == ("c", "nacl")
    assert carbon.energy_ev == pytest.approx(-20.24720095)
    assert abs(np.linalg.det(carbon.cell)) == pytest.approx(3.57**3 / 4)
    assert carbon.columns["potential_C"] == "PAW C 22Mar2012"
    assert carbon.columns["cutoff"] == 400.0
    assert carbon.columns["k_spacing"] == pytest.approx(2 * np.pi * np.sqrt(3) / 3.57 / 4)
    assert (carbon.columns["functional"], salt.columns["functional"]) == ("LDA", "PBE")


def test_of_several_runs_in_a_folder_the_last_counts(frames, tmp_path):
    """Names as custodian gives them: relax1, relax2, ..., and none for what came after them."""
    runs = {
        "a/vasprun.xml.relax1": -1.0,
        "a/vasprun.xml.relax2.gz": -2.0,
        "a/vasprun.xml.relax10.gz": -3.0,
        "b/vasprun.xml.relax1.bz2": -4.0,
        "c/vasprun.xml.relax2": -5.0,
        "c/vasprun.xml.gz": -6.0,
        "d/vasprun_scan.xml.relax2": -7.0,
        "d/._vasprun.xml": -8.0,
    }
    packed = {".gz": gzip.compress, ".bz2": bz2.compress}
    texts = {
        name: packed.get(Path(name).suffix, bytes)(vasprun_text(replace(frames[0], energy_ev=energy)).encode())
        for name, energy in runs.items()
    }
    read = read_pool(make(tmp_path, texts)).frames
    assert {frame.id: frame.energy_ev for frame in read} == {"a": -3.0, "b": -4.0, "c": -6.0, "d/vasprun_scan": -7.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"nelm": 1},
            "Ag/vasprun.xml: expected a converged calculation, found that the electrons did not converge within NELM = 1 steps",
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
    path = make(tmp_path, {"Ag/vasprun.xml": vasprun_text(frames[0], nsw=2, higher_by=(0.0, 0.0))})
    message = r"Ag/vasprun\.xml: expected a converged calculation, found that the atoms did not come to rest within NSW = 2 steps"
    with pytest.raises(InvalidPoolError, match=message):
        read_pool(path)


def test_vaspruns_that_were_cut_off_are_faults_beside_those_that_are_whole(frames, tmp_path):
    text = vasprun_text(frames[0])
    files = {f"{n}/vasprun.xml": text[: len(text) - cut] for n, cut in enumerate((0, 40, 400))}
    read = read_pool(make(tmp_path, files))
    assert [frame.id for frame in read.frames] == ["0"]
    assert [fault[:15] for fault in read.faults] == ["1/vasprun.xml: ", "2/vasprun.xml: "]
    assert read.n_frames == 3


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
    assert message in said_of(path, "vasprun")
