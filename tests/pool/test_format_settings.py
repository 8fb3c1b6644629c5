"""Energies of different settings are told apart in every format that states the settings."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pool_writers import (
    WRITERS,
    to_atoms,
    vasprun_text,
    write_files,
    write_vaspruns,
)

from hullscout.errors import InvalidPoolError
from hullscout.pool import (
    MixedSettings,
    WithoutEnergy,
    build_pool,
    read_pool,
)

ELEMENTS = ("Ag", "Pd")


def written_mixed(kind, frames, folder):
    """Three pure cells, the last computed otherwise."""
    if kind == "ase":
        from ase.db import connect

        with connect(str(folder / "a.db"), use_lock_file=False) as database:
            for frame, xc in zip(frames, ("PBE", "PBE", "LDA"), strict=True):
                database.write(to_atoms(frame, xc=xc, encut=400 if xc == "PBE" else 520), name=frame.id)
        return folder / "a.db"
    if kind == "entries":
        path = WRITERS["entries.json"](folder, frames)
        tree = json.loads(path.read_text())
        for entry, u in zip(tree, (0.0, 0.0, 3.0), strict=True):
            entry["parameters"] = {
                "hubbards": {"Ag": u},
                "run_type": "GGA+U" if u else "GGA",
                "potcar_symbols": ["PBE Ag"],
            }
        path.write_text(json.dumps(tree))
        return path
    if kind == "files":
        return write_files(
            folder / "f", [replace(f, columns={"xc": xc}) for f, xc in zip(frames, "aab", strict=True)], fmt="cif"
        )
    path = write_vaspruns(folder / "v", frames)
    changes = {
        "vasprun functional": {"gga": "PS"},
        "vasprun cutoff": {"cutoff": 520.0},
        "vasprun U": {"u": {"Ag": 3.0, "Pd": 3.0}},
        "vasprun potential": {"potentials": "PAW_PBE {}_pv 01Jan2000"},
        "vasprun k": {"mesh": "20 20 20"},
    }
    for frame in frames:
        change = changes[kind] if frame is frames[-1] else {}
        (path / frame.id / "vasprun.xml").write_text(vasprun_text(frame, **change))
    return path


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (
            "ase",
            [
                "functional: PBE (2: Ag, AgPd_0002); LDA (1: other)",
                "cutoff (eV): 400 (2: Ag, AgPd_0002); 520 (1: other)",
            ],
        ),
        ("entries", ["functional: GGA (2: Ag, AgPd_0002); GGA+U (1: other)", "Hubbard U of Ag (eV): 0 "]),
        ("files", ["functional: a (2: Ag, AgPd_0002); b (1: other)"]),
        ("vasprun functional", ["functional: PBE (2: Ag, AgPd_0002); PBEsol (1: other)"]),
        ("vasprun cutoff", ["cutoff (eV): 400 (2: Ag, AgPd_0002); 520 (1: other)"]),
        ("vasprun U", ["Hubbard U of Ag (eV): 0 (2: Ag, AgPd_0002); 3 (1: other)"]),
        (
            "vasprun potential",
            ["potential of Ag: PAW_PBE Ag 01Jan2000 (2: Ag, AgPd_0002); PAW_PBE Ag_pv 01Jan2000 (1: other)"],
        ),
        ("vasprun k", ["coarsest k-point spacing (1/A): "]),
    ],
)
def test_mixed_settings_are_refused_in_every_format_that_states_them(kind, named, frames, tmp_path):
    silver, palladium, compound = frames[0], next(f for f in frames if f.id == "Pd"), frames[2]
    other = replace(compound, id="other", cell=1.02 * compound.cell, positions=1.02 * compound.positions)
    read = read_pool(written_mixed(kind, [silver, compound, other], tmp_path))
    with pytest.raises(InvalidPoolError, match="computed with the same settings, found several") as refused:
        build_pool(with_end(read, palladium), ELEMENTS, without_energy=WithoutEnergy.LEAVE_OUT)
    for part in named:
        assert part in str(refused.value)
    allowed = build_pool(
        with_end(read, palladium),
        ELEMENTS,
        without_energy=WithoutEnergy.LEAVE_OUT,
        mixed_settings=MixedSettings.ALLOW,
    )
    assert "other" in allowed.ids


def with_end(frames, end):
    """Frames and one more, that states no settings."""
    return replace(frames, frames=(*frames.frames, replace(end, number=99, columns={})))
