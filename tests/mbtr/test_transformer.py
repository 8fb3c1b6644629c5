"""The representation as an object: inputs, outputs, streaming, and scikit-learn's protocol."""

import subprocess
import sys

import numpy as np
import pytest
from ase.build import bulk, molecule
from scipy import sparse

from hullscout.errors import InvalidSettingError
from hullscout.mbtr import MBTR, Term
from hullscout.mbtr.counting import in_threads

PAIRS = Term(k=2, geometry="inverse_distance", grid=(0.1, 0.8, 20), sigma=0.03, cutoff=5.0)
ANGLES = Term(k=3, geometry="cosine", grid=(-1.0, 1.0, 10), sigma=0.1, cutoff=3.5)
COUNT = Term(k=1, geometry="element_count")


@pytest.fixture
def mbtr():
    return MBTR(("Ag", "Pd"), (COUNT, PAIRS, ANGLES))


@pytest.fixture
def structures(structure_of):
    return [structure_of(seed, 1 + seed % 3) for seed in range(7)]


class Bare:
    """A structure that is nothing but four attributes."""

    def __init__(self, atoms):
        self.numbers, self.positions, self.cell, self.pbc = atoms.numbers, atoms.positions, atoms.cell[:], atoms.pbc


def test_pymatgen_ase_and_bare_structures_agree(mbtr, structures):
    from pymatgen.io.ase import AseAtomsAdaptor

    expected = mbtr.transform(structures)
    np.testing.assert_array_equal(mbtr.transform([Bare(atoms) for atoms in structures]), expected)
    found = mbtr.transform([AseAtomsAdaptor.get_structure(atoms) for atoms in structures])
    np.testing.assert_allclose(found, expected, atol=1e-11 * expected.max())


def test_pymatgen_molecules_are_finite_systems():
    from pymatgen.core import Molecule

    water = molecule("H2O")
    mbtr = MBTR(("H", "O"), (Term(k=2, geometry="distance", grid=(0.0, 3.0, 9), sigma=0.2),))
    found = mbtr.transform([Molecule(water.get_chemical_symbols(), water.positions)])
    np.testing.assert_allclose(found, mbtr.transform([water]))


@pytest.mark.parametrize("pbc", [(True, True, False), (False, True, False), (False, False, False)])
def test_open_directions_of_pymatgen_lattices_are_open(mbtr, structure_of, pbc):
    from pymatgen.core import Lattice, Structure

    atoms = structure_of(12, 3, pbc)
    lattice = Lattice(atoms.cell[:], pbc=pbc)
    structure = Structure(lattice, atoms.get_chemical_symbols(), atoms.positions, coords_are_cartesian=True)
    found, expected = mbtr.transform([structure, atoms])
    np.testing.assert_allclose(found, expected, atol=1e-11 * expected.max())


def test_charges_and_isotopes_do_not_change_an_element():
    from pymatgen.core import Lattice, Structure

    cell, positions = Lattice.cubic(3.0), [[0, 0, 0], [0.5, 0.5, 0.5]]
    mbtr = MBTR(("H", "Pd"), (PAIRS,))
    found = mbtr.transform([Structure(cell, ["Pd2+", "D"], positions), Structure(cell, ["Pd", "H"], positions)])
    np.testing.assert_array_equal(found[0], found[1])


def test_slices_and_names_describe_every_feature(mbtr, structures):
    X = mbtr.transform(structures)
    assert X.shape == (7, mbtr.n_features) == (7, 2 + 3 * 20 + 6 * 10)
    assert mbtr.slices == {"k1": slice(0, 2), "k2": slice(2, 62), "k3": slice(62, 122)}
    names = mbtr.get_feature_names_out()
    assert len(set(names)) == len(names) == mbtr.n_features
    assert names[[0, 2, 22, 62, 121]].tolist() == [
        "k1:Ag", "k2:Ag-Ag:0.1175", "k2:Ag-Pd:0.1175", "k3:Ag-Ag-Ag:-0.9", "k3:Pd-Pd-Pd:0.9",
    ]  # fmt: skip
    assert "122 features" in repr(mbtr)


def test_features_of_absent_elements_are_zero_and_the_length_is_fixed(mbtr):
    X = mbtr.transform([bulk("Pd")])
    channels = X[0, mbtr.slices["k2"]].reshape(3, 20)
    assert channels[:2].max() == 0.0
    assert channels[2].max() > 0.0


def test_lists_from_a_configuration_file_serve_as_tuples(structures):
    listed = Term(k=2, geometry="inverse_distance", grid=[0.1, 0.8, 20], sigma=0.03, sigmas=[0.02, 0.04], cutoff=5.0)
    assert listed.grid == (0.1, 0.8, 20)
    assert listed.planned_sigmas == (0.02, 0.03, 0.04)
    expected = MBTR(("Ag", "Pd"), (PAIRS,)).transform(structures)
    np.testing.assert_allclose(MBTR(["Ag", "Pd"], [listed]).transform(structures), expected, atol=1e-12)


def test_numpy_numbers_serve_as_plain_ones():
    grid = np.array([0.1, 0.8, 20])
    found = Term(k=np.int64(2), geometry="inverse_distance", grid=grid, sigma=np.float64(0.03), cutoff=np.float32(5.0))
    assert found == PAIRS
    assert hash(found) == hash(PAIRS)


def test_an_isolated_atom_has_no_pairs_and_counts_itself(mbtr):
    lone = bulk("Ag")
    lone.pbc = False
    gradient = mbtr.gradient(lone)
    assert gradient.features[0] == 1.0
    assert not gradient.features[1:].any()
    assert not gradient.positions.any()


def test_factor_scales_a_term(structures):
    doubled = Term(k=2, geometry="inverse_distance", grid=(0.1, 0.8, 20), sigma=0.03, cutoff=5.0, factor=2.0)
    np.testing.assert_allclose(
        MBTR(("Ag", "Pd"), (doubled,)).transform(structures), 2 * MBTR(("Ag", "Pd"), (PAIRS,)).transform(structures)
    )


def test_a_broadened_atomic_number_counts_atoms(structures):
    term = Term(k=1, geometry="atomic_number", grid=(40.0, 53.0, 130), sigma=0.5)
    X = MBTR(("Ag", "Pd"), (term,), normalization="none").transform(structures).reshape(7, 2, 130)
    counts = np.array([[np.sum(atoms.numbers == z) for z in (47, 46)] for atoms in structures])
    np.testing.assert_allclose(X.sum(axis=2) * 0.1, counts, atol=1e-9)


def test_streaming_in_chunks_equals_one_call(mbtr, structures):
    blocks = list(mbtr.stream((atoms for atoms in structures), chunk_size=3))
    assert [len(block) for block in blocks] == [3, 3, 1]
    expected = mbtr.count(structures).features()
    np.testing.assert_allclose(np.concatenate(blocks), expected, atol=1e-13 * expected.max())


def test_no_structures_give_no_rows(mbtr):
    assert mbtr.transform([]).shape == mbtr.count([]).features().shape == (0, mbtr.n_features)
    assert MBTR(("Ag", "Pd"), (PAIRS,), output="sparse").transform([]).shape == (0, 60)


def test_many_structures_are_transformed_in_chunks_without_being_asked(monkeypatch, mbtr, structures):
    monkeypatch.setattr("hullscout.mbtr.transformer._CHUNK_BYTES", 1)
    assert mbtr.chunk_size == 1
    np.testing.assert_allclose(mbtr.transform(structures), mbtr.count(structures).features(), atol=1e-13)
    sparse_one = MBTR(("Ag", "Pd"), (PAIRS,), output="sparse")
    assert sparse_one.transform(structures).shape == (7, 60)


def test_sparse_output_holds_the_same_numbers(mbtr, structures):
    dense = mbtr.transform(structures)
    found = MBTR(("Ag", "Pd"), (COUNT, PAIRS, ANGLES), output="sparse").transform(structures)
    assert sparse.issparse(found)
    assert found.nnz < dense.size
    np.testing.assert_allclose(found.toarray(), dense, atol=1e-13 * dense.max())


def test_clone_and_parameters_follow_scikit_learn(mbtr, structures):
    from sklearn.base import clone

    copy = clone(mbtr)
    assert copy is not mbtr
    assert copy.get_params(deep=False) == mbtr.get_params(deep=False)
    changed = copy.set_params(k2__sigma=0.05, normalization="none")
    assert changed is copy
    assert copy.get_params()["k2__sigma"] == 0.05
    assert mbtr.get_params()["k2__sigma"] == 0.03
    assert not np.allclose(copy.transform(structures), mbtr.transform(structures))


def test_pickled_representations_counts_and_pipelines_work_as_before(mbtr, structures):
    import pickle

    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    expected = mbtr.transform(structures)
    copy, counts = pickle.loads(pickle.dumps((mbtr, mbtr.count(structures))))  # noqa: S301 - our own
    np.testing.assert_array_equal(copy.transform(structures), expected)
    np.testing.assert_array_equal(counts.features(), expected)
    pipeline = make_pipeline(copy, StandardScaler()).fit(structures)
    assert pipeline.get_feature_names_out().tolist() == mbtr.get_feature_names_out().tolist()


def test_impossible_parameters_change_nothing(mbtr):
    before = mbtr.get_params()
    for wrong, match in (
        ({"colour": 1}, "unknown settings"),
        ({"k9__sigma": 1.0}, "unknown settings"),
        ({"k2__colour": 1}, "unknown settings"),
        ({"normalization": "none", "k2__sigma": -1.0}, "sigma must be positive"),
        ({"n_threads": 0}, "n_threads must be"),
    ):
        with pytest.raises(InvalidSettingError, match=match):
            mbtr.set_params(**wrong)
    assert mbtr.get_params() == before


def test_pipeline_and_grid_search_tune_the_width(mbtr, structures):
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    y = np.arange(7.0)
    pipeline = make_pipeline(mbtr, Ridge())
    search = GridSearchCV(pipeline, {"mbtr__k2__sigma": [0.02, 0.04]}, cv=2).fit(structures, y)
    assert search.best_params_["mbtr__k2__sigma"] in {0.02, 0.04}
    assert search.predict(structures).shape == (7,)
    np.testing.assert_array_equal(mbtr.fit_transform(structures, y), mbtr.transform(structures))


def test_default_for_alloys_is_the_same_for_supercells_and_counts_pairs_and_angles():
    mbtr = MBTR.for_alloys(("Ag", "Pd"))
    X = mbtr.transform([bulk("Ag"), bulk("Ag").repeat((3, 1, 1))])
    np.testing.assert_allclose(X[0], X[1], rtol=1e-11, atol=1e-11)
    assert list(mbtr.slices) == ["k2", "k3"]


def test_all_structures_are_worked_on_once_whatever_the_threads_and_costs():
    for threads in (1, 3):
        for n in (0, 1, 5, 100):
            seen = np.zeros(n, dtype=int)

            def work(start, stop, stopped, seen=seen):
                assert not stopped[0]
                seen[start:stop] += 1

            in_threads(work, np.random.default_rng(n).uniform(0, 1, n) ** 8, threads)
            assert seen.tolist() == [1] * n


def test_import_loads_neither_scikit_learn_nor_pymatgen_nor_ase():
    code = (
        "import sys, hullscout.mbtr;"
        "print([name for name in ('sklearn', 'pymatgen', 'ase', 'matplotlib', 'pandas') if name in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
