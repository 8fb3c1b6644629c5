"""What a file states of structures and energies: what every judge of files shares, beside the readers that are judged."""

import csv
import io
import json
import math
import re
from typing import NamedTuple

import numpy as np
from ase.data import atomic_numbers

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


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


def table(content):
    lines = list(csv.reader(io.StringIO(text_of(content)), strict=True))
    expect(lines and lines[0], "a table")
    header, rows = lines[0], [row for row in lines[1:] if any(map(str.strip, row))]
    expect(len(set(header)) == len(header), "each column once")
    expect(all(len(row) == len(header) for row in rows), "as many fields as names")
    return [dict(zip(header, map(str.strip, row), strict=True)) for row in rows]


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
