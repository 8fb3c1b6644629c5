"""Compiled searches for neighbours: plain arrays in and out, of many structures at a time.

Each finds the neighbours of atoms `first` to `last` of all atoms, one atom after the other, and writes them one after the other. It
ends before the atom whose neighbours there is no room for, and says which one that is; where there is no room at all, it counts
them only. Loops over three directions are written out, and nothing is called: compiling takes a second, not ten.
"""
# mypy: disable-error-code="untyped-decorator"

import math

from hullscout.compiling import njit


@njit(cache=True, nogil=True)
def find_by_images(first, last, search, radii, output, stopped):  # type: ignore[no-untyped-def]  # noqa: C901 - one loop nest
    """Search all images of all atoms that a radius can reach; return the atom before which it ended.

    Args:
        first: The first atom.
        last: One past the last atom.
        search: As `neighbors.Search` has it.
        radii: Of each structure, A, inclusive; shape (n,).
        output: (1) The number of neighbours of each atom from the first on, shape (>= last - first,); (2) the shortest squared
            distance of each, A^2, infinite where there is none; (3) the atom that each neighbour is or is an image of, shape
            (room,); (4) the vectors to the neighbours, A, shape (room, 3).
        stopped: Whether to stop, shape (1,): looked at before each atom, and set from outside; what was written does not matter
            then.
    """
    offsets, owners, positions, pbc, lattices, inverses, heights = search
    counts, closest, others, vectors = output
    room, place = others.shape[0], 0
    for center in range(first, last):
        if stopped[0]:
            return last
        s = owners[center]
        ax, ay, az = lattices[s, 0, 0], lattices[s, 0, 1], lattices[s, 0, 2]
        bx, by, bz = lattices[s, 1, 0], lattices[s, 1, 1], lattices[s, 1, 2]
        cx, cy, cz = lattices[s, 2, 0], lattices[s, 2, 1], lattices[s, 2, 2]
        span_a = radii[s] / heights[s, 0] + 1e-9
        span_b = radii[s] / heights[s, 1] + 1e-9
        span_c = radii[s] / heights[s, 2] + 1e-9
        found, shortest, square_radius = 0, math.inf, radii[s] * radii[s]
        for other in range(offsets[s], offsets[s + 1]):
            dx = positions[other, 0] - positions[center, 0]
            dy = positions[other, 1] - positions[center, 1]
            dz = positions[other, 2] - positions[center, 2]
            low_a = high_a = low_b = high_b = low_c = high_c = 0
            if pbc[s, 0]:
                f = dx * inverses[s, 0, 0] + dy * inverses[s, 1, 0] + dz * inverses[s, 2, 0]
                low_a, high_a = math.ceil(-span_a - f), math.floor(span_a - f)
            if pbc[s, 1]:
                f = dx * inverses[s, 0, 1] + dy * inverses[s, 1, 1] + dz * inverses[s, 2, 1]
                low_b, high_b = math.ceil(-span_b - f), math.floor(span_b - f)
            if pbc[s, 2]:
                f = dx * inverses[s, 0, 2] + dy * inverses[s, 1, 2] + dz * inverses[s, 2, 2]
                low_c, high_c = math.ceil(-span_c - f), math.floor(span_c - f)
            for a in range(low_a, high_a + 1):
                ux, uy, uz = dx + a * ax, dy + a * ay, dz + a * az
                for b in range(low_b, high_b + 1):
                    vx, vy, vz = ux + b * bx, uy + b * by, uz + b * bz
                    for c in range(low_c, high_c + 1):
                        if other == center and a == 0 and b == 0 and c == 0:
                            continue
                        x, y, z = vx + c * cx, vy + c * cy, vz + c * cz
                        square = x * x + y * y + z * z
                        if square <= square_radius:
                            if place + found < room:
                                vectors[place + found, 0] = x
                                vectors[place + found, 1] = y
                                vectors[place + found, 2] = z
                                others[place + found] = other
                            found += 1
                            shortest = min(shortest, square)
        counts[center - first] = found
        closest[center - first] = shortest
        if room > 0:
            if place + found > room:
                return center
            place += found
    return last


@njit(cache=True, nogil=True)
def find_by_bins(first, last, search, radii, bins_of, output, stopped):  # type: ignore[no-untyped-def]  # noqa: C901 - one loop nest
    """Search one structure, that of the first atom, by a list of its atoms: `neighbors.Bins`; the rest as in find_by_images."""
    offsets, owners, positions, periodic, lattices, _, _ = search
    n_bins, reach, bins, starts, members = bins_of
    counts, closest, others, vectors = output
    s = owners[first]
    offset, radius, pbc, lattice = offsets[s], radii[s], periodic[s], lattices[s]
    room, place = others.shape[0], 0
    for center in range(first, last):
        if stopped[0]:
            return last
        h0, h1, h2 = bins[center - offset, 0], bins[center - offset, 1], bins[center - offset, 2]
        low0, high0, low1, high1, low2, high2 = -reach[0], reach[0], -reach[1], reach[1], -reach[2], reach[2]
        if not pbc[0]:
            low0, high0 = max(low0, -h0), min(high0, n_bins[0] - 1 - h0)
        if not pbc[1]:
            low1, high1 = max(low1, -h1), min(high1, n_bins[1] - 1 - h1)
        if not pbc[2]:
            low2, high2 = max(low2, -h2), min(high2, n_bins[2] - 1 - h2)
        found, shortest, square_radius = 0, math.inf, radius * radius
        for o0 in range(low0, high0 + 1):
            row = (h0 + o0) % n_bins[0] * n_bins[1]
            for o1 in range(low1, high1 + 1):
                column = (row + (h1 + o1) % n_bins[1]) * n_bins[2]
                for o2 in range(low2, high2 + 1):
                    number = column + (h2 + o2) % n_bins[2]
                    for m in range(starts[number], starts[number + 1]):
                        other = members[m]
                        # Exact: the bins are the same but for images.
                        a = (h0 + o0 - bins[other, 0]) // n_bins[0]
                        b = (h1 + o1 - bins[other, 1]) // n_bins[1]
                        c = (h2 + o2 - bins[other, 2]) // n_bins[2]
                        other += offset
                        if other == center and a == 0 and b == 0 and c == 0:
                            continue
                        x = positions[other, 0] - positions[center, 0]
                        y = positions[other, 1] - positions[center, 1]
                        z = positions[other, 2] - positions[center, 2]
                        x += a * lattice[0, 0] + b * lattice[1, 0] + c * lattice[2, 0]
                        y += a * lattice[0, 1] + b * lattice[1, 1] + c * lattice[2, 1]
                        z += a * lattice[0, 2] + b * lattice[1, 2] + c * lattice[2, 2]
                        square = x * x + y * y + z * z
                        if square <= square_radius:
                            if place + found < room:
                                vectors[place + found, 0] = x
                                vectors[place + found, 1] = y
                                vectors[place + found, 2] = z
                                others[place + found] = other
                            found += 1
                            shortest = min(shortest, square)
        counts[center - first] = found
        closest[center - first] = shortest
        if room > 0:
            if place + found > room:
                return center
            place += found
    return last


@njit(cache=True, nogil=True)
def note_nearest(first, last, starts, others, vectors, kinds, nearest):  # type: ignore[no-untyped-def]
    """Write the squared distances of the nearest neighbours of each kind, ascending, into nearest (n_atoms, n_kinds, n_nearest).

    Neighbours are those of atoms `first` to `last`, as `neighbors.Found` has them; of each atom is its kind (n_atoms,), and where
    there is no further neighbour, nearest stays as it is: infinite.
    """
    end = nearest.shape[2] - 1
    for center in range(first, last):
        for m in range(starts[center - first], starts[center - first + 1]):
            square = vectors[m, 0] * vectors[m, 0] + vectors[m, 1] * vectors[m, 1] + vectors[m, 2] * vectors[m, 2]
            kind = kinds[others[m]]
            if square < nearest[center, kind, end]:
                place = end
                while place > 0 and nearest[center, kind, place - 1] > square:
                    nearest[center, kind, place] = nearest[center, kind, place - 1]
                    place -= 1
                nearest[center, kind, place] = square
