"""Initial magnetic moments are read from every format that states them, kept to the last bit, and tell crystals apart."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from hypothesis import given, settings
from hypothesis import strategies as st
from monty.json import MontyEncoder
from pymatgen.core import Lattice, Structure
from pymatgen.electronic_structure.core import Magmom
from pymatgen.entries.computed_entries import ComputedStructureEntry
from pymatgen.io.cif import CifWriter

from hullscout.errors import InvalidPoolError, InvalidStructureError
from hullscout.oracle import candidate_from_tree, candidate_to_tree
from hullscout.pool import Candidate, Frames, Pool, find_twins, format_frames, inspect_frames, parse_frames
from hullscout.pool.formats import keep_pool, read_pool

MOMENT = st.floats(-100.0, 100.0, allow_nan=False)


def crystal(moments, *, id="b2", elements="NiFe", turned=False):  # noqa: A002
    """A B2 cell with these moments, described by a cell twice as long and in other vectors where `turned`."""
    atoms = Atoms(elements, positions=[[0, 0, 0], [1.45, 1.45, 1.45]], cell=[2.9] * 3, pbc=True, magmoms=moments)
    if turned:
        atoms = atoms * (1, 1, 2)
        atoms.rotate(30, "z", rotate_cell=True)
        atoms = atoms[[2, 0, 3, 1]]
    return Candidate.from_ase(atoms, id)


def text_of(name, kind, rows, *, comment="energy=-1.0"):
    lines = [
        f"{symbol} {place} {place} {place} {row}"
        for symbol, place, row in zip(["Ni", "Fe"], (0, 1.45), rows, strict=True)
    ]
    head = f'2\nLattice="2.9 0 0 0 2.9 0 0 0 2.9" Properties=species:S:1:pos:R:3:{name}:{kind} id=b2 {comment} pbc="T T T"\n'
    return (head + "\n".join(lines) + "\n").encode()


def read_text(tmp_path, *text):
    return parse_frames(b"".join(text), path=tmp_path / "pool.extxyz").frames


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.lists(MOMENT, min_size=2, max_size=2),
            st.lists(st.tuples(MOMENT, MOMENT, MOMENT), min_size=2, max_size=2),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_moments_written_and_read_back_are_the_same_to_the_last_bit(moments):
    candidates = [crystal(None if each is None else np.array(each), id=f"b2-{n}") for n, each in enumerate(moments)]
    written = format_frames(Frames.of(candidates).frames)
    back = parse_frames(written, path=None).frames
    for candidate, frame in zip(candidates, back, strict=True):
        again = frame.candidate()
        assert (again.magmoms is None) == (candidate.magmoms is None)
        if candidate.magmoms is not None:
            assert again.magmoms.tobytes() == candidate.magmoms.tobytes()
        tree = json.loads(json.dumps(candidate_to_tree(candidate)))
        assert candidate_from_tree(tree).has_same_atoms(candidate)
    assert format_frames(back) == written


@pytest.mark.parametrize(
    ("name", "kind", "rows", "expected"),
    [
        ("initial_magmoms", "R:1", ["0.6", "-2.2"], [0.6, -2.2]),
        ("magmoms", "R:1", ["0.6", "-2.2"], [0.6, -2.2]),
        ("initial_magmom", "R:1", ["0.6", "-2.2"], [0.6, -2.2]),
        ("magmom", "R:1", ["0.6", "-2.2"], [0.6, -2.2]),
        ("MAGMOMS", "I:1", ["1", "-2"], [1.0, -2.0]),
        ("initial_magmoms", "R:3", ["0 0 0.6", "1 0 -2"], [[0, 0, 0.6], [1, 0, -2]]),
        ("magmoms:R:1:initial_magmoms", "R:1", ["9 0.6", "9 -2.2"], [0.6, -2.2]),
        ("forces", "R:3", ["0 0 0.6", "1 0 -2"], None),
    ],
)
def test_columns_of_moments_are_read_by_any_of_their_names(tmp_path, name, kind, rows, expected):
    (frame,) = read_text(tmp_path, text_of(name, kind, rows, comment="energy=-1.0 magmom=9.5"))
    assert (None if frame.magmoms is None else frame.magmoms.tolist()) == expected
    assert frame.energy_ev == -1.0


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ('initial_magmoms="0.6 -2.2"', [0.6, -2.2]),
        ('magmoms="[0.6, -2.2]"', [0.6, -2.2]),
        ('magmom="2*0.6"', [0.6, 0.6]),
        ('initial_magmoms="0 0 0.6 1 0 -2"', [[0, 0, 0.6], [1, 0, -2]]),
    ],
)
def test_moments_of_all_atoms_in_a_comment_line_are_read(tmp_path, comment, expected):
    text = text_of("tag", "I:1", ["0", "1"], comment=comment)
    (frame,) = read_text(tmp_path, text)
    assert frame.magmoms.tolist() == expected
    assert parse_frames(format_frames([frame]), path=None).frames[0].magmoms.tolist() == expected


@pytest.mark.parametrize(
    ("name", "comment", "said"),
    [
        ("spin", "energy=-1.0", "it looks like magnetic moments: spin."),
        ("dft_magmom", "moment=1.5", "they look like magnetic moments: dft_magmom, moment."),
        ("tag", 'magmoms="1 2 3"', "it looks like magnetic moments: magmoms."),
        ("tag", "magmom=9.5", "it looks like magnetic moments: magmom."),
        ("tag", "spin=up", "it looks like magnetic moments: spin."),
        ("tag", "magmom=0.0 nspin=2 total_magmom=3", None),
        ("magmoms", "dft_magmom=2", None),
    ],
)
def test_what_looks_like_moments_and_is_not_used_is_named(tmp_path, name, comment, said):
    read = parse_frames(text_of(name, "R:1", ["0.6", "-2.2"], comment=comment), path=tmp_path / "pool.extxyz")
    assert (f"Not used, though {said}" in " ".join(read.notes)) == (said is not None)
    assert len(read.notes) == (said is not None)


def test_a_table_and_sites_state_moments_or_it_is_said_that_theirs_are_not_used(tmp_path):
    (tmp_path / "a.vasp").write_text("a\n1\n2.9 0 0\n0 2.9 0\n0 0 2.9\nNi Fe\n1 1\ndirect\n0 0 0\n.5 .5 .5\n")
    (tmp_path / "table.csv").write_text("id,energy,magmom\na,-1.0,[0.6 -2.2]\n")
    (frame,) = read_pool(tmp_path).frames
    assert frame.magmoms.tolist() == [0.6, -2.2]
    sites = {"final_magmom": [0.6, -2.2]}
    structure = Structure(Lattice.cubic(2.9), ["Ni", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]], site_properties=sites)
    (tmp_path / "e.json").write_text(json.dumps([ComputedStructureEntry(structure, -1.0).as_dict()], cls=MontyEncoder))
    read = read_pool(tmp_path / "e.json")
    assert read.frames[0].magmoms is None
    assert "it looks like magnetic moments: final_magmom." in read.notes[0]


@pytest.mark.parametrize(
    ("kind", "rows", "fault"),
    [
        ("R:1", ["nan", "1"], "expected finite magnetic moments"),
        ("R:1", ["1e9", "1"], "at most 100 Bohr magnetons"),
        ("S:1", ["up", "down"], "expected numbers in the column initial_magmoms"),
        ("R:2", ["1 2", "3 4"], "one magnetic moment, or a vector of three, for each of 2 atoms"),
    ],
)
def test_moments_that_are_none_are_a_fault_with_the_frame(tmp_path, kind, rows, fault):
    with pytest.raises(InvalidPoolError, match=r"frame 1 \(id 'b2'\)") as caught:
        read_text(tmp_path, text_of("initial_magmoms", kind, rows))
    assert fault in str(caught.value)


def test_a_candidate_with_moments_for_other_atoms_is_refused():
    with pytest.raises(InvalidStructureError, match=r"Candidate 'a'.* for each of 1 atoms, found an array"):
        Candidate(id="a", numbers=[28], positions=[[0, 0, 0]], cell=np.eye(3) * 3, magmoms=[1.0, 2.0])


def test_databases_hand_on_initial_moments_and_else_those_that_were_calculated(tmp_path):
    stated, ended, nothing = (crystal(None).to_ase() for _ in range(3))
    stated.set_initial_magnetic_moments([0.6, -2.2])
    stated.calc = SinglePointCalculator(stated, energy=-1.0, magmoms=np.array([0.5, -2.0]))
    ended.calc = SinglePointCalculator(ended, energy=-1.0, magmoms=np.array([0.5, 2.0]))
    with connect(str(tmp_path / "pool.db"), use_lock_file=False) as database:
        for name, atoms in (("stated", stated), ("ended", ended), ("nothing", nothing)):
            database.write(atoms, name=name)
    frames = {frame.id: frame.magmoms for frame in read_pool(tmp_path / "pool.db").frames}
    assert frames["stated"].tolist() == [0.6, -2.2]
    assert frames["ended"].tolist() == [0.5, 2.0]
    assert frames["nothing"] is None
    kept = parse_frames(keep_pool(tmp_path / "pool.db").content, path=tmp_path / "pool.db").frames
    assert [None if f.magmoms is None else f.magmoms.tolist() for f in kept] == [[0.6, -2.2], [0.5, 2.0], None]


def test_structures_of_pymatgen_state_moments_by_site_by_spin_or_as_vectors(tmp_path):
    def plain(**properties):
        return Structure(Lattice.cubic(2.9), ["Ni", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]], site_properties=properties)

    spins = plain()
    spins.add_spin_by_site([1, -2])
    expected = [
        (plain(magmom=[0.6, -2.2]), [0.6, -2.2]),
        (plain(magmom=[0.6, None]), [0.6, 0.0]),
        (spins, [1.0, -2.0]),
        (plain(magmom=[Magmom([0, 1, 0]), Magmom(2)]), [[0, 1, 0], [0, 0, 2]]),
        (plain(), None),
    ]
    entries = [ComputedStructureEntry(s, -1.0, entry_id=f"e{n}").as_dict() for n, (s, _) in enumerate(expected)]
    (tmp_path / "entries.json").write_text(json.dumps(entries, cls=MontyEncoder))
    for frame, (_, moments) in zip(read_pool(tmp_path / "entries.json").frames, expected, strict=True):
        assert (None if frame.magmoms is None else frame.magmoms.tolist()) == moments
    vectors = crystal([[0, 1, 0], [0, 0, 2]])
    assert Candidate.from_structure(vectors.to_pymatgen(), "b2").has_same_atoms(vectors)
    assert Candidate.from_ase(vectors.to_ase()).has_same_atoms(vectors)


def test_a_magnetic_cif_states_moments_and_a_plain_one_none(tmp_path):
    structure = crystal([[0, 0, 0.6], [0, 0, -2.2]]).to_pymatgen()
    for name, has_moments in (("magnetic", True), ("plain", False)):
        (tmp_path / f"{name}.cif").write_text(str(CifWriter(structure, write_magmoms=has_moments)))
    plain, magnetic = sorted(read_pool(tmp_path).frames, key=lambda frame: frame.magmoms is not None)
    assert plain.magmoms is None
    along = dict(zip(magnetic.numbers.tolist(), magnetic.magmoms.reshape(2, -1)[:, -1].tolist(), strict=True))
    assert along == {28: 0.6, 26: -2.2}


def test_orderings_of_one_crystal_are_candidates_of_their_own():
    up, down = crystal([0.6, 2.2], id="up"), crystal([-0.6, -2.2], id="down", turned=False)
    apart, nothing = crystal([0.6, -2.2], id="apart"), crystal(None, id="nothing")
    assert find_twins([up, apart, nothing]) == ((0,), (1,), (2,))
    assert find_twins([up, down]) == ((0, 1),)
    assert find_twins([nothing, crystal([0, 0])]) == ((0, 1),)
    turned = Candidate.from_ase(crystal([0.6, -2.2], turned=True).to_ase(), "turned")
    assert find_twins([apart, up, turned]) == ((0, 2), (1,))
    assert find_twins([crystal([[0, 0.6, 0], [0, -2.2, 0]]), apart]) == ((0, 1),)
    assert find_twins([crystal([[0, 0.6, 0], [2.2, 0, 0]]), apart, up]) == ((0,), (1,), (2,))
    assert find_twins([up, crystal([0.62, 2.25])]) == ((0, 1),)


def test_moments_that_symmetry_makes_equal_are_twins():
    cell = bulk("Fe", "bcc", a=2.87, cubic=True) * (2, 1, 1)

    def ordered(moments):
        cell.set_initial_magnetic_moments(moments)
        return Candidate.from_ase(cell, "fe")

    layers, staggered = ordered([2, -2, 2, -2]), ordered([-2, 2, -2, 2])
    double, other_double = ordered([2, 2, -2, -2]), ordered([2, -2, -2, 2])
    assert find_twins([layers, double, staggered, other_double]) == ((0, 2), (1, 3))


def test_the_pool_and_its_check_say_that_there_are_moments_and_orderings():
    pure = [crystal(None, id=name, elements=name * 2) for name in ("Ni", "Fe")]
    structures = [*pure, crystal([0.6, 2.2], id="up"), crystal([0.6, -2.2], id="apart")]
    pool = Pool.of(structures, ("Ni", "Fe"))
    assert len(pool) == 4
    said = str(pool.report)
    assert "2 of 4 structures state magnetic moments; the other 2 state none" in said
    assert "1 crystal occurs in several magnetic orderings, each a candidate of its own. The first: apart, up" in said
    found = inspect_frames(Frames.of(structures), ("Ni", "Fe")).findings
    assert sum(finding.kind == "moments" for finding in found) == 2


def test_a_left_handed_cell_turns_round_and_every_distance_stays():
    rng = np.random.default_rng(5)
    cell = rng.uniform(-1, 1, (3, 3)) + np.diag([4.0, 4.5, -5.0])
    left = Candidate(id="l", numbers=[28, 26, 26], positions=rng.uniform(0, 4, (3, 3)), cell=cell, magmoms=[1, 2, -2])
    right = left.right_handed()
    assert (np.linalg.det(left.cell) < 0, np.linalg.det(right.cell) > 0) == (True, True)
    np.testing.assert_array_equal(right.positions, left.positions)
    np.testing.assert_array_equal(right.magmoms, left.magmoms)
    mine, theirs = (c.to_ase().get_all_distances(mic=True) for c in (left, right))
    np.testing.assert_allclose(mine, theirs, atol=1e-12)
    assert right.right_handed() is right
