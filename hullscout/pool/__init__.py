"""Candidates and where they come from: reading, checking, grouping of twins.

`read_pool` says what a file or folder of any format holds, `build_pool` makes candidates of it. A pool holds no energies.
Importing this package loads numpy only; ASE, numba and pymatgen load when first used.
"""

from hullscout.pool.candidate import Candidate
from hullscout.pool.columns import Columns
from hullscout.pool.extxyz import parse_frames, read_frames
from hullscout.pool.formats import PoolFormat, pool_bytes, read_pool
from hullscout.pool.frames import Frame, Frames, natural_key
from hullscout.pool.pool import Pool, PoolReport, WithoutEnergy, build_pool
from hullscout.pool.theory import MixedSettings, SettingConflict
from hullscout.pool.twins import TWIN_TOLERANCE, find_twins

__all__ = [
    "TWIN_TOLERANCE",
    "Candidate",
    "Columns",
    "Frame",
    "Frames",
    "MixedSettings",
    "Pool",
    "PoolFormat",
    "PoolReport",
    "SettingConflict",
    "WithoutEnergy",
    "build_pool",
    "find_twins",
    "natural_key",
    "parse_frames",
    "pool_bytes",
    "read_frames",
    "read_pool",
]
