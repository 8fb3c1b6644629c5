"""Energies of different settings in one pool are found, named and refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hullscout.campaign import Setup, read_origin
from hullscout.errors import InvalidPoolError
from hullscout.pool import MixedSettings, WithoutEnergy, build_pool, parse_frames, read_frames
from hullscout.pool.columns import find_setting_conflicts
from hullscout.pool.frames import Frame


def frame(number, energy=-1.0, **columns):
    return Frame(
        number=number,
        id=f"c{number}",
        numbers=np.array([47]),
        positions=np.zeros((1, 3)),
        cell=4.0 * np.eye(3),
        pbc=(True, True, True),
        energy_ev=energy,
        columns=columns,
    )


def conflicts(*stated, energies=None):
    energies = [-1.0] * len(stated) if energies is None else energies
    pairs = enumerate(zip(stated, energies, strict=True), start=1)
    return [str(c) for c in find_setting_conflicts(frame(n, energy, **columns) for n, (columns, energy) in pairs)]


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ([{"xc": "PBE"}, {"functional": "pbe"}, {"XC": "LDA"}], "functional: PBE (2: c1, c2); LDA (1: c3)"),
        ([{"encut": "400"}, {"cutoff": 400.0}, {"ENCUT": "520.0"}], "cutoff (eV): 400 (2: c1, c2); 520 (1: c3)"),
        ([{"ecutwfc": 30}, {"ecutwfc": 60}], "cutoff (Ry): 30 (1: c1); 60 (1: c2)"),
        ([{"hubbard_u_Ag": 0}, {"hubbard_u_Ag": 4.5}], "Hubbard U of Ag (eV): 0 (1: c1); 4.5 (1: c2)"),
        ([{"potential_Ag": "Ag"}, {"potential_ag": "Ag_pv"}], "potential of Ag: Ag (1: c1); Ag_pv (1: c2)"),
        ([{"kspacing": 0.15}, {"kspacing": 0.2}], "k-point spacing (1/A): 0.15 (1: c1); 0.2 (1: c2)"),
        ([{"kppa": 1000}, {"kppa": 2000}], "k-point density: 1000 (1: c1); 2000 (1: c2)"),
        (
            [{"k_spacing": 0.2}, {"k_spacing": 0.39}, {"k_spacing": 0.41}],
            "coarsest k-point spacing (1/A): 0.2 to 0.39 (2: c1, c2); 0.41 (1: c3)",
        ),
        ([{"calculator": "vasp"}, {"code": "gpaw"}], "code: vasp (1: c1); gpaw (1: c2)"),
        ([{"cutoff": "high"}, {"cutoff": 400}], "cutoff (eV): high (1: c1); 400 (1: c2)"),
    ],
)
def test_settings_that_differ_are_named_with_their_ids(stated, expected):
    assert conflicts(*stated) == [expected]


@pytest.mark.parametrize(
    "stated",
    [
        [{"encut": "400"}, {"encut": 400.0000001}],
        [{"xc": "PBE"}, {}],
        [{"xc": "PBE"}, {"xc": "none"}, {"xc": ""}],
        [{"calculator": "unknown"}, {"calculator": "vasp"}],
        [{"k_spacing": 0.2}, {"k_spacing": 0.39}],
        [{"potential_Ag": "Ag"}, {"potential_Pd": "Pd"}],
        [{"note": "a"}, {"note": "b"}],
        [{"excited": 1}, {"excited": 2}],
    ],
)
def test_what_is_equal_unstated_or_no_setting_is_no_conflict(stated):
    assert conflicts(*stated) == []


def test_frames_without_an_energy_are_not_compared():
    assert conflicts({"xc": "PBE"}, {"xc": "LDA"}, energies=[-1.0, None]) == []


def test_several_settings_are_all_named():
    assert [line.split(":")[0] for line in conflicts({"xc": "PBE", "encut": 1}, {"xc": "LDA", "encut": 2})] == [
        "functional",
        "cutoff (eV)",
    ]


@pytest.fixture
def mixed(make_frame):
    text = make_frame("Ag 0 0 0", id="ag", rest="xc=PBE encut=400") + make_frame("Pd 0 0 0", id="pd", rest="xc=PBEsol")
    return parse_frames(text.encode(), path=Path("pool.extxyz"))


def test_a_pool_of_mixed_settings_is_refused(mixed):
    message = (
        "pool.extxyz: expected energies that were all computed with the same settings, found several (number and ids in "
        "brackets):\n  functional: PBE (1: ag); PBEsol (1: pd)\n"
        "Compute them alike, take the odd ones out (`hullscout check ... --write` does), or set "
        "pool.allow_mixed_settings = true, which is --allow-mixed-settings of `hullscout hull`."
    )
    with pytest.raises(InvalidPoolError, match=re.escape(message)):
        build_pool(mixed, ("Ag", "Pd"), without_energy=WithoutEnergy.LEAVE_OUT)


def test_mixed_settings_can_be_allowed_and_are_reported(mixed):
    pool = build_pool(mixed, ("Ag", "Pd"), without_energy=WithoutEnergy.LEAVE_OUT, mixed_settings=MixedSettings.ALLOW)
    line = "Energies of different settings, as allowed: functional: PBE (1: ag); PBEsol (1: pd)."
    assert line in pool.report.lines()


def test_energies_yet_to_be_computed_have_no_settings(mixed):
    dark = replace(mixed, frames=tuple(replace(frame, energy_ev=None) for frame in mixed.frames))
    assert len(build_pool(dark, ("Ag", "Pd"), without_energy=WithoutEnergy.KEEP)) == 2


def test_the_campaign_file_allows_them(campaign_file):
    pool_file = campaign_file.with_name("pool.extxyz")
    text = pool_file.read_text()
    pool_file.write_text(text.replace(" id=", " xc=LDA id=", 1).replace(" id=Pd ", " id=Pd xc=PBE ", 1))
    assert len(find_setting_conflicts(read_frames(pool_file).frames)) == 1
    with pytest.raises(InvalidPoolError, match="functional: "):
        _ = Setup(read_origin(campaign_file)).pool
    pool = Setup(read_origin(campaign_file, ["pool.allow_mixed_settings=true"])).pool
    assert len(pool.report.mixed_settings) == 1
