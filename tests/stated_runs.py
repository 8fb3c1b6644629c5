"""Structures and energies as outputs of codes state them, read by plain means."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
from stated import Contradiction, close, expect, number, numbers, of, text_of

BOHR, RYDBERG = 0.529177210544, 13.605693122994


SAME_EV_PER_ATOM = 1e-3  # energies of one step of VASP that a reader need not tell apart


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
