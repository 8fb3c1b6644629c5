"""Reading extended XYZ: ids letter by letter, compression by content, broken archives named."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pool_writers import said_of

from hullscout.errors import InvalidPoolError, MissingPackageError
from hullscout.pool import read_frames, read_pool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0001", "0001"),
        ("1e5", "1e5"),
        ("1.50", "1.50"),
        ("T", "T"),
        ("1,2", "1,2"),
        ('"two words"', "two words"),
        ("'0007'", "0007"),
        ("{b r a}", "b r a"),
        (r'"a \"b\""', 'a "b"'),
        ("a=b", "a=b"),
        ("Ag5Pd3/é", "Ag5Pd3/é"),
    ],
)
def test_ids_are_kept_letter_by_letter(
    write: Callable[[str], Path], make_frame: Callable[..., str], written: str, read: str
) -> None:
    assert read_frames(write(make_frame(id=written))).frames[0].id == read


def test_an_id_inside_a_quoted_text_is_no_id(write: Callable[[str], Path], make_frame: Callable[..., str]) -> None:
    frames = read_frames(write(make_frame(id="real", rest='note="was id=old"') + make_frame(id="other")))
    assert [frame.id for frame in frames.frames] == ["real", "other"]


def test_frames_without_ids_are_named_by_their_number(
    write: Callable[[str], Path], make_frame: Callable[..., str]
) -> None:
    frames = read_frames(write(make_frame(id=None) * 2))
    assert [frame.id for frame in frames.frames] == ["frame-000001", "frame-000002"]


def test_a_frame_is_what_the_file_says(write: Callable[[str], Path], make_frame: Callable[..., str]) -> None:
    text = make_frame("Ag 0 0 0; Pd 1.5 2 2.5", id="a", energy="-7.25", lattice="1 2 3 4 5 6 7 8 10", rest="note=new")
    frames = read_frames(write(text))
    (frame,) = frames.frames
    assert frame.numbers.tolist() == [47, 46]
    np.testing.assert_array_equal(frame.positions, [[0, 0, 0], [1.5, 2, 2.5]])
    np.testing.assert_array_equal(frame.cell, [[1, 2, 3], [4, 5, 6], [7, 8, 10]])
    assert frame.pbc == (True, True, True)
    assert frame.energy_ev == -7.25
    assert frames.keys == ("Lattice", "Properties", "energy", "id", "note")


def test_what_nobody_needs_of_a_comment_line_hinders_no_frame(
    write: Callable[[str], Path], make_frame: Callable[..., str]
) -> None:
    (frame,) = read_frames(write(make_frame(energy=-7.25, rest='stress="0 0 0 0 0 0" virial=none'))).frames
    assert (frame.energy_ev, frame.columns["stress"]) == (-7.25, "0 0 0 0 0 0")


@pytest.mark.parametrize(
    ("column", "force", "is_said"), [("forces", 0.9, True), ("REF_forces", 0.9, True), ("forces", 0.05, False)]
)
def test_large_forces_in_a_column_are_noted(
    write: Callable[[str], Path], column: str, force: float, is_said: object
) -> None:
    text = (
        f'1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3:{column}:R:3 energy=-1\nAg 0 0 0 0 0 {force}\n'
    )
    notes = " ".join(read_frames(write(text)).notes)
    assert ("Forces above 0.1 eV/A: 1 of 1, the largest 0.90 eV/A" in notes) == is_said


def test_a_frame_without_an_energy_has_none(write: Callable[[str], Path], make_frame: Callable[..., str]) -> None:
    assert read_frames(write(make_frame(energy=None))).frames[0].energy_ev is None


@pytest.mark.parametrize("name", ["pool.extxyz", "pool.xyz", "pool.extxyz.gz"])
@pytest.mark.parametrize("is_compressed", [True, False])
def test_compression_is_told_by_content(
    write: Callable[..., Path],
    make_frame: Callable[..., str],
    name: str,
    is_compressed: bool,  # noqa: FBT001
) -> None:
    text = make_frame(id="a") + make_frame(id="b")
    path = write(gzip.compress(text.encode()) if is_compressed else text, name)
    assert [frame.id for frame in read_frames(path).frames] == ["a", "b"]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("tail", ["", "\n\n", "   \n"])
def test_line_endings_and_empty_lines_at_the_end_do_not_matter(
    write: Callable[..., Path], make_frame: Callable[..., str], ending: str, tail: str
) -> None:
    text = (make_frame(id="a") + make_frame(id="b") + tail).replace("\n", ending)
    assert [frame.id for frame in read_frames(write(text)).frames] == ["a", "b"]


def test_of_a_truncated_archive_the_frames_before_are_read_and_the_last_is_named(
    write: Callable[..., Path], make_frame: Callable[..., str]
) -> None:
    rng = np.random.default_rng(0)
    text = "".join(make_frame("Ag " + " ".join(map(str, rng.random(3))), id=f"n{k}") for k in range(400))
    whole = gzip.compress(text.encode())
    expected = (
        r"truncated or damaged \(.*\); the last whole frame is frame \d+ \(id 'n\d+'\)\. Copy or download it again"
    )
    frames = read_frames(write(whole[: len(whole) // 2]))
    (fault,) = frames.faults
    assert re.search(expected, f"{fault}.")
    assert 100 < len(frames.frames) < 300
    assert [frame.id for frame in frames.frames] == [f"n{k}" for k in range(len(frames.frames))]
    written = {line for line in text.splitlines() if line.startswith("Ag ")}
    assert {"Ag " + " ".join(map(str, frame.positions[0])) for frame in frames.frames} <= written


@pytest.mark.parametrize("keep", [2, 11, -8, -1])
def test_an_archive_cut_anywhere_has_a_fault(
    write: Callable[..., Path], make_frame: Callable[..., str], keep: int
) -> None:
    whole = gzip.compress(make_frame(id="a").encode())
    assert "the compressed file is truncated or damaged" in said_of(write(whole[:keep]), "extxyz")


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress, gzip.compress, bytes])
def test_every_compression_is_told_by_content(
    write: Callable[..., Path], make_frame: Callable[..., str], compress: Callable[[bytes], bytes]
) -> None:
    path = write(compress((make_frame(id="a") + make_frame(id="b")).encode()), "pool.xyz")
    assert [frame.id for frame in read_pool(path).frames] == ["a", "b"]


def test_zstandard_is_read_where_its_package_is_there_and_refused_with_its_name_where_not(
    write: Callable[..., Path], make_frame: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    zstandard = pytest.importorskip("zstandard")
    compressed = zstandard.compress((make_frame(id="a") + make_frame(id="b")).encode())
    path = write(compressed, "pool.extxyz.zst")
    assert [frame.id for frame in read_pool(path).frames] == ["a", "b"]
    with pytest.raises(InvalidPoolError, match="truncated or damaged"):
        read_pool(write(compressed[: len(compressed) // 2], "cut.extxyz.zst"))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingPackageError, match="package zstandard to read a file that is compressed by Zstandard"):
        read_pool(path)


@pytest.mark.parametrize("encode", ["utf-8-sig", "latin-1", "utf-16"])
def test_comments_may_be_in_any_usual_encoding(
    write: Callable[..., Path], make_frame: Callable[..., str], encode: str
) -> None:
    text = make_frame(id="Müller", rest="by=Ångström").replace("\n", "\r\n")
    (frame,) = read_pool(write(text.encode(encode))).frames
    assert (frame.id, frame.columns["by"]) == ("Müller", "Ångström")


def test_keys_may_be_written_in_any_case(write: Callable[..., Path], make_frame: Callable[..., str]) -> None:
    text = (
        make_frame("Ag 0 0 0; Pd 1 1 1", rest='PBC="T T T"')
        .replace("Lattice", "lattice")
        .replace("Properties", "properties")
    )
    (frame,) = read_pool(write(text)).frames
    assert (frame.cell.any(), frame.pbc, frame.numbers.tolist()) == (True, (True, True, True), [47, 46])


def test_a_damaged_archive_is_refused(write: Callable[..., Path], make_frame: Callable[..., str]) -> None:
    damaged = bytearray(gzip.compress(make_frame(id="a").encode() * 50))
    damaged[len(damaged) // 2] ^= 0xFF
    with pytest.raises(InvalidPoolError, match=re.escape("the compressed file is truncated or damaged")):
        read_frames(write(bytes(damaged)))


@pytest.mark.parametrize("name", ["momenta", "velocities", "vel"])
def test_a_step_of_molecular_dynamics_is_a_fault_where_it_has_an_energy(
    name: str, write: Callable[[str], Path]
) -> None:
    comment = f'Lattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3:{name}:R:3'
    moving, still = "Cu 0 0 0 0.1 0 0", "Cu 0 0 0 0 0 0"
    frames = [f"1\n{comment} id=a energy=-3.7\n{moving}\n", f"1\n{comment} id=b energy=-3.7\n{still}\n"]
    found = read_frames(write("".join([*frames, f"1\n{comment} id=c\n{moving}\n"])))
    assert [frame.id for frame in found.frames] == ["b", "c"]
    assert "found one of molecular dynamics, with velocities" in found.faults[0]


@pytest.mark.parametrize(
    ("formula", "fault"),
    [
        ("Cu3Au", ""),
        ("Au2Cu6", ""),
        ("A3B", ""),
        ("D0_22", ""),
        ("CuAu", "expected the atoms of `formula`, Cu1 Au1, found Cu3 Au1"),
    ],
)
def test_a_formula_that_is_stated_is_that_of_the_atoms(formula: str, fault: str, write: Callable[[str], Path]) -> None:
    atoms = "Cu 0 0 0\nCu 1.8 1.8 0\nCu 1.8 0 1.8\nAu 0 1.8 1.8\n"
    head = 'Lattice="3.6 0 0 0 3.6 0 0 0 3.6" Properties=species:S:1:pos:R:3'
    found = read_frames(write(f"4\n{head} id=a formula={formula}\n{atoms}4\n{head} id=b\n{atoms}"))
    assert [one.partition(": ")[2] for one in found.faults] == ([fault] if fault else [])
