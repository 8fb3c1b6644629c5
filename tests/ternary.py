"""A small pool of three elements, or more, with ground states that hold all of them: ordered cells, energies by a rule."""

import itertools

import numpy as np

ELEMENTS = ("Cu", "Ag", "Au")
ATTRACTION = {("Cu", "Au"): -0.16, ("Cu", "Ag"): 0.09, ("Ag", "Au"): -0.12}
FCC = np.array([[0.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])
BCC = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])


def pool_text(elements=ELEMENTS, *, seed=0):
    """An extended XYZ file: each composition of a tetragonal fcc cell of four sites, and of a bcc cell of two, some twice."""
    random, frames = np.random.default_rng(seed), []
    for name, sites, ratio in (("fcc", FCC, 1.0), ("tet", FCC, 1.08), ("bcc", BCC, 1.0)):
        for symbols in itertools.combinations_with_replacement(elements, len(sites)):
            energy = _energy(symbols, name, random)
            frames += [_frame(f"{name}-{''.join(symbols)}", symbols, sites, ratio, energy)]
    return "".join(frames)


def _energy(symbols, name, random):
    shares = {symbol: symbols.count(symbol) / len(symbols) for symbol in set(symbols)}
    pairs = itertools.combinations(sorted(shares, key=symbols.index), 2)
    bonds = sum(4 * shares[a] * shares[b] * ATTRACTION.get((a, b), ATTRACTION.get((b, a), -0.05)) for a, b in pairs)
    together = -0.12 * 27 * np.prod(list(shares.values())) if len(shares) == 3 else 0.0
    height = 0.0 if name == "fcc" else 0.03 + 0.02 * random.random()
    return len(symbols) * (-3.0 + bonds + together + height)


def _frame(name, symbols, sites, ratio, energy):
    cell = np.diag([4.0, 4.0, 4.0 * ratio]) if len(sites) == 4 else 3.2 * np.eye(3)
    lattice = " ".join(f"{length:.6f}" for length in cell.ravel())
    head = (
        f'{len(sites)}\nLattice="{lattice}" Properties=species:S:1:pos:R:3 id={name} energy={energy:.9f} pbc="T T T"\n'
    )
    return head + "".join(
        f"{symbol} {x:.6f} {y:.6f} {z:.6f}\n" for symbol, (x, y, z) in zip(symbols, sites @ cell, strict=True)
    )


def campaign_file(folder, elements=ELEMENTS):
    """Write such a pool and a campaign of it into `folder`; the path of its file."""
    (folder / "pool.extxyz").write_text(pool_text(elements))
    names = ", ".join(f'"{symbol}"' for symbol in elements)
    (folder / "some.toml").write_text(f'name = "some"\nelements = [{names}]\npool.path = "pool.extxyz"\n')
    return folder / "some.toml"
