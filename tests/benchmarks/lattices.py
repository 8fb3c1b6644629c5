"""How many candidates of pools are on an fcc, bcc or hcp lattice, and how many on none of them.

    python tests/benchmarks/lattices.py [POOL ...]

By default the pools of the campaigns here, and those of ../shared/data/noble and pgm-unep where that folder is there. Printed for
each pool: candidates on each lattice, the share on none, and that without the crystals of the AFLOW library, which the ids of some
pools name (`proto-...`) and half of which are on none of the three; and the time for one candidate.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

from hullscout.figures.prototypes import parent_lattice
from hullscout.pool import read_pool

TREE = Path(__file__).resolve().parents[2]
SHARED = TREE.parent / "shared" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pools", nargs="*", type=Path)
    pools = parser.parse_args().pools or [
        *sorted(TREE.glob("campaigns/*/*.extxyz*")),
        *sorted(path for folder in ("noble", "pgm-unep") for path in (SHARED / folder).glob("*.extxyz.gz")),
    ]
    print(f"{'pool':24} {'fcc':>5} {'bcc':>5} {'hcp':>5} {'other':>6} {'share':>7} {'of cells':>9} {'ms each':>8}")
    for path in pools:
        candidates = [frame.candidate() for frame in read_pool(path).frames]
        began = time.process_time()
        lattices = [parent_lattice(candidate) for candidate in candidates]
        spent = 1e3 * (time.process_time() - began) / len(candidates)
        found = Counter(lattices)
        cells = [lattice for lattice, one in zip(lattices, candidates, strict=True) if not one.id.startswith("proto-")]
        print(
            f"{path.name.partition('.')[0]:24} {found['fcc']:5} {found['bcc']:5} {found['hcp']:5} {found['other']:6} "
            f"{found['other'] / len(candidates):7.1%} {cells.count('other') / len(cells):9.1%} {spent:8.2f}"
        )


if __name__ == "__main__":
    main()
