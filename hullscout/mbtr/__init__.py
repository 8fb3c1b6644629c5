"""Many-body tensor representation (MBTR) of molecules and crystals.

Start with `MBTR` and `Term`; `MBTR.count` gives `Counts`, `MBTR.gradient` a `Gradient`. `bin_centers` and `channel_labels` are
the axis and the curves of a figure. The room knows nothing of pools, energies or campaigns. Importing it loads numba.

**What is counted.** Every unordered tuple of atoms once per cell: a pair {i, j}; a vertex j with {i, k}; a chain i-j-k-l or its
reverse. The published sum runs over ordered tuples: it equals ours in channels such as A-B, and is twice ours in channels that read
the same backwards (A-A, A-B-A).

**DScribe 2.1.2** counts the same way (it divides by the number of cells that a tuple touches, we keep one index in the cell). Its
features are ours with `placement="points"` and the element set sorted by atomic number, when

- `exp` with `scale` s and `threshold` t: `weighting="exponential"`, `scale=s`, `taper="sharp"`, `cutoff` = -ln(t)/s (k = 2) or
  -ln(t)/(2 s) (k = 3): paths longer than that are left out;
- `inverse_square` with `r_cut`: the same `weighting`, `cutoff=r_cut`, `taper="sharp"`;
- `smooth_cutoff` (k = 3): `weighting="unity"`, `cutoff=r_cut`, `taper="polynomial"`, `sharpness`;
- `angle`: DScribe's degrees are our radians, so its densities are ours times pi/180;
- `normalize_gaussians=False`: its features are ours times sigma sqrt(2 pi);
- normalization `n_atoms` is `per_atom`; `none`, `l2` and `valle_oganov` have the same name (`l2` per term here).

Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022); Himanen et al., Comput. Phys. Commun. 247, 106949 (2020).
"""

from hullscout.mbtr.axis import bin_centers
from hullscout.mbtr.channels import channel_labels, periodic_table_correlation, pettifor_correlation
from hullscout.mbtr.counting import Gradient
from hullscout.mbtr.counts import Counts, structure_distances
from hullscout.mbtr.term import Term
from hullscout.mbtr.transformer import MBTR

__all__ = [
    "MBTR",
    "Counts",
    "Gradient",
    "Term",
    "bin_centers",
    "channel_labels",
    "periodic_table_correlation",
    "pettifor_correlation",
    "structure_distances",
]
