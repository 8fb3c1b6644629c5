"""What the representation looks like: pairs of aspirin, angles of rock salt, and a derivative of each.

    python tests/benchmarks/mbtr_figure.py --out mbtr.png

In the manner of figure 1 of Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022). One deviation: an atom of perfect rock salt
sits at a centre of symmetry, where the derivative by its position (all its images move along) is zero; the derivative is shown with
the Na atom moved off its site by 0.1 A. Aspirin: MMFF94 geometry.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ase import Atoms
from ase.build import bulk
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hullscout.figures.representation import draw_panel
from hullscout.mbtr import MBTR, Term, bin_centers, channel_labels
from hullscout.representation import Panel

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

ESTER_CARBON = 1
ASPIRIN = """
C 3.4038 0.5543 0.0552; C 2.0439 0.1391 0.5312; O 1.6894 0.1441 1.7031; O 1.2884 -0.2659 -0.5636; C -0.0284 -0.5847 -0.2190;
C -0.3282 -1.9424 -0.0674; C -1.6290 -2.3304 0.2478; C -2.6259 -1.3671 0.3983; C -2.3267 -0.0114 0.2273; C -1.0220 0.3968 -0.0914;
C -0.7032 1.8334 -0.3031; O 0.3609 2.3052 -0.6590; O -1.7563 2.6373 -0.0592; H 3.9239 -0.3054 -0.3741; H 3.9844 0.9300 0.9025;
H 3.3109 1.3562 -0.6817; H 0.4490 -2.6922 -0.1857; H -1.8659 -3.3836 0.3782; H -3.6405 -1.6701 0.6470; H -3.1244 0.7190 0.3429;
H -1.4037 3.5378 -0.2188
"""


def aspirin() -> Atoms:
    """Return the molecule C9H8O4."""
    atoms = [line.split() for line in ASPIRIN.replace("\n", " ").split(";")]
    return Atoms([symbol for symbol, *_ in atoms], positions=[[float(x) for x in xyz] for _, *xyz in atoms])


def draw(axes: Axes, mbtr: MBTR, values: np.ndarray, *, x_label: str, y_label: str) -> None:
    """Draw the only term of a representation: features or their derivatives, shape (n_features,)."""
    (term,) = mbtr.terms
    curves = dict(zip(channel_labels(mbtr.elements, term.k), values.reshape(-1, term.n_x), strict=True))
    draw_panel(axes, Panel(x=bin_centers(term), curves=curves, x_label=x_label, y_label=y_label))
    axes.legend(frameon=False, fontsize=8, ncols=2 if len(mbtr.elements) > 2 else 1)  # inside: a title stands above


def main() -> int:
    """Draw and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("mbtr.png"))
    arguments = parser.parse_args()
    pairs = MBTR(
        ("H", "C", "O"),
        (Term(k=2, geometry="inverse_distance", weighting="inverse_square", grid=(0.1, 1.2, 440), sigma=0.01),),
        normalization="none",
    )
    angles = MBTR(
        ("Na", "Cl"),
        (Term(k=3, geometry="angle", weighting="exponential", scale=1.0, grid=(0.0, math.pi, 360), sigma=0.05),),
        normalization="none",
    )
    salt = bulk("NaCl", "rocksalt", a=5.64)
    moved = salt.copy()
    moved.positions[0, 0] += 0.1
    figure = Figure(figsize=(10.5, 6.6), layout="constrained")
    FigureCanvasAgg(figure)
    (top_left, top_right), (low_left, low_right) = figure.subplots(2, 2)
    inverse, angle = "inverse distance (1/Å)", "angle (rad)"
    draw(top_left, pairs, pairs.transform([aspirin()])[0], x_label=inverse, y_label="$f_2$ (1/Å)")
    draw(top_right, angles, angles.transform([salt])[0], x_label=angle, y_label="$f_3$ (1/rad)")
    slope = pairs.gradient(aspirin()).positions[ESTER_CARBON, 0]
    draw(low_left, pairs, slope, x_label=inverse, y_label="$\\partial f_2/\\partial x$ (1/Å$^2$)")
    slope = angles.gradient(moved).positions[0, 0]
    draw(low_right, angles, slope, x_label=angle, y_label="$\\partial f_3/\\partial x$ (1/(rad Å))")
    top_left.set_title("Aspirin, pairs, weight $1/d^2$")
    top_right.set_title("fcc NaCl, angles, weight exp(\N{MINUS SIGN}perimeter/Å)")
    low_left.set_title("derivative by x of the ester carbon")
    low_right.set_title("derivative by x of Na, 0.1 Å off its site")
    figure.savefig(arguments.out, dpi=110)
    print(f"wrote {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
