"""Candidates and where they come from: reading, checking, grouping of twins, looking over, enumeration.

`Pool.read` and `Pool.of` give the candidates of a file and of a list of structures. `read_pool` says what a file or folder of any
format holds, frame by frame, `build_pool` makes candidates of it, `inspect_frames` looks it over, `make_pool` enumerates a new one.
A pool holds no energies: they stay in the frames. Importing this package loads numpy only; ASE, numba and pymatgen load when first
used.
"""

from hullscout.pool.axis import CompositionAxis, axis_of
from hullscout.pool.candidate import Candidate
from hullscout.pool.checks import MAX_ELEMENTS, Faulty, sift
from hullscout.pool.columnar import SUFFIX as PARQUET
from hullscout.pool.columns import Columns, MixedSettings, SettingConflict
from hullscout.pool.energies import EnergyMeaning, offered, restated, understand, with_given_ends
from hullscout.pool.enumeration import (
    MAX_CANDIDATES,
    MAX_IN_COLUMNS,
    EnumerationSettings,
    MadePool,
    ParentLattice,
    make_pool,
)
from hullscout.pool.extxyz import parse_frames, read_frames
from hullscout.pool.formats import FORMATS, Format, keep_pool, kept_frames, read_pool
from hullscout.pool.frames import Frame, Frames, natural_key
from hullscout.pool.growth import Growth, grown, growth_of, with_own_ids
from hullscout.pool.inspection import (
    MIXED_SETTINGS,
    NOT_READ,
    Finding,
    Inspection,
    Severity,
    Suspects,
    clean,
    find_contradicted,
    inspect_frames,
    most_frequent_elements,
)
from hullscout.pool.outlying import find_outlying
from hullscout.pool.plausibility import MAX_OF_ANY_EV_PER_ATOM, Doubt, find_doubts
from hullscout.pool.pool import Pool, WithoutEnergy, build_pool
from hullscout.pool.report import PoolReport
from hullscout.pool.twins import CONFLICT_EV_PER_ATOM, RELAXED_TOLERANCE, TWIN_TOLERANCE, are_of_one_lattice, find_twins
from hullscout.pool.writing import Existing, check_target, format_frames, save_frames

__all__ = [
    "CONFLICT_EV_PER_ATOM",
    "FORMATS",
    "MAX_CANDIDATES",
    "MAX_ELEMENTS",
    "MAX_IN_COLUMNS",
    "MAX_OF_ANY_EV_PER_ATOM",
    "MIXED_SETTINGS",
    "NOT_READ",
    "PARQUET",
    "RELAXED_TOLERANCE",
    "TWIN_TOLERANCE",
    "Candidate",
    "Columns",
    "CompositionAxis",
    "Doubt",
    "EnergyMeaning",
    "EnumerationSettings",
    "Existing",
    "Faulty",
    "Finding",
    "Format",
    "Frame",
    "Frames",
    "Growth",
    "Inspection",
    "MadePool",
    "MixedSettings",
    "ParentLattice",
    "Pool",
    "PoolReport",
    "SettingConflict",
    "Severity",
    "Suspects",
    "WithoutEnergy",
    "are_of_one_lattice",
    "axis_of",
    "build_pool",
    "check_target",
    "clean",
    "find_contradicted",
    "find_doubts",
    "find_outlying",
    "find_twins",
    "format_frames",
    "grown",
    "growth_of",
    "inspect_frames",
    "keep_pool",
    "kept_frames",
    "make_pool",
    "most_frequent_elements",
    "natural_key",
    "offered",
    "parse_frames",
    "read_frames",
    "read_pool",
    "restated",
    "save_frames",
    "sift",
    "understand",
    "with_given_ends",
    "with_own_ids",
]
