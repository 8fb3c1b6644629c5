"""Calculations as their codes wrote them: one reader with one verdict, for trees of them and for single results that come back.

What a file is, is told by its content. A calculation is used when it is a static run or a relaxation that was not cut off and
converged, by what its code wrote of it; where that cannot be told, it is said.
"""

from hullscout.pool.calculations.ase_settings import ase_settings
from hullscout.pool.calculations.atat import find_atat_folders, read_atat
from hullscout.pool.calculations.calculation import (
    Calculation,
    notes_on,
    plain_file,
    stated_unconverged,
)
from hullscout.pool.calculations.codes import OUTCAR, VASP_NAME, VASPRUN, kind_of, promised_kind, read_calculation
from hullscout.pool.calculations.trees import find_calculations, find_vaspruns, read_calculations, read_vaspruns
from hullscout.pool.calculations.vasp import refuse_other_runs, settings_of

__all__ = [
    "OUTCAR",
    "VASPRUN",
    "VASP_NAME",
    "Calculation",
    "ase_settings",
    "find_atat_folders",
    "find_calculations",
    "find_vaspruns",
    "kind_of",
    "notes_on",
    "plain_file",
    "promised_kind",
    "read_atat",
    "read_calculation",
    "read_calculations",
    "read_vaspruns",
    "refuse_other_runs",
    "settings_of",
    "stated_unconverged",
]
