"""What a file states, read by plain means that share nothing with the readers: the judge of what `fuzz.py` sees them take.

Each format is read as strictly as it was written. What is not understood, and what the file states twice in different ways, is a
`Contradiction`: nothing that differs from the sound file may be taken then without a word.
"""

import itertools
from pathlib import Path

from stated import expect, number, table, text_of, tree_of
from stated_runs import atat, outcar, pw, tree, vasprun
from stated_structures import ase_db, ase_json, documents, extxyz, folder_of_files, images, parquet, poscars, traj

POOLS = {
    "extxyz": extxyz,
    "extxyz.gz": extxyz,
    "db": ase_db,
    "json": ase_json,
    "traj": traj,
    "parquet": parquet,
    "entries": documents,
    "alexandria": documents,
    "mp": documents,
    "jarvis": documents,
    "poscar": folder_of_files,
    "cif": folder_of_files,
    "poscars": poscars,
    "vasprun": tree(vasprun, "vasprun.xml"),
    "outcar": tree(outcar, "OUTCAR", [("vasprun.xml", vasprun)]),
    "pw": tree(pw, "pw.out"),
    "atat": atat,
}
"""What a pool states: a list of ids with their structures."""


def told(files):
    """What results state by id: an energy in eV, or None for a failure."""
    if "results.csv" in files:
        rows = table(files["results.csv"])
        if not rows:
            return []
        expect("id" in rows[0], "a column id")  # columns that mean nothing are passed over, and said
        filled = [row for row in rows if row.get("energy_ev") or row.get("failed")]
        expect(all(bool(row.get("energy_ev")) != bool(row.get("failed")) for row in filled), "one of two")
        found = [(row["id"], number(row["energy_ev"]) if row.get("energy_ev") else None) for row in filled]
        for row in filled:
            expect(not row.get("wall_s") or number(row["wall_s"]) >= 0, "a time")
        return found
    found = []
    for folder, names in itertools.groupby(sorted(files), key=lambda name: str(Path(name).parent)):
        inside = {Path(name).name: files[name] for name in names}
        name = Path(folder).name
        n_atoms = formula = None
        if "manifest.json" in inside:
            said = tree_of(inside.pop("manifest.json"))
            expect(isinstance(said, dict) and {"id", "n_atoms", "formula"} <= set(said), "a manifest")
            name, n_atoms, formula = said["id"], said["n_atoms"], said["formula"]
        if not inside:
            continue
        ((kind, content),) = inside.items()
        if kind == "FAILED":
            found.append((name, None))
            continue
        stated = _result(kind, content)
        expect(
            n_atoms in {None, len(stated.numbers)} and (formula is None or isinstance(formula, str)),
            "the atoms of the manifest",
        )
        found.append((name, stated.energy))
    return found


def _result(kind, content):
    if kind == "vasprun.xml":
        return vasprun(text_of(content))
    if kind == "OUTCAR":
        return outcar(text_of(content))
    if kind == "pw.out":
        return pw(text_of(content))
    found = extxyz({kind: content}) if kind.endswith("xyz") else images(content)
    expect(len(found) == 1 and found[0][1].energy is not None, "one structure with an energy")
    return found[0][1]
