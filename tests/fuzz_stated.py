"""What a file states, read by plain means that share nothing with the readers: the judge of what `fuzz.py` sees them take.

Each format is read as strictly as it was written. What is not understood, and what the file states twice in different ways, is a
`Contradiction`: nothing that differs from the sound file may be taken then without a word.
"""

import csv
import gzip
import io
import itertools
import json
import math
import re
import sqlite3
import struct
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.data import atomic_masses, atomic_numbers
from ase.geometry import cellpar_to_cell

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
BOHR, RYDBERG = 0.529177210544, 13.605693122994
ROUNDED = 1e-3  # in A and as a share: what databases state twice
SAME_EV_PER_ATOM = 1e-3  # energies of one step of VASP that a reader need not tell apart


class Contradiction(Exception):  # noqa: N818  it is what is found, and no error of ours
    """A file states something twice in different ways, or what is not understood."""


class Stated(NamedTuple):
    """A structure: atomic numbers, row vectors in A, fractions, and the energy in eV or None."""

    numbers: tuple[int, ...]
    cell: np.ndarray
    fractions: np.ndarray
    energy: float | None

    def differs(self, other):
        """In what it differs from another, in words; empty where it is the same crystal with the same energy."""
        if sorted(self.numbers) != sorted(other.numbers):
            return f"atoms {self.numbers} and {other.numbers}"
        metrics = [one.cell @ one.cell.T for one in (self, other)]
        if not np.allclose(*metrics, rtol=1e-5, atol=1e-4):
            return f"cells {self.cell.tolist()} and {other.cell.tolist()}"
        if not self._same_places(other):
            return f"fractions {self.fractions.tolist()} and {other.fractions.tolist()}"
        if (self.energy is None) != (other.energy is None):
            return f"energies {self.energy} and {other.energy}"
        if self.energy is not None and not math.isclose(self.energy, other.energy, rel_tol=1e-6, abs_tol=1e-6):
            return f"energies {self.energy} and {other.energy}"
        return ""

    def _same_places(self, other):
        left = list(range(len(self.numbers)))
        for z, place in zip(self.numbers, self.fractions, strict=True):
            fits = (
                i
                for i in left
                if other.numbers[i] == z and np.abs((d := place - other.fractions[i]) - np.round(d)).max() < 2e-5
            )
            found = next(fits, None)
            if found is None:
                return False
            left.remove(found)
        return True


def of(symbols, cell, places, energy, *, cartesian=True):
    """A structure by symbols or atomic numbers, from numbers that are all finite."""
    try:
        numbers = tuple(atomic_numbers[s] if isinstance(s, str) else int(s) for s in symbols)
        cell, places = np.array(cell, float).reshape(3, 3), np.array(places, float).reshape(-1, 3)
        fractions = places @ np.linalg.inv(cell) if cartesian else places
    except (KeyError, ValueError, TypeError, np.linalg.LinAlgError) as error:
        raise Contradiction(f"no structure: {error}") from error
    expect(len(numbers) == len(fractions) > 0, "as many places as atoms")
    expect(np.isfinite(cell).all() and np.isfinite(fractions).all(), "finite coordinates")
    expect(energy is None or math.isfinite(energy), "a finite energy")
    return Stated(numbers, cell, fractions, energy)


def expect(holds, what):
    if not holds:
        raise Contradiction(f"expected {what}")


def number(text):
    expect(isinstance(text, str) and NUMBER.fullmatch(text.strip()), f"a number, found {text!r}")
    value = float(text)
    expect(math.isfinite(value), f"a finite number, found {text!r}")
    return value


def numbers(text, n):
    words = text.split()
    expect(len(words) == n, f"{n} numbers, found {text!r}")
    return [number(word) for word in words]


def close(one, other, what, atol=1e-5, rtol=1e-5):
    try:
        same = np.shape(one) == np.shape(other) and np.allclose(one, other, rtol=rtol, atol=atol)
    except (TypeError, ValueError):
        same = False
    expect(same, f"{what}: {one} and {other}")


def text_of(content):
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # as readers take it, and say so of no text


def extxyz(files):
    ((name, content),) = files.items()
    if name.endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, ValueError, struct.error) as error:
            raise Contradiction(f"damaged: {error}") from error
        except Exception as error:  # zlib.error
            raise Contradiction(f"damaged: {error}") from error
    lines = text_of(content).replace("\r\n", "\n").rstrip("\n ").split("\n")
    found, place = [], 0
    while place < len(lines):
        expect(re.fullmatch(r"\s*[0-9]{1,4}\s*", lines[place]), f"a count, found {lines[place]!r}")
        n = int(lines[place])
        expect(n > 0 and place + 2 + n <= len(lines), "a whole frame")
        found.append(_frame(lines[place + 1], lines[place + 2 : place + 2 + n]))
        place += 2 + n
    return found


def _frame(comment, rows):
    pair = re.compile(r'([A-Za-z_][\w.+-]*)=(?:"([^"]*)"|([^\s"]+))(?=\s|$)')
    pairs = [(m[1], m[3] if m[2] is None else m[2]) for m in pair.finditer(comment)]
    expect(not pair.sub("", comment).strip(), f"pairs, found {comment!r}")
    said = dict(pairs)
    expect(len(said) == len(pairs), "each key once")
    expect(said.get("Properties") == "species:S:1:pos:R:3", "Properties")
    expect(re.fullmatch(r"[TF] [TF] [TF]", said.get("pbc", "T T T")), "pbc")
    words = [row.split() for row in rows]
    expect(all(len(row) == 4 for row in words), "four columns")
    places = [[number(word) for word in row[1:]] for row in words]
    energy = number(said["energy"]) if "energy" in said else None
    cell = numbers(said.get("Lattice", ""), 9)
    return said.get("id", ""), of([row[0] for row in words], cell, places, energy)


def table(content):
    lines = list(csv.reader(io.StringIO(text_of(content)), strict=True))
    expect(lines and lines[0], "a table")
    header, rows = lines[0], [row for row in lines[1:] if any(map(str.strip, row))]
    expect(len(set(header)) == len(header), "each column once")
    expect(all(len(row) == len(header) for row in rows), "as many fields as names")
    return [dict(zip(header, map(str.strip, row), strict=True)) for row in rows]


def folder_of_files(files):
    files = {Path(name).name: content for name, content in files.items()}
    expect("energies.csv" in files, "a table")
    rows = table(files.pop("energies.csv"))
    expect(rows and set(rows[0]) == {"id", "file", "energy"}, "three columns")
    named = [row["file"] for row in rows]
    expect(len(set(named)) == len(named) and set(named) <= set(files), "a row for each file")
    found = [
        (row["id"], _file(row["file"], files[row["file"]], number(row["energy"]) if row["energy"] else None))
        for row in rows
    ]
    return found + [(Path(name).stem, _file(name, files[name], None)) for name in files if name not in named]


def _file(name, content, energy):
    return cif(text_of(content), energy) if name.endswith(".cif") else poscar(text_of(content).split("\n"), energy)


def poscar(lines, energy):
    expect(len(lines) > 7, "a POSCAR")
    scale = number(lines[1])
    expect(scale > 0, "a scale")
    cell = [numbers(line, 3) for line in lines[2:5]]
    expect(re.fullmatch(r"[\d ]+", lines[6]), "counts")
    names, counts = lines[5].split(), [int(word) for word in lines[6].split()]
    expect(len(names) == len(counts) and lines[7] in {"direct", "cartesian"}, "symbols, counts, direct")
    symbols = [s for s, n in zip(names, counts, strict=True) for _ in range(n)]
    rows = [line.split() for line in lines[8 : 8 + len(symbols)]]
    expect(all(len(row) == 4 for row in rows), "three numbers and a symbol")
    expect([row[3] for row in rows] == symbols, "the symbols above")
    expect(not "".join(lines[8 + len(symbols) :]).strip(), "nothing behind")
    places = [[number(word) for word in row[:3]] for row in rows]
    return of(symbols, scale * np.array(cell), places, energy, cartesian=lines[7] != "direct")


def poscars(files):
    files = {Path(name).name: content for name, content in files.items()}
    expect(set(files) == {"POSCARS", "energies.csv"}, "two files")
    rows = table(files["energies.csv"])
    energies = {row["id"]: number(row["energy"]) if row["energy"] else None for row in rows}
    expect(len(energies) == len(rows), "each id once")
    lines = text_of(files["POSCARS"]).rstrip("\n").split("\n")
    found, place = [], 0
    while place < len(lines):
        expect(place + 7 < len(lines) and re.fullmatch(r"[\d ]+", lines[place + 6]), "counts")
        stop = place + 8 + sum(map(int, lines[place + 6].split()))
        found.append((lines[place].split()[0], poscar(lines[place:stop], energies.pop(lines[place].split()[0], None))))
        place = stop
    expect(not energies, "a structure for each energy")
    return found


def cif(text, energy):
    said = dict(re.findall(r"(?m)^(_\w+) +(\S.*)$", text))
    keys = re.findall(r"(?m)^ *(_\w+)", text)
    expect(len(set(keys)) == len(keys), "each key once")
    lengths = [number(said.get(f"_cell_length_{name}", "")) for name in "abc"]
    angles = [number(said.get(f"_cell_angle_{name}", "")) for name in ("alpha", "beta", "gamma")]
    names = re.findall(r"(?m)^ *(_atom_site_\w+)", text)
    expect(said.get("_symmetry_Int_Tables_number", "1") == "1", "no symmetry")
    expect(re.findall(r"(?m)^ *1 +'(.*)'", text) == ["x, y, z"], "no symmetry")
    wanted = ("type_symbol", "label", "symmetry_multiplicity", "fract_x", "fract_y", "fract_z", "occupancy")
    expect(
        names == [f"_atom_site_{name}" for name in wanted],
        names,
    )
    rows = [line.split() for line in text.split(names[-1])[-1].strip().split("\n")]
    expect(all(len(row) == len(wanted) for row in rows), "seven columns")
    expect(all(row[2] == "1" and number(row[6]) == 1 for row in rows), "whole atoms")
    symbols = [row[0] for row in rows]
    cell = cellpar_to_cell(lengths + angles)
    close(number(said.get("_cell_volume", "")), abs(np.linalg.det(cell)), "volume", atol=1e-3)
    parts = re.findall(r"([A-Z][a-z]?)(\d*)", said.get("_chemical_formula_sum", "").strip("'"))
    formula = {symbol: int(n or 1) for symbol, n in parts}
    expect(formula == {symbol: symbols.count(symbol) for symbol in symbols}, "the atoms of the formula")
    return of(symbols, cell, [[number(word) for word in row[3:6]] for row in rows], energy, cartesian=False)


def tree_of(content):
    def once(pairs):
        expect(len(dict(pairs)) == len(pairs), "each key once")
        return dict(pairs)

    try:
        return json.loads(text_of(content), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise Contradiction(f"no JSON: {error}") from error


def real(value):
    expect(isinstance(value, int | float) and not isinstance(value, bool), f"a number, found {value!r}")
    expect(math.isfinite(value), f"a finite number, found {value!r}")
    return float(value)


def documents(files):
    """Entries and documents: of pymatgen, Alexandria, the Materials Project and JARVIS."""
    (content,) = files.values()
    tree = tree_of(content)
    try:
        if isinstance(tree, dict):
            expect(set(tree) == {"entries"}, "a list")
            tree = tree["entries"]
        return [_document(entry) for entry in tree]
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise Contradiction(f"another form: {type(error).__name__}: {error}") from error


def _document(entry):
    if "jid" in entry:
        atoms = entry["atoms"]
        cell = np.array(atoms["lattice_mat"], float)
        close(atoms["abc"], np.linalg.norm(cell, axis=1), "lengths", atol=ROUNDED, rtol=ROUNDED)
        expect(
            atoms["cartesian"] is False and entry.get("nat", len(atoms["elements"])) == len(atoms["elements"]),
            "as many atoms",
        )
        energy = real(entry["optb88vdw_total_energy"]) * len(atoms["elements"])
        _formula(entry["formula"], atoms["elements"])
        return entry["jid"], of(atoms["elements"], cell, atoms["coords"], energy, cartesian=False)
    symbols, cell, fractions = _pymatgen(entry["structure"])
    if "material_id" in entry:
        expect(entry["nsites"] == len(symbols), "as many atoms")
        close(entry["volume"], abs(np.linalg.det(cell)), "volume", atol=ROUNDED, rtol=ROUNDED)
        _formula(entry["formula_pretty"], symbols)
        energy = real(entry["energy_per_atom"]) * len(symbols)
        return entry["material_id"], of(symbols, cell, fractions, energy, cartesian=False)
    expect({symbol: symbols.count(symbol) for symbol in symbols} == entry["composition"], "the composition")
    expect(not entry["energy_adjustments"] and not entry.get("correction"), "no corrections")
    energy = None if entry["energy"] is None else real(entry["energy"])
    return entry["entry_id"] or entry["data"]["mat_id"], of(symbols, cell, fractions, energy, cartesian=False)


def _formula(formula, symbols):
    parts = {s: int(n or 1) for s, n in re.findall(r"([A-Z][a-z]?)(\d*)", formula)}
    expect("".join(f"{s}{n if n > 1 else ''}" for s, n in parts.items()) == formula, "a formula")
    counts = {s: symbols.count(s) for s in symbols}
    expect(set(parts) == set(counts) and len({counts[s] / parts[s] for s in parts}) == 1, "the atoms of the formula")


def _pymatgen(structure):
    lattice = structure["lattice"]
    cell = np.array(lattice["matrix"], float)
    close([lattice[name] for name in "abc"], np.linalg.norm(cell, axis=1), "lengths", atol=ROUNDED, rtol=ROUNDED)
    close(lattice["volume"], abs(np.linalg.det(cell)), "volume", atol=ROUNDED, rtol=ROUNDED)
    symbols, fractions = [], []
    for site in structure["sites"]:
        ((species,),) = (site["species"],)
        expect(species["occu"] == 1, "whole atoms")
        symbols.append(species["element"])
        fractions.append([real(value) for value in site["abc"]])
        close(np.array(fractions[-1]) @ cell, site["xyz"], "places", atol=ROUNDED, rtol=ROUNDED)
    return symbols, cell, np.array(fractions)


def ase_json(files):
    (content,) = files.values()
    tree = tree_of(content)
    try:
        ids = tree["ids"]
        rows = [tree[str(place)] for place in ids]
        expect(set(tree) == {"ids", "nextid", *map(str, ids)} and len(ids) == len(rows) == len(set(ids)), "rows")
        names = [str(row.get("key_value_pairs", {}).get("name", "")) for row in rows]
        if not all(names) or len(set(names)) < len(names):
            names = [f"row-{place}" for place in ids]
        found = [(name, _row(row)) for name, row in sorted(zip(names, rows, strict=True), key=lambda pair: pair[0])]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Contradiction(f"another form: {type(error).__name__}: {error}") from error
    return found


def _row(row):
    arrays = {}
    for name in ("numbers", "positions", "cell"):
        value = row[name].get("array", row[name]) if isinstance(row[name], dict) else row[name]
        if isinstance(value, dict):
            shape, _, flat = value["__ndarray__"]
            value = np.array([real(one) for one in flat]).reshape(shape)
        arrays[name] = value
    expect(row.get("pbc", [True] * 3) is not None, "pbc")
    energy = None if row.get("energy") is None else real(row["energy"])
    return of(list(arrays["numbers"]), arrays["cell"], arrays["positions"], energy)


def ase_db(files):
    (content,) = files.values()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.db"
        path.write_bytes(content)
        try:
            with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as database:
                expect(database.execute("PRAGMA integrity_check").fetchone()[0] == "ok", "a whole database")
                rows = database.execute(
                    "SELECT numbers, positions, cell, energy, natoms, volume, mass, key_value_pairs, typeof(energy), id, pbc "
                    "FROM systems ORDER BY id"
                ).fetchall()
                words = dict(database.execute("SELECT id, value FROM text_key_values WHERE key = 'name'"))
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise Contradiction(f"no database: {error}") from error
    found = []
    try:
        for z, places, cell, energy, n, volume, mass, pairs, kind, place, _ in rows:
            atomic = np.frombuffer(z, "<i4")
            stated = of(atomic.tolist(), np.frombuffer(cell, "<f8"), np.frombuffer(places, "<f8"), energy)
            expect(kind in {"real", "integer", "null"} and n == len(atomic), "as many atoms")
            expect((atomic > 0).all(), "elements")
            close(volume, abs(np.linalg.det(stated.cell)), "volume")
            close(mass, atomic_masses[atomic].sum(), "mass")
            name = json.loads(pairs)["name"]
            expect(words.get(place) == name, "one name")
            found.append((name, stated))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise Contradiction(f"another form: {type(error).__name__}: {error}") from error
    return found


def traj(files):
    (content,) = files.values()
    return _images(content)


def _images(content):
    """The images of ASE's trajectory: JSON with arrays elsewhere in the file."""
    try:
        expect(content[:24] == b"- of UlmASE-Trajectory  ", "a trajectory")
        _, n, start = struct.unpack_from("<3q", content, 24)
        found, shared = [], {}
        for offset in struct.unpack_from(f"<{n}q", content, start):
            (size,) = struct.unpack_from("<q", content, offset)
            tree = tree_of(content[offset + 8 : offset + 8 + size])
            shared = {**shared, **{key: value for key, value in tree.items() if key in {"numbers.", "pbc.", "cell"}}}
            tree = {**shared, **tree}
            arrays = {key: _array(content, tree[key]) for key in ("numbers.", "positions.")}
            energy = tree.get("calculator.", {}).get("energy")
            info = tree.get("info", {})
            info = json.loads(info) if isinstance(info, str) else info
            found.append((info["id"], of(arrays["numbers."].tolist(), tree["cell"], arrays["positions."], energy)))
    except (struct.error, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise Contradiction(f"no trajectory: {type(error).__name__}: {error}") from error
    return found


def _array(content, stated):
    shape, kind, offset = stated["ndarray"]
    return np.frombuffer(content, kind, int(np.prod(shape)), offset).reshape(shape)


def tree(read, name, beside=()):
    """A reader of folders that each hold a file of this name, named as they are; others beside it are read by theirs."""

    def read_all(files):
        readers = {name: read, **dict(beside)}
        expect(all(Path(path).name in readers for path in files), "known files")
        return [
            (Path(path).parent.relative_to("pool").as_posix(), readers[Path(path).name](text_of(content)))
            for path, content in files.items()
        ]

    return read_all


def vasprun(text):
    try:
        root = ET.fromstring(text)  # noqa: S314  we made it
    except (ET.ParseError, ValueError) as error:
        raise Contradiction(f"no XML: {error}") from error
    expect(root.tag == "modeling" and len(root.findall("calculation")) == 1, "one step")
    step = root.find("calculation")
    try:
        symbols = [row.find("c").text.strip() for row in root.find("atominfo/array[@name='atoms']/set")]
        types = [[c.text.strip() for c in row] for row in root.find("atominfo/array[@name='atomtypes']/set")]
        expect(
            {row[1]: int(row[0]) for row in types} == {s: symbols.count(s) for s in symbols}, "the atoms of the types"
        )
        expect(int(root.find("atominfo/atoms").text) == len(symbols), "as many atoms")
        ends = [step.find("structure"), *root.findall("structure")]
        structures = [_xml_structure(node, symbols) for node in ends]
        stated = [
            {i.get("name"): number(i.text) for i in node.findall("i")}
            for node in (step.find("energy"), step.findall("scstep")[-1].find("energy"))
        ]
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise Contradiction(f"another form: {type(error).__name__}: {error}") from error
    expect(len(structures) == 3, "three structures")
    for other in structures[1:]:
        expect(not structures[0].differs(other), "one structure")
    wanted = {"e_fr_energy", "e_wo_entrp", "e_0_energy"}
    expect(all(wanted <= set(energies) for energies in stated), "three energies")
    values = [energies[key] for energies in stated for key in sorted(wanted)]
    expect(np.ptp(values) <= SAME_EV_PER_ATOM * len(symbols), f"one energy, found {values}")
    energy = stated[0]["e_fr_energy"] + stated[1]["e_0_energy"] - stated[1]["e_fr_energy"]
    return structures[0]._replace(energy=energy)


def _xml_structure(node, symbols):
    cell, recip, places = (
        [numbers(v.text, 3) for v in node.find(path)]
        for path in (
            "crystal/varray[@name='basis']",
            "crystal/varray[@name='rec_basis']",
            "varray[@name='positions']",
        )
    )
    close(number(node.find("crystal/i[@name='volume']").text), abs(np.linalg.det(cell)), "volume")
    found = of(symbols, cell, places, None, cartesian=False)
    close(np.array(cell) @ np.array(recip).T, np.eye(3), "reciprocal vectors")
    return found


def outcar(text):
    counts = re.findall(r"ions per type =((?: +\d+)+) *\n", text)
    titles = list(dict.fromkeys(re.findall(r"POTCAR: +\S+ (\w+?)(?:_\w+)? ", text)))
    expect(len(counts) == 1 and len(titles) == len(counts[0].split()), "types")
    symbols = [s for s, n in zip(titles, counts[0].split(), strict=True) for _ in range(int(n))]
    expect(set(re.findall(r"NIONS = +(\d+)", text)) == {str(len(symbols))}, "as many atoms")
    vectors = re.findall(r"direct lattice vectors .*\n((?:.*\n){3})", text)
    cells = [[numbers(line[:45], 3) for line in block.rstrip("\n").split("\n")] for block in vectors]
    volumes = [number(value) for value in re.findall(r"volume of cell : +(\S+)", text)]
    expect(cells and volumes, "a cell")
    for cell in cells:
        close(cell, cells[-1], "cells")
    for volume in volumes:
        close(volume, abs(np.linalg.det(cells[-1])), "volume", atol=0.02)
    blocks = re.findall(r"POSITION +TOTAL-FORCE \(eV/Angst\)\n -+\n((?:.*\n)*?) -+\n", text)
    expect(len(blocks) == 1, "one block of positions")
    places = [numbers(line, 6)[:3] for line in blocks[0].rstrip("\n").split("\n")]
    last = re.findall(r"energy  without entropy= +(\S+)  energy\(sigma->0\) = +(\S+)", text)
    loop = re.findall(r"energy without entropy = +(\S+)  energy\(sigma->0\) = +(\S+)", text)
    free = re.findall(r"free  energy   TOTEN  = +(\S+) eV", text)
    expect(len(last) == 1 and loop and len(free) == 1, "energies")
    values = [number(last[0][1]), number(loop[-1][1])]
    expect(np.ptp(values) <= SAME_EV_PER_ATOM * len(symbols), f"one energy, found {values}")
    return of(symbols, cells[-1], places, values[0])


def pw(text):
    def one(pattern):
        found = re.findall(pattern, text)
        expect(len(found) == 1, f"{pattern} once, found {found}")
        return found[0]

    alat, again = number(one(r"lattice parameter \(alat\) += +(\S+) ")), number(one(r"celldm\(1\)= +(\S+) "))
    close(alat, again, "alat", atol=1e-3)
    axes = [numbers(one(rf"\n +a\({i}\) = \( +(.*?) \) *\n"), 3) for i in (1, 2, 3)]
    sites = re.findall(r"(?m)^ +(\d+) +(\S+) +tau\( +(\d+)\) = \((.*)\) *$", text)
    n = int(number(one(r"number of atoms/cell += +(\S+)\n")))
    expect([int(site[0]) for site in sites] == [int(site[2]) for site in sites] == list(range(1, n + 1)), "sites")
    volume = number(one(r"unit-cell volume += +(\S+) "))
    close(volume, alat**3 * abs(np.linalg.det(axes)), "volume", atol=0.05)
    places = [numbers(site[3], 3) for site in sites]
    energy = number(one(r"\n! +total energy += +(\S+) Ry *\n")) * RYDBERG
    expect("convergence has been achieved" in text and "JOB DONE." in text, "an end")
    scale = again * BOHR
    return of([site[1] for site in sites], scale * np.array(axes), scale * np.array(places), energy)


def atat(files):
    found = []
    for folder in sorted({str(Path(name).parent) for name in files}):
        texts = {
            name: text_of(files[f"{folder}/{name}"])
            for name in ("str.out", "energy", "str_relax.out")
            if f"{folder}/{name}" in files
        }
        if "str.out" not in texts:
            expect(not texts, "str.out")
            continue
        start = _atat_structure(texts["str.out"])
        relaxed = _atat_structure(texts["str_relax.out"]) if "str_relax.out" in texts else start
        expect(sorted(start.numbers) == sorted(relaxed.numbers), "the same atoms")
        energy = number(texts["energy"]) if "energy" in texts else None
        found.append((Path(folder).name, relaxed._replace(energy=energy)))
    return found


def _atat_structure(text):
    lines = [line for line in text.split("\n") if line.strip()]
    expect(len(lines) > 6, "a structure")
    axes, cell = (np.array([numbers(line, 3) for line in part]) for part in (lines[:3], lines[3:6]))
    rows = [line.split() for line in lines[6:]]
    expect(all(len(row) == 4 for row in rows), "three numbers and a symbol")
    places = np.array([[number(word) for word in row[:3]] for row in rows])
    return of([row[3] for row in rows], cell @ axes, places @ axes, None)


POOLS = {
    "extxyz": extxyz,
    "extxyz.gz": extxyz,
    "db": ase_db,
    "json": ase_json,
    "traj": traj,
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
    images = extxyz({kind: content}) if kind.endswith("xyz") else _images(content)
    expect(len(images) == 1 and images[0][1].energy is not None, "one structure with an energy")
    return images[0][1]
