"""Bad settings and bad structures: each refused before any cost, with a message that says what to do."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from hullscout.errors import HullscoutError, InvalidSettingError, InvalidStructureError
from hullscout.mbtr import MBTR, Term, periodic_table_correlation, pettifor_correlation, structure_distances
from hullscout.mbtr.channels import SYMBOLS

PAIR = {"k": 2, "geometry": "distance", "grid": (0.0, 9.0, 9), "sigma": 0.5}
ANGLE = {"k": 3, "geometry": "cosine", "grid": (-1.0, 1.0, 9), "sigma": 0.2, "cutoff": 4.0}
TERM = Term(**PAIR, cutoff=5.0)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (PAIR | {"k": 5}, "k must be 1, 2, 3 or 4, found 5"),
        (PAIR | {"geometry": "cosine"}, "geometry for k = 2 must be one of distance"),
        (PAIR | {"weighting": "gravity"}, "weighting for k = 2 must be one of unity"),
        (
            {"k": 1, "geometry": "atomic_number", "grid": (0.0, 9.0, 9), "sigma": 1.0, "weighting": "inverse_square"},
            "weighting for k = 1 must be one of unity, found 'inverse_square'",
        ),
        (PAIR | {"taper": "blunt"}, "taper for k = 2 must be one of"),
        (PAIR | {"distribution": "cauchy"}, "distribution for k = 2 must be one of"),
        (PAIR | {"placement": "edges"}, "placement for k = 2 must be one of"),
        (PAIR | {"value": "sum"}, "value for k = 2 must be one of"),
        (PAIR | {"weighting": "exponential"}, "scale goes with weighting 'exponential'"),
        (PAIR | {"scale": 1.0}, "scale goes with weighting 'exponential'"),
        (PAIR | {"weighting": "exponential", "scale": -1.0}, "scale must be positive and finite, found -1.0"),
        (PAIR | {"cutoff": 0.0}, "cutoff must be positive and finite, found 0.0"),
        (PAIR | {"sharpness": float("nan")}, "sharpness must be positive and finite, found nan"),
        (PAIR | {"factor": 0.0}, "factor must be positive and finite, found 0.0"),
        (PAIR | {"accuracy": 1.5}, "accuracy must lie between 0 and 1, found 1.5"),
        (PAIR | {"sigma": 0.0}, "sigma must be positive and finite, found 0.0"),
        (PAIR | {"sigma": -0.1}, "sigma must be positive and finite, found -0.1"),
        (PAIR | {"sigmas": (0.1, -1.0)}, "sigmas must be positive and finite, found -1.0"),
        (PAIR | {"grid": None}, "distance needs grid"),
        (PAIR | {"grid": (2.0, 1.0, 5)}, "finite minimum < maximum"),
        (PAIR | {"grid": (0.0, float("inf"), 5)}, "finite minimum < maximum"),
        (PAIR | {"grid": (0.0, 1.0, 1)}, "2 to 100000 points, found 1$"),
        (PAIR | {"grid": (0.0, 1.0, 9.5)}, "a whole number of 2 to 100000 points, found 9.5"),
        (PAIR | {"grid": (0.0, 1.0)}, r"grid must be \(minimum, maximum, n\), found \(0.0, 1.0\)"),
        ({"k": 1, "geometry": "element_count", "sigma": 0.1}, "element_count has no axis"),
        (PAIR | {"k": 2.0}, "k must be 1, 2, 3 or 4, found 2.0"),
        (PAIR | {"sigma": "narrow"}, "sigma must hold numbers, found 'narrow'"),
        (PAIR | {"sigma": None}, "sigma must hold numbers, found None"),
        (PAIR | {"grid": ("a", 1.0, 5)}, "grid must hold numbers, found 'a'"),
        (PAIR | {"grid": 5}, r"grid must be \(minimum, maximum, n\), found 5"),
        (PAIR | {"sigmas": 0.1}, "sigmas must be a sequence of widths, found 0.1"),
        (PAIR | {"grid": (0.0, 1.0, 10**9)}, "2 to 100000 points, found 1000000000"),
        (PAIR | {"name": 5}, "name must be a string, found 5"),
        (PAIR | {"name": "a__b"}, "name must not hold '__'"),
        (
            {"k": 1, "geometry": "atomic_number", "grid": (0.0, 9.0, 9), "sigma": 1.0, "cutoff": 5.0},
            "k = 1 has no distances",
        ),
    ],
)
def test_impossible_terms_are_refused(settings, match):
    with pytest.raises(InvalidSettingError, match=match):
        Term(**settings)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"elements": ()}, "at least one element"),
        ({"elements": ("Ag", "Xx")}, r"chemical symbols, found \['Xx'\]"),
        ({"elements": ("Ag", "Ag")}, "elements must be different"),
        ({"terms": ()}, "at least one Term"),
        ({"terms": (TERM, TERM)}, "different labels"),
        (
            {"terms": (Term(**ANGLE | {"grid": (3.0, 4.0, 9), "sigma": 0.01}),)},
            "grid of k3 misses every value of cosine",
        ),
        (
            {"terms": (Term(**ANGLE | {"geometry": "angle", "grid": (0.0, 180.0, 90), "sigma": 2.0}),)},
            r"grid of k3 goes far beyond angle: expected about 0 to 3.14159 radians, found \(0.0, 180.0, 90\)",
        ),
        (
            {"terms": (Term(**PAIR | {"sigma": 1e-9}),)},
            "sigmas of k2 are too small for its grid: expected at least 4.5e-05",
        ),
        ({"terms": (Term(**PAIR | {"sigma": 1e-300}),)}, "sigmas of k2 are too small for its grid"),
        (
            {
                "elements": SYMBOLS,
                "terms": (Term(k=4, geometry="dihedral", grid=(0.0, 3.2, 9), sigma=0.3, cutoff=3.0),),
            },
            r"k4 would have 8.7e\+08 features: expected at most 5e\+07; take fewer elements",
        ),
        ({"elements": "AgPd"}, r"elements must be a sequence of symbols such as \('Ag', 'Pd'\), found 'AgPd'"),
        ({"elements": {"Ag", "Pd"}}, "elements must be a sequence of symbols"),
        ({"elements": (47, 46)}, r"chemical symbols, found \[47, 46\]"),
        ({"terms": None}, "terms must be a sequence of Term, found None"),
        ({"max_outside": "all"}, "max_outside must hold numbers, found 'all'"),
        ({"n_threads": "two"}, "n_threads must be a whole number of at least 1, found 'two'"),
        ({"n_threads": float("nan")}, "n_threads must be a whole number of at least 1, found nan"),
        ({"correlation": np.array([[1, 1j], [-1j, 1]])}, "correlation must be a square matrix of numbers"),
        ({"correlation": [[1.0], [1.0, 2.0]]}, "correlation must be a square matrix of numbers"),
        ({"normalization": "l1"}, "normalization must be one of"),
        ({"max_outside": 1.5}, r"max_outside must lie in \[0, 1\]"),
        ({"output": "pandas"}, "output must be one of dense, sparse"),
        ({"n_threads": 0}, "n_threads must be a whole number of at least 1"),
        ({"n_threads": 1.5}, "n_threads must be a whole number of at least 1"),
        ({"terms": TERM}, "terms must be a sequence of Term, found a single one"),
        ({"terms": ({"k": 2},)}, "terms must be Term objects, found {'k': 2}"),
        ({"correlation": "pettifor"}, "correlation must be a square matrix of numbers.*found 'pettifor'"),
        ({"correlation": np.eye(3)}, r"correlation must have shape \(2, 2\), found \(3, 3\)"),
        ({"correlation": np.array([[1.0, np.nan], [np.nan, 1.0]])}, "correlation must be finite"),
        ({"correlation": np.array([[1.0, 0.5], [0.2, 1.0]])}, "correlation must be symmetric"),
        ({"correlation": np.array([[1.0, 2.0], [2.0, 1.0]])}, "positive semidefinite, found an eigenvalue of -1"),
        ({"normalization": "valle_oganov", "correlation": np.eye(2)}, "expected no correlation"),
        (
            {"normalization": "valle_oganov", "terms": (Term(k=1, geometry="element_count"),)},
            "valle_oganov exists for k = 2 and 3",
        ),
    ],
)
def test_impossible_representations_are_refused(settings, match):
    with pytest.raises(InvalidSettingError, match=match):
        MBTR(**({"elements": ("Ag", "Pd"), "terms": (TERM,)} | settings))


def infinite():
    atoms = bulk("Ag")
    atoms.positions[0, 1] = np.inf
    return atoms


def disordered():
    from pymatgen.core import Lattice, Structure

    return Structure(Lattice.cubic(3.0), [{"Ag": 0.5, "Pd": 0.5}], [[0, 0, 0]])


def dummy():
    from pymatgen.core import DummySpecies, Lattice, Structure

    return Structure(Lattice.cubic(3.0), [DummySpecies("Xvac")], [[0, 0, 0]])


class Misshapen:
    numbers = np.array([47, 46])
    positions = np.zeros((3, 3))
    cell = np.eye(3)
    pbc = np.zeros(3, dtype=bool)


class Lengths(Misshapen):
    positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    cell = np.array([3.0, 3.0, 3.0])


class Fractional(Misshapen):
    numbers = np.array([46.5, 46.0])


class Halfperiodic(Lengths):
    cell = np.eye(3)
    pbc = (True, False)


class Celless:
    numbers, positions = Misshapen.numbers, Lengths.positions


@pytest.mark.parametrize(
    ("structure", "match"),
    [
        (
            bulk("Au"),
            r"structure 1 holds elements outside the fixed set: expected atomic numbers \(47, 46\), found \[79\]",
        ),
        (Atoms("XAg", [[0, 0, 0], [0, 0, 2]]), r"outside the fixed set.*found \[0\]"),
        (Atoms("Ag2", [[0, 0, 0], [0, 0, 1e-4]]), "structure 1 has coinciding atoms"),
        (Atoms("AgPd", [[0, 0, 0], [0, 0, 3.0]], cell=[3, 3, 3], pbc=True), "structure 1 has coinciding atoms"),
        (Atoms("Ag", cell=[[1, 0, 0], [0, 1, 0], [1, 1, 0]], pbc=True), "structure 1 has a singular cell"),
        (Atoms("Ag", cell=np.zeros((3, 3)), pbc=(True, False, False)), "structure 1 has a singular cell"),
        (infinite(), "structure 1 has positions that are not finite"),
        (Atoms(), "structure 1 has no atoms"),
        (Atoms("Ag", [[2e7, 0, 0]]), r"structure 1 has positions or cell vectors beyond 1e\+07 A"),
        (
            Atoms("Ag", cell=np.diag([3.0, 3.0, 1e200]), pbc=True),
            r"structure 1 has positions or cell vectors beyond 1e\+07 A",
        ),
        (Atoms("Ag", cell=np.diag([3.0, 3.0, np.nan]), pbc=True), "structure 1 has a singular cell"),
        (None, "structure 1 is not understood.*found NoneType"),
        (disordered(), "structure 1 has disordered sites"),
        (dummy(), "structure 1 holds dummy species: expected chemical elements, found .'Xvac0"),
        ("Ag", "structure 1 is not understood: expected a pymatgen Structure.*found str"),
        (bulk("Ag")[0], "structure 1 is not understood.*in a list even if it is only one; found Atom"),
        (Lengths(), r"structure 1: expected a cell of shape \(3, 3\), found \(3,\)"),
        (Halfperiodic(), r"structure 1: expected pbc to be one or three booleans, found \(True, False\)"),
        (Fractional(), "structure 1: expected whole atomic numbers.*found float64"),
        (Celless(), "structure 1 has no cell or no pbc"),
        (Misshapen(), r"structure 1: expected positions of shape \(2, 3\), found \(3, 3\)"),
        (Atoms("Ag2", [[0, 0, 0], [0, 0, 50.0]]), "structure 1: 100.0% of the weight of k2 lies outside its grid"),
    ],
)
def test_bad_structures_are_refused_with_their_number(structure, match):
    terms = (Term(**PAIR, cutoff=60.0),)
    with pytest.raises(InvalidStructureError, match=match):
        MBTR(("Ag", "Pd"), terms).transform([bulk("Ag"), structure])


def test_a_grid_that_misses_most_of_a_crystal_is_refused_unless_that_is_meant():
    term = Term(k=2, geometry="distance", grid=(1.0, 3.0, 10), sigma=0.1, cutoff=12.0)
    with pytest.raises(
        InvalidStructureError, match=r"structure 0: .*% of the weight of k2 lies outside .* widen the grid"
    ):
        MBTR(("Ag",), (term,)).transform([bulk("Ag")])
    assert MBTR(("Ag",), (term,), max_outside=1.0).transform([bulk("Ag")]).any()


def test_numbers_in_messages_count_through_all_chunks():
    mbtr = MBTR(("Ag", "Pd"), (TERM,))
    with pytest.raises(InvalidStructureError, match="structure 7 holds elements"):
        list(mbtr.stream([bulk("Ag")] * 7 + [bulk("Au")], chunk_size=3))


def test_volume_normalization_of_a_molecule_is_refused():
    mbtr = MBTR(("Ag", "Pd"), (TERM,), normalization="valle_oganov")
    with pytest.raises(InvalidStructureError, match="structure 0 is not periodic in three directions"):
        mbtr.transform([Atoms("Ag2", [[0, 0, 0], [0, 0, 2.5]])])


def test_impossible_correlations_are_refused():
    with pytest.raises(InvalidSettingError, match="hydrogen to lawrencium"):
        pettifor_correlation(("Ag", "Og"))
    with pytest.raises(InvalidSettingError, match="lengths must be positive"):
        periodic_table_correlation(("Ag", "Pd"), group_length=0.0)
    with pytest.raises(InvalidSettingError, match="correlation lengths must hold numbers, found 'long'"):
        pettifor_correlation(("Ag", "Pd"), length="long")


@pytest.mark.parametrize("chunk_size", [0, 1.5, "all", float("nan"), float("inf")])
def test_impossible_chunks_are_refused(chunk_size):
    with pytest.raises(InvalidSettingError, match="chunk_size must be a whole number of at least 1, found"):
        list(MBTR(("Ag",), (TERM,)).stream([bulk("Ag")], chunk_size=chunk_size))


@pytest.mark.parametrize("method", ["transform", "fit_transform", "count"])
def test_what_is_no_collection_of_structures_is_refused(method):
    with pytest.raises(InvalidStructureError, match=r"structures must be a list or another iterable.*found NoneType"):
        getattr(MBTR(("Ag",), (TERM,)), method)(None)


def test_impossible_widths_are_refused():
    counts = MBTR(("Ag",), (TERM,)).count([bulk("Ag")])
    for sigma, match in (
        (0.5, "sigma must map labels to widths, such as {'k2': 0.5}, found 0.5"),
        ({"k2": "wide"}, "sigma of k2 must hold numbers, found 'wide'"),
        ({"k2": float("nan")}, r"sigma of k2 must lie in \[0.25, 1\], found nan"),
        ({"k2": -1.0}, r"sigma of k2 must lie in \[0.25, 1\], found -1.0"),
        ({"k3": 1.0}, r"sigma names unknown terms \['k3'\]"),
    ):
        with pytest.raises(InvalidSettingError, match=match):
            counts.features(sigma)
    with pytest.raises(InvalidSettingError, match=r"sigmas must be a sequence of widths, found 0.5"):
        structure_distances(counts, "k2", 0.5)


def test_every_error_has_the_one_root():
    assert issubclass(InvalidSettingError, HullscoutError)
    assert issubclass(InvalidStructureError, HullscoutError)
