"""Where energies come from: a table, a calculator or function on workers, or people and queues that take structures as files.

`TableOracle` looks up what is known already. `open_workers` opens workers that compute: what is submitted to them comes back as an
`Outcome`, an energy in eV of the candidate's cell or a failure. `write_folder` hands a structure out, `read_replies` takes results
back. How each is set is said by the sections `[oracle]` and `[executor]` of a campaign file. Importing this room loads no heavy
library: ASE, pymatgen and Dask load when first used.
"""

from hullscout.oracle.baseline_column import SOURCE, Column, add_column
from hullscout.oracle.handoff import folder_names, magmom_words, read_template, write_folder
from hullscout.oracle.outcome import (
    Calculated,
    Failed,
    FailureReason,
    Outcome,
    candidate_from_tree,
    candidate_to_tree,
    change_between,
    is_energy,
    judge,
)
from hullscout.oracle.paths import Beside
from hullscout.oracle.potentials import POTENTIALS, Potential, PriorOrder
from hullscout.oracle.replies import Reply, notes_on_replies, read_outcome, read_replies
from hullscout.oracle.room import MIN_ROOM_BYTES, is_full
from hullscout.oracle.settings import (
    AnyExecutor,
    AnyOracle,
    CalculatorSettings,
    ComputedSettings,
    CustomSettings,
    DaskSettings,
    FunctionSettings,
    HandoffSettings,
    InProcessSettings,
    PriorSettings,
    ProcessesSettings,
    TableSettings,
)
from hullscout.oracle.workers import (
    TableOracle,
    TableWorkers,
    TwinConflict,
    Workers,
    open_custom,
    open_dask,
    open_for_features,
    open_workers,
    outcome_of,
)

__all__ = [
    "MIN_ROOM_BYTES",
    "POTENTIALS",
    "SOURCE",
    "AnyExecutor",
    "AnyOracle",
    "Beside",
    "Calculated",
    "CalculatorSettings",
    "Column",
    "ComputedSettings",
    "CustomSettings",
    "DaskSettings",
    "Failed",
    "FailureReason",
    "FunctionSettings",
    "HandoffSettings",
    "InProcessSettings",
    "Outcome",
    "Potential",
    "PriorOrder",
    "PriorSettings",
    "ProcessesSettings",
    "Reply",
    "TableOracle",
    "TableSettings",
    "TableWorkers",
    "TwinConflict",
    "Workers",
    "add_column",
    "candidate_from_tree",
    "candidate_to_tree",
    "change_between",
    "folder_names",
    "is_energy",
    "is_full",
    "judge",
    "magmom_words",
    "notes_on_replies",
    "open_custom",
    "open_dask",
    "open_for_features",
    "open_workers",
    "outcome_of",
    "read_outcome",
    "read_replies",
    "read_template",
    "write_folder",
]
