"""Structures and energies as formats of structures and of databases state them, read by plain means."""

import gzip
import io
import json
import re
import sqlite3
import struct
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from ase.data import atomic_masses
from ase.geometry import cellpar_to_cell
from pyarrow import parquet as pq
from stated import Contradiction, close, expect, number, numbers, of, real, table, text_of, tree_of

ROUNDED = 1e-3  # in A and as a share: what databases state twice


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
    return images(content)


def parquet(files):
    """A column for each thing, whose pages have checksums."""
    (content,) = files.values()
    try:
        read = pq.ParquetFile(io.BytesIO(content), page_checksum_verification=True).read().to_pylist()
        return [(row["id"], of(row["numbers"], row["cell"], row["positions"], row["energy"])) for row in read]
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise Contradiction(f"no Parquet: {type(error).__name__}: {error}") from error


def images(content):
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
