"""Agreement with DScribe 2.1.2, from golden arrays made by tests/golden/make_dscribe_golden.py."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from hullscout.mbtr import MBTR, Term

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "dscribe_2_1_2.npz")
CASES = json.loads(str(GOLDEN["cases"]))
NORMALIZATIONS = {"none": "none", "l2": "l2", "n_atoms": "per_atom", "valle_oganov": "valle_oganov"}
WEIGHTINGS = {"exp": "exponential", "unity": "unity", "smooth_cutoff": "unity", "inverse_square": "inverse_square"}
ORDER = {"atomic_number": 1, "distance": 2, "inverse_distance": 2, "angle": 3, "cosine": 3}


def golden_structure(name: str) -> Atoms:
    return Atoms(**{field: GOLDEN[f"{name}_{field}"] for field in ("numbers", "positions", "cell", "pbc")})


def our_term(case: dict) -> tuple[Term, float]:
    """Return our term for DScribe's settings, and what its features are multiplied by to be DScribe's (degrees)."""
    k = ORDER[case["geometry"]]
    unit = math.pi / 180 if case["geometry"] == "angle" else 1.0
    grid = case["grid"]
    settings = {}
    if case["weighting"] is not None:
        function = case["weighting"]["function"]
        settings["weighting"] = WEIGHTINGS[function]
        if function == "exp":
            # DScribe leaves out weights below the threshold: paths longer than r_cut (k = 2) or 2 r_cut (k = 3)
            settings["scale"] = -math.log(case["weighting"]["threshold"]) / case["weighting"]["r_cut"] / (k - 1)
        if function == "smooth_cutoff":
            settings["sharpness"] = float(case["weighting"]["sharpness"])
        if function != "unity":
            settings["cutoff"] = case["weighting"]["r_cut"]
            settings["taper"] = "polynomial" if function == "smooth_cutoff" else "sharp"
    term = Term(
        k=k,
        geometry=case["geometry"],
        grid=(grid["min"] * unit, grid["max"] * unit, grid["n"]),
        sigma=grid["sigma"] * unit,
        placement="points",
        **settings,
    )
    return term, 1.0 if case["normalization"] == "l2" else unit


@pytest.mark.parametrize("number", range(len(CASES)))
def test_features_equal_dscribe_in_every_setting_that_both_have(number):
    case = CASES[number]
    expected = GOLDEN[f"features_{number}"]
    term, unit = our_term(case)
    mbtr = MBTR(
        tuple(GOLDEN["species"].tolist()), (term,), normalization=NORMALIZATIONS[case["normalization"]], max_outside=1.0
    )
    found = unit * mbtr.transform([golden_structure(case["structure"])])[0]
    assert np.max(np.abs(found - expected)) <= 1e-8 * np.max(np.abs(expected))
    assert np.max(expected) > 0


def test_golden_file_holds_periodic_and_finite_structures_for_all_orders():
    held = {(case["structure"], ORDER[case["geometry"]]) for case in CASES}
    assert held == {(name, k) for name in ("methanol", "salt", "skewed") for k in (1, 2, 3)}
