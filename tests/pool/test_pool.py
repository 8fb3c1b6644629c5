"""A pool: each crystal once, in a fixed order, with no way to an energy."""

from __future__ import annotations

import random
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hullscout.errors import InvalidPoolError
from hullscout.pool import Candidate, Frames, Pool, PoolReport, WithoutEnergy, build_pool, parse_frames, read_frames

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared" / "data"
ELEMENTS = ("Ag", "Pd")


def build(path: Path, *, without_energy: WithoutEnergy = WithoutEnergy.LEAVE_OUT) -> Pool:
    return build_pool(read_frames(path), ELEMENTS, without_energy=without_energy)


@pytest.fixture
def mixed(make_frame: Callable[..., str]) -> list[str]:
    """Nine frames: twins under three ids, two pure silvers, one frame without an energy."""
    cube = "4 0 0 0 4 0 0 0 4"
    return [
        make_frame("Ag 0 0 0", id="ag-2"),
        make_frame("Ag 0 0 0", id="ag-10", lattice="3 0 0 0 3 0 0 0 3"),
        make_frame("Pd 0 0 0", id="pd"),
        make_frame("Ag 0 0 0; Pd 2 2 2", id="b2-10", lattice=cube),
        make_frame("Ag 2 2 2; Pd 0 0 0", id="b2-9", lattice=cube),
        make_frame("Ag 2 2 2; Pd 0 0 0; Ag 2 2 6; Pd 0 0 4", id="b2-11", lattice="4 0 0 0 4 0 0 0 8"),
        make_frame("Ag 0 0 0; Pd 2 2 2.1", id="bent", lattice=cube),
        make_frame("Ag 0 0 0; Pd 2 2 2; Pd 0 2 0", id="dark", lattice=cube, energy=None),
        make_frame("Ag 0 0 0; Ag 0 2 2; Pd 2 0 2; Ag 2 2 0", id="l12", lattice=cube),
    ]


def test_a_pool_holds_each_crystal_once_in_natural_order(write: Callable[[str], Path], mixed: list[str]) -> None:
    pool = build(write("".join(mixed)))
    assert pool.ids == ("ag-2", "ag-10", "b2-9", "bent", "l12", "pd")
    assert pool.x.tolist() == [0.0, 0.0, 0.5, 0.5, 0.25, 1.0]
    assert pool.n_atoms.tolist() == [1, 1, 2, 2, 4, 1]
    assert pool.fractions.tolist() == [[x] for x in pool.x.tolist()]
    assert pool.twins == {"b2-9": ("b2-10", "b2-11")}
    assert len(pool) == 6


def test_the_report_says_what_was_done_in_sentences(write: Callable[[str], Path], mixed: list[str]) -> None:
    report = build(write("".join(mixed))).report
    assert report.left_out == ("dark",)
    assert report.n_pure == (2, 1)
    assert str(report) == (
        "9 frames hold 6 candidates.\n"
        "Left out, since they have no energy: dark.\n"
        "1 crystal occurs more than once (within 0.001 A); it is one candidate, 2 frames are counted as its twins: "
        "b2-9 = b2-10 = b2-11.\n"
        "Suspect: all 8 energies are -1 eV: are they placeholders?\n"
        "2 candidates are pure Ag; the lowest of those known is the end of the axis."
    )


def test_a_report_counts_many_findings_and_shows_the_first() -> None:
    report = PoolReport(
        elements=ELEMENTS,
        n_frames=13,
        n_candidates=4,
        left_out=("a", "b", "c", "d", "e", "f"),
        twin_groups=(("p", "q"), ("r", "s", "t")),
        n_pure=(1, 1),
    )
    assert report.lines()[1:] == (
        "Left out, since they have no energy: 6 frames (a, b, c, d, e, ...).",
        (
            "2 crystals occur more than once (within 0.001 A); each is one candidate, "
            "3 frames are counted as their twins. The first: p = q."
        ),
    )


def test_frames_without_an_energy_stay_where_energies_are_computed(
    write: Callable[[str], Path], mixed: list[str]
) -> None:
    pool = build(write("".join(mixed)), without_energy=WithoutEnergy.KEEP)
    assert "dark" in pool.ids
    assert pool.report.left_out == ()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_the_order_of_the_file_changes_nothing(write: Callable[..., Path], mixed: list[str], seed: int) -> None:
    shuffled = random.Random(seed).sample(mixed, len(mixed))  # noqa: S311
    straight, other = build(write("".join(mixed))), build(write("".join(shuffled), "shuffled.xyz"))
    assert other.ids == straight.ids
    assert other.report == straight.report
    np.testing.assert_array_equal(other.x, straight.x)
    for one, two in zip(straight.candidates, other.candidates, strict=True):
        np.testing.assert_array_equal(one.positions, two.positions)


def test_composition_is_exact(write: Callable[[str], Path], make_frame: Callable[..., str], pure_ends: str) -> None:
    third = make_frame("Ag 0 0 0; Ag 0 0 3; Pd 0 0 6", id="third", lattice="3 0 0 0 3 0 0 0 9")
    pool = build(write(pure_ends + third))
    assert pool.x[pool.ids.index("third")] == 1 / 3


def test_elements_may_come_in_either_order(write: Callable[[str], Path], pure_ends: str) -> None:
    pool = build_pool(read_frames(write(pure_ends)), ("Pd", "Ag"), without_energy=WithoutEnergy.KEEP)
    assert pool.x.tolist() == [1.0, 0.0]
    assert pool.ids[0] == "pure-ag"


def test_nothing_in_a_pool_leads_to_an_energy(write: Callable[[str], Path], make_frame: Callable[..., str]) -> None:
    """Walk through everything that the pool holds: the energies' values and names occur nowhere."""
    text = make_frame("Ag 0 0 0", id="ag", energy="-111.5") + make_frame("Pd 0 0 0", id="pd", energy="-222.5")
    seen: list[object] = []

    def walk(value: object) -> None:
        seen.append(value)
        if isinstance(value, (Pool, PoolReport, Candidate, Frames)):
            for part in fields(value):
                assert "energ" not in part.name
                walk(getattr(value, part.name))
        elif isinstance(value, (tuple, list, dict)):
            for item in value if not isinstance(value, dict) else value.items():
                walk(item)
        elif isinstance(value, np.ndarray):
            seen.extend(value.ravel().tolist())

    walk(build(write(text)))
    numbers = [value for value in seen if isinstance(value, float)]
    assert numbers
    assert not {-111.5, -222.5} & set(numbers)
    assert {type(value) for value in seen} <= {
        Pool,
        PoolReport,
        Candidate,
        tuple,
        dict,
        str,
        int,
        float,
        np.ndarray,
        type(None),
    }


def test_arrays_of_a_pool_cannot_be_changed(write: Callable[[str], Path], pure_ends: str) -> None:
    pool = build(write(pure_ends))
    with pytest.raises(ValueError, match="read-only"):
        pool.x[0] = 0.5


def test_a_pool_built_by_hand_is_checked(write: Callable[[str], Path], pure_ends: str) -> None:
    pool = build(write(pure_ends))
    with pytest.raises(InvalidPoolError, match="found 1 candidates with 1 ids and 1 and 0 pure structures"):
        Pool(elements=ELEMENTS, candidates=pool.candidates[:1], report=pool.report)


def test_content_in_memory_reads_like_the_file(write: Callable[[str], Path], pure_ends: str) -> None:
    path = write(pure_ends)
    frames = parse_frames(path.read_bytes(), path=path)
    assert [frame.id for frame in frames.frames] == [frame.id for frame in read_frames(path).frames]


def test_the_agpd_campaign_holds_no_crystal_twice() -> None:
    pool = build(REPOSITORY / "campaigns" / "agpd" / "agpd.extxyz.gz")
    assert (len(pool), pool.report.n_frames, pool.report.twin_groups) == (625, 625, ())
    assert len(set(pool.x.tolist())) == 23
    assert [pool.ids[i] for x in (0.0, 1.0) for i in np.flatnonzero(pool.x == x)] == ["Ag", "Pd"]


def test_the_agpt_campaign_holds_twins_and_several_pure_structures() -> None:
    frames = read_frames(REPOSITORY / "campaigns" / "agpt-unep" / "agpt-unep.extxyz.gz")
    pool = build_pool(frames, ("Ag", "Pt"), without_energy=WithoutEnergy.LEAVE_OUT)
    assert (pool.report.n_frames, len(pool), len(pool.twins)) == (585, 554, 23)
    assert pool.report.n_pure == (3, 3)


@pytest.mark.parametrize(
    ("file", "elements", "n_frames"),
    [
        ("agpd-byu/AgPd-byu", ("Ag", "Pd"), 753),
        ("agau/AgAu", ("Ag", "Au"), 137),
        ("nbmo/NbMo-relax", ("Nb", "Mo"), 331),
        ("nbmo/NbMo-unrelax", ("Nb", "Mo"), 331),
    ],
)
def test_published_enumerations_hold_no_crystal_twice(file: str, elements: tuple[str, str], n_frames: int) -> None:
    path = SHARED / f"{file}.extxyz.gz"
    if not path.exists():
        pytest.skip(f"{path} is not here: development data that is not part of the repository")
    pool = build_pool(read_frames(path), elements, without_energy=WithoutEnergy.LEAVE_OUT)
    assert (len(pool), pool.report.n_frames, pool.report.twin_groups) == (n_frames, n_frames, ())


@pytest.mark.parametrize(
    ("pair", "n_labels"), [("AgPt", 5), ("AuPd", 7), ("CuPd", 5), ("MoPt", 5), ("NiPd", 6), ("TiPd", 8)]
)
def test_prototype_labels_shared_in_a_published_pool_get_numbers(pair: str, n_labels: int) -> None:
    path = SHARED / "pgm-unep" / f"{pair}.extxyz.gz"
    if not path.exists():
        pytest.skip(f"{path} is not here: development data that is not part of the repository")
    pool = build_pool(read_frames(path), (pair[:2], pair[2:]), without_energy=WithoutEnergy.LEAVE_OUT)
    assert len(pool.report.shared_labels) == n_labels
    assert f"{n_labels} ids are labels that several structures of a prototype share" in str(pool.report)


def test_numbers_of_shared_labels_do_not_depend_on_the_order_of_the_file(write, make_frame, pure_ends) -> None:
    small = make_frame("Ag 0 0 0; Pd 2 0 0", id="L1_0", lattice="4 0 0 0 4 0 0 0 4")
    large = make_frame("Ag 0 0 0; Pd 2 0 0", id="L1_0", lattice="5 0 0 0 4 0 0 0 4")
    pools = [
        build_pool(read_frames(write(pure_ends + text)), ("Ag", "Pd"), without_energy=WithoutEnergy.LEAVE_OUT)
        for text in (small + large, large + small)
    ]
    for pool in pools:
        assert pool.ids == ("L1_0#1", "L1_0#2", "pure-ag", "pure-pd")
        assert pool.candidates[0].cell[0, 0] == 4.0


@pytest.mark.parametrize(
    "second",
    [
        "Ag 0 0 0; Pd 2 0 0",
        "Ag 0 0 0; Ag 2 0 0; Pd 0 2 0; Pd 0 0 2",
        "Ag 0 0 0; Ag 2 0 0",
        "Ag 0 0 0; Pd 2 0 0; Pd 0 2 0",
    ],
)
def test_any_other_repeated_id_is_refused(write, make_frame, pure_ends, second) -> None:
    first, again = (make_frame(a, id="x", lattice="4 0 0 0 4 0 0 0 4") for a in ("Ag 0 0 0; Pd 2 0 0", second))
    with pytest.raises(InvalidPoolError, match="id 'x' is repeated: frames 3, 4; ids must be unique"):
        build_pool(read_frames(write(pure_ends + first + again)), ("Ag", "Pd"), without_energy=WithoutEnergy.LEAVE_OUT)


def test_molecules_are_no_pool() -> None:
    path = SHARED / "qm7" / "qm7.extxyz.gz"
    if not path.exists():
        pytest.skip(f"{path} is not here: development data that is not part of the repository")
    with pytest.raises(InvalidPoolError, match="frame 1 \\(id '0001'\\): no lattice: expected a crystal"):
        build_pool(read_frames(path), ("C", "H"), without_energy=WithoutEnergy.KEEP)
