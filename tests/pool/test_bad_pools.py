"""Every fault of a pool: refused by id and reason, in one error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hullscout.errors import InvalidPoolError
from hullscout.pool import Faulty, WithoutEnergy, build_pool, read_frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FCC = "0 2 2 2 0 2 2 2 0"
PURE_AG = f'1\nLattice="{FCC}" Properties=species:S:1:pos:R:3 id=pure-ag energy=-1.0\nAg 0 0 0\n'
PURE_PD = f'1\nLattice="{FCC}" Properties=species:S:1:pos:R:3 id=pure-pd energy=-1.0\nPd 0 0 0\n'
ENDS = PURE_AG + PURE_PD


def _third(head: str, *rows: str) -> str:
    """The two pure elements and a third frame with this comment and these atoms."""
    return ENDS + "\n".join([str(len(rows)), head, *rows]) + "\n"


def _good(name: str = "x", lattice: str = FCC) -> str:
    return f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 id={name} energy=-1.0'


FAULTS = {
    "a repeated id": (
        _third(_good("pure-ag"), "Ag 0 0 0"),
        "id 'pure-ag' is repeated: frames 1, 3; ids must be unique",
    ),
    "an energy that is NaN": (
        _third(_good().replace("-1.0", "nan"), "Ag 0 0 0"),
        "frame 3 (id 'x'): energy is nan: expected a finite number in eV per cell",
    ),
    "an infinite energy": (
        _third(_good().replace("-1.0", "-inf"), "Ag 0 0 0"),
        "frame 3 (id 'x'): energy is -inf: expected a finite number in eV per cell",
    ),
    "an energy that is a word": (
        _third(_good().replace("-1.0", "low"), "Ag 0 0 0"),
        "frame 3 (id 'x'): expected energy as one number in eV per cell, found 'low'",
    ),
    "two energies": (
        _third(_good().replace("-1.0", '"1 2"'), "Ag 0 0 0"),
        "frame 3 (id 'x'): expected energy as one number in eV per cell, found array([1, 2])",
    ),
    "an energy for every atom": (
        _third(_good().replace("energy=-1.0", "").replace("pos:R:3", "pos:R:3:energy:R:1"), "Ag 0 0 0 7", "Pd 2 0 0 7"),
        "frame 3 (id 'x'): expected energy as one number in eV per cell, found array([7., 7.])",
    ),
    "a coordinate that is NaN": (
        _third(_good(), "Ag 0 0 0", "Pd 1 nan 2"),
        "frame 3 (id 'x'): atom 2 has the position 1 nan 2: expected finite coordinates in A",
    ),
    "an infinite coordinate": (
        _third(_good(), "Ag 0 0 inf"),
        "frame 3 (id 'x'): atom 1 has the position 0 0 inf: expected finite coordinates in A",
    ),
    "a lattice that is not finite": (
        _third(_good(lattice="0 2 2 2 nan 2 2 2 0"), "Ag 0 0 0"),
        "frame 3 (id 'x'): the lattice 0 2 2 2 nan 2 2 2 0 is not finite",
    ),
    "a foreign element": (
        _third(_good(), "Cu 0 0 0", "Ag 2 2 2"),
        "frame 3 (id 'x'): foreign element Cu: expected only Ag and Pd",
    ),
    "an atom that is no element": (
        _third(_good(), "X 0 0 0"),
        "frame 3 (id 'x'): expected atomic numbers from 1 to 118, found 0",
    ),
    "a symbol that does not exist": (
        _third(_good(), "Qq 0 0 0"),
        "frame 3 (id 'x'): not readable as extended XYZ: KeyError: 'Qq'",
    ),
    "atoms too close": (
        _third(_good(), "Ag 0 0 0", "Pd 0.3 0 0"),
        "frame 3 (id 'x'): atoms 1 and 2 are 0.300 A apart: expected at least 0.5 A",
    ),
    "atoms too close across the border of the cell": (
        _third(_good(lattice="4 0 0 0 4 0 0 0 4"), "Ag 0 0 0.1", "Pd 0 0 3.9"),
        "frame 3 (id 'x'): atoms 1 and 2 are 0.200 A apart: expected at least 0.5 A",
    ),
    "atoms too close in a very skewed cell": (
        _third(_good(lattice="4 0 0 84 4 0 0 0 4"), "Ag 0 0 0", "Pd 4.2 3.9 0"),
        "frame 3 (id 'x'): atoms 1 and 2 are 0.224 A apart: expected at least 0.5 A",
    ),
    "an atom too close to its own image": (
        _third(_good(lattice="0.4 0 0 0 4 0 0 0 4"), "Ag 0 0 0"),
        "frame 3 (id 'x'): atom 1 and its periodic image are 0.400 A apart: expected at least 0.5 A",
    ),
    "a cell without volume": (
        _third(_good(lattice="4 0 0 0 4 0 4 4 0"), "Ag 0 0 0"),
        "frame 3 (id 'x'): a cell without volume: 4 0 0 0 4 0 4 4 0",
    ),
    "no lattice": (
        _third("Properties=species:S:1:pos:R:3 id=x energy=-1.0", "Ag 0 0 0"),
        "frame 3 (id 'x'): no lattice: expected a crystal, periodic in three directions",
    ),
    "a slab": (
        _third(_good() + ' pbc="T T F"', "Ag 0 0 0"),
        "frame 3 (id 'x'): not periodic in three directions: expected pbc=\"T T T\", found pbc=\"T T F\"",
    ),
    "no pure first element": (
        PURE_PD,
        "no structure of pure Ag among 1 usable frames, nor any that holds Ag: formation energies need one for each end",
    ),
    "a pure element that has no energy": (
        ENDS.replace("id=pure-pd energy=-1.0", "id=pure-pd"),
        "no structure of pure Pd among 1 usable frames, nor any that holds Pd: formation energies need one for each end",
    ),
    "a frame cut short": (
        ENDS + f"3\n{_good()}\nAg 0 0 0\n",
        "frame 3 (id 'x') is truncated: expected 3 atom lines, found 1 before the end of the file",
    ),
    "a count and nothing else": (
        ENDS + "3\n",
        "frame 3 is truncated: expected 3 atom lines, found 0 before the end of the file",
    ),
    "too many atom lines": (
        f"1\n{_good()}\nAg 0 0 0\nAg 1 1 1\n" + ENDS,
        "frame 1 (id 'x'), line 4: expected 1 atom lines and then the number of atoms of the next frame, found 'Ag 1 1 1'",
    ),
    "an empty line between frames": (
        f"1\n{_good()}\nAg 0 0 0\n\n" + ENDS,
        "frame 2, line 4: expected the number of atoms (a whole number above 0), found ''",
    ),
    "no atoms": (
        ENDS + "0\nid=x\n",
        "frame 3, line 7: expected the number of atoms (a whole number above 0), found '0'",
    ),
    "garbage": (
        "not a pool at all\n",
        "frame 1, line 1: expected the number of atoms (a whole number above 0), found 'not a pool at all'",
    ),
    "an empty file": ("", "expected at least one frame, found an empty file"),
    "a missing column": (
        _third(_good(), "Ag 0 0"),
        "frame 3 (id 'x'): atom 1: expected 4 columns (species:S:1:pos:R:3), found 'Ag 0 0'",
    ),
    "a column too many": (
        _third(_good(), "Ag 0 0 0 0"),
        "frame 3 (id 'x'): atom 1: expected 4 columns (species:S:1:pos:R:3), found 'Ag 0 0 0 0'",
    ),
    "a coordinate that is a word": (
        _third(_good(), "Ag 0 0 top"),
        "frame 3 (id 'x'): not readable as extended XYZ: ValueError: could not convert string to float: 'top'",
    ),
    "columns without positions": (
        _third(_good().replace("pos:R:3", "forces:R:3"), "Ag 0 0 0"),
        "frame 3 (id 'x'): expected species (or Z) and three pos columns in Properties, found 'species:S:1:forces:R:3'",
    ),
    "columns that are not described": (
        _third(_good().replace("pos:R:3", "pos:R"), "Ag 0 0 0"),
        "frame 3 (id 'x'): expected Properties as name:type:columns, found 'species:S:1:pos:R'",
    ),
    "a lattice of eight numbers": (
        _third(_good(lattice="0 2 2 2 0 2 2 2"), "Ag 0 0 0"),
        "frame 3 (id 'x'): not readable as extended XYZ: ValueError: Got info item Lattice",
    ),
    "an empty id": (
        _third(_good('""'), "Ag 0 0 0"),
        "frame 3 (id ''): expected an id, found an empty one: name the frame",
    ),
    "ids on some frames only": (
        _third(_good().replace("id=x", ""), "Ag 0 0 0"),
        "frame 3: expected an id, as others have one, found none: name all frames or none",
    ),
    "no energy anywhere": (
        re.sub(r" energy=\S+", " e0=1", ENDS),
        "found one for none of 2 frames; columns found: Lattice, Properties, e0, id",
    ),
    "bytes that are no text": (
        b"\x00\x01",
        "expected extended XYZ text, found bytes that are no text at offset 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "reason"), FAULTS.values(), ids=FAULTS.keys())
def test_bad_pool_is_refused_by_file_id_and_reason(
    write: Callable[[str | bytes], Path], content: str | bytes, reason: str
) -> None:
    path = write(content)
    with pytest.raises(InvalidPoolError, match=re.escape(reason)) as caught:
        build_pool(read_frames(path), ("Ag", "Pd"), without_energy=WithoutEnergy.LEAVE_OUT)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidPoolError, match=r"none\.xyz: expected a pool file, found none that can be read: No such file"
    ):
        read_frames(tmp_path / "none.xyz")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidPoolError, match="expected a regular file, found a folder"):
        read_frames(tmp_path)


@pytest.mark.parametrize("elements", [("Ag", "Ag"), ("Ag", "Xy"), ("X", "Ag"), ("Ag", "Pd", "Ag"), tuple("BCNOFS")])
def test_elements_that_make_no_axes_are_refused(
    write: Callable[[str | bytes], Path], elements: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidPoolError, match="Expected two to five different chemical elements, found elements="):
        build_pool(read_frames(write(ENDS)), elements, without_energy=WithoutEnergy.KEEP)


def test_all_faults_come_in_one_error(write: Callable[[str | bytes], Path]) -> None:
    content = _third(_good().replace("-1.0", "nan"), "Cu 0 0 0", "Pd 0.1 0 0")
    with pytest.raises(InvalidPoolError, match=r"3 faults in 3 frames\.\n.*energy is nan.*\n.*Cu.*\n.*0\.100 A apart"):
        build_pool(read_frames(write(content)), ("Ag", "Pd"), without_energy=WithoutEnergy.LEAVE_OUT)


def test_of_many_faults_ten_are_shown_and_the_rest_counted(
    write: Callable[[str | bytes], Path], make_frame: Callable[..., str], pure_ends: str
) -> None:
    path = write(pure_ends + "".join(make_frame("Cu 0 0 0", id=f"cu-{k}") for k in range(13)))
    with pytest.raises(InvalidPoolError, match=r"13 faults in 15 frames") as caught:
        build_pool(read_frames(path), ("Ag", "Pd"), without_energy=WithoutEnergy.LEAVE_OUT)
    assert "cu-9" in str(caught.value)
    assert "cu-10" not in str(caught.value)
    assert "and 3 more" in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "left"),
    [
        (f"3\n{_good('y')}\nAg 0 0 0\n", ["pure-ag", "pure-pd"]),
        (f"1\n{_good('y')}\nAg 0 0\n", ["pure-ag", "pure-pd"]),
        (f"1\n{_good('y')}\nQq 0 0 0\n", ["pure-ag", "pure-pd"]),
        ("0\nid=y\n", ["pure-ag", "pure-pd"]),
        ("Ag 1 1 1\n", ["pure-pd"]),  # whose the atom is, is not known
    ],
)
def test_one_bad_frame_hinders_no_other(write: Callable[[str | bytes], Path], bad: str, left: list[str]) -> None:
    frames = read_frames(write(PURE_AG + bad + PURE_PD))
    assert [frame.id for frame in frames.frames] == left
    assert len(frames.faults) == 1


def test_after_a_bad_frame_reading_goes_on_only_where_a_frame_begins_beyond_doubt(
    write: Callable[[str | bytes], Path],
) -> None:
    plain = "1\nno lattice is stated here\nPd 0 0 0\n"
    frames = read_frames(write(PURE_AG + "1\n" + _good("y") + "\nAg 0 0 0\nAg 1 1 1\n" + plain + PURE_PD))
    assert [frame.id for frame in frames.frames] == ["pure-ag", "pure-pd"]
    (fault,) = frames.faults
    assert fault.startswith("frame 2 (id 'y'), line 7: expected 1 atom lines")


def test_what_is_left_out_is_said_and_the_rest_is_a_pool(write: Callable[[str | bytes], Path]) -> None:
    content = (
        _third(_good().replace("-1.0", "nan"), "Ag 0 0 0", "Pd 2 2 2") + PURE_AG + "1\n" + _good("y") + "\nAg 0 0\n"
    )
    frames = read_frames(write(content))
    with pytest.raises(
        InvalidPoolError, match=r"3 faults in 5 frames(.|\n)*other 2: `hullscout check .* --write"
    ) as caught:
        build_pool(frames, ("Ag", "Pd"), without_energy=WithoutEnergy.LEAVE_OUT)
    assert "[pool] leave_out_faults = true" in str(caught.value)
    pool = build_pool(frames, ("Ag", "Pd"), without_energy=WithoutEnergy.LEAVE_OUT, faulty=Faulty.LEAVE_OUT)
    assert pool.ids == ("pure-ag", "pure-pd")
    assert len(pool.report.faults) == 3
    (said,) = [line for line in pool.report.lines() if line.startswith("Left out")]
    assert "id 'pure-ag' is repeated: frames 1, 4" in said
    assert "energy is nan" in said
    assert "atom 1: expected 4 columns" in said


def test_a_pool_whose_ends_are_bad_is_refused_whatever_is_left_out(write: Callable[[str | bytes], Path]) -> None:
    frames = read_frames(write(PURE_AG + PURE_PD.replace("-1.0", "nan")))
    with pytest.raises(InvalidPoolError, match="no structure of pure Pd among 1 usable frames"):
        build_pool(frames, ("Ag", "Pd"), without_energy=WithoutEnergy.LEAVE_OUT, faulty=Faulty.LEAVE_OUT)


def test_faults_of_format_in_all_frames_come_in_one_error(write: Callable[[str | bytes], Path]) -> None:
    content = ENDS.replace("Ag 0 0 0", "Ag 0 0").replace("Pd 0 0 0", "Pd 0 0")
    with pytest.raises(InvalidPoolError, match=r"2 faults in 2 frames\.\n  frame 1 \(id 'pure-ag'\).*\n  frame 2"):
        read_frames(write(content))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, len(ENDS)), length=st.integers(0, 30), patch=st.text(max_size=12))
def test_a_damaged_file_is_read_or_refused_but_never_crashes(
    write: Callable[[str | bytes], Path], start: int, length: int, patch: str
) -> None:
    path = write((ENDS[:start] + patch + ENDS[start + length :]).encode("utf-8", errors="replace"))
    try:
        pool = build_pool(read_frames(path), ("Ag", "Pd"), without_energy=WithoutEnergy.KEEP)
    except InvalidPoolError as error:
        message = str(error)
        assert message.startswith(str(path))
    else:
        assert set(pool.x) == {0.0, 1.0}
