"""The sections `[oracle]`, `[prior]` and `[executor]` of a campaign file: where energies come from, and where they are computed.

What is in `[oracle]` and `[prior]` decides the energies and belongs to the campaign; what is in `[executor]` may change when it is
resumed.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hullscout.pool.moments import MAX_MOMENT
from hullscout.settings import Amount, Count, Settings


def _travels_as_json(arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(arguments, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected finite numbers, strings, booleans, lists and tables of them ({error})") from error
    return arguments


def _are_moments(moments: dict[str, float]) -> dict[str, float]:
    if any(abs(moment) > MAX_MOMENT for moment in moments.values()):
        raise ValueError(f"expected moments of at most {MAX_MOMENT:g} Bohr magnetons")
    return moments


def _name_of_relaxation(name: object) -> object:
    """A kind of relaxation by its name of today; `cell` is a former one. ValueError for the one that said less than it did."""
    if name == "volume":
        raise ValueError(
            'expected what is relaxed beside the volume: "volume-and-positions", which "volume" was before, or "volume-only"'
        )
    return {"cell": "cell-and-positions"}.get(name, name) if isinstance(name, str) else name


Relax = Literal["none", "volume", "cell"]
"""What a potential relaxes: nothing, volume and atoms, or cell and atoms."""
Moments = Annotated[dict[str, float], AfterValidator(_are_moments)]
Arguments = Annotated[dict[str, Any], AfterValidator(_travels_as_json)]


class TableSettings(Settings):
    """The `energy` of the frames of the pool file, looked up one by one."""

    kind: Literal["table"] = "table"


class CalculatorSettings(Settings):
    """Energies computed by an ASE calculator."""

    kind: Literal["calculator"] = "calculator"
    use_known: bool = True
    """Whether energies that the pool states are answers before anything is asked for; `false` for all anew."""
    calculator: str = Field(min_length=1, pattern=r"^\w+([.]\w+)*$")
    """`emt`, `gpaw`, another name that ASE knows, or the dotted path of a class or function, as `package.module.Calculator`."""
    arguments: Arguments = Field(default_factory=dict)
    """What the calculator is called with."""
    relax: Annotated[
        Literal["none", "positions", "volume-only", "volume-and-positions", "cell-and-positions"],
        BeforeValidator(_name_of_relaxation),
    ] = "none"
    """What is relaxed: nothing, atoms in a fixed cell (VASP's ISIF = 2), the volume alone with all atoms at their fractions of the
    cell (7), volume and atoms (8), or cell and atoms (3)."""
    fmax: Amount = 0.02
    """Largest force (and stress times volume over atoms) of a relaxed structure, eV/Angstrom."""
    max_steps: Count = 200
    """Steps in which a relaxation must converge."""
    on_change: Literal["fail", "keep"] = "fail"
    """A structure that relaxed into another one: counts as failed, or its energy is kept and noted."""
    max_strain: Amount = 0.1
    """It is another one when its cell changed shape by more than this (norm of the strain without its volume change)."""
    max_displacement: Amount = 0.25
    """Or when an atom moved within the cell by more than this share of the mean distance of nearest neighbours."""
    magmoms: Moments = Field(default_factory=dict)
    """Initial magnetic moment of each atom by element, Bohr magnetons, for structures that state none."""


class FunctionSettings(Settings):
    """Energies that a function of `ase.Atoms` gives: anybody's, a recipe of quacc, or a flow of jobflow that it returns."""

    kind: Literal["function"] = "function"
    use_known: bool = True
    """Whether energies that the pool states are answers before anything is asked for; `false` for all anew."""
    function: str = Field(min_length=1, pattern=r"^\w+([.]\w+)+$")
    """Dotted path of a function of `ase.Atoms`, as `quacc.recipes.emt.core.relax_job`, or of a maker of jobflow."""
    arguments: Arguments = Field(default_factory=dict)
    """What it is called with beside the atoms, by name; a maker is made with them."""
    on_change: Literal["fail", "keep"] = "fail"
    """A structure that comes back as another one: counts as failed, or its energy is kept and noted."""
    max_strain: Amount = 0.1
    """It is another one when its cell changed shape by more than this (norm of the strain without its volume change)."""
    max_displacement: Amount = 0.25
    """Or when an atom moved within the cell by more than this share of the mean distance of nearest neighbours."""
    magmoms: Moments = Field(default_factory=dict)
    """Initial magnetic moment of each atom by element, Bohr magnetons, for structures that state none."""


class PriorSettings(Settings):
    """Energies of a universal potential that the model starts from."""

    calculator: str | None = Field(default=None, min_length=1)
    """`diep`, `chgnet`, `sevenn`, or the dotted path of an ASE calculator; none by default."""
    arguments: Arguments = Field(default_factory=dict)
    """What it is made with."""
    relax: Relax = "none"
    """Whether candidates are relaxed by it first (`volume`: volume and atoms; `cell`: cell and atoms) and calculated as relaxed."""

    @model_validator(mode="after")
    def _names_what_it_makes(self) -> Self:
        if self.calculator is None and (self.arguments or self.relax != "none"):
            raise ValueError(f"{'arguments are' if self.arguments else 'relax is'} for a calculator; name one")
        return self

    def fault_with(self, *, oracle: str, references: object, known: object) -> str:
        """Why it cannot be used with an oracle of this kind, and `pool.references` and `pool.known`; empty where it can."""
        if self.calculator is not None and references:
            return (
                "prior.calculator: expected structures of all elements, since a potential's energies need ends of their own; found "
                "energies by value (pool.references)"
            )
        of_given = "a table, whose" if oracle == "table" else "pool.known, whose" if known else ""
        if self.relax != "none" and of_given:
            return (
                f"prior.relax: expected energies that are calculated of the cells that the potential relaxed, found {of_given} "
                f'energies are of the cells as they stand there; leave it out (prior.relax = "none")'
            )
        return ""


class HandoffSettings(Settings):
    """Energies calculated elsewhere: structures are handed out as files, results read back."""

    kind: Literal["handoff"] = "handoff"
    use_known: bool = True
    """Whether energies that the pool states are answers before anything is asked for; `false` for all anew."""
    max_strain: Amount = 0.1
    """A returned structure is another one when its cell changed shape by more than this."""
    max_displacement: Amount = 0.25
    """Or when an atom moved within the cell by more than this share of the mean distance of nearest neighbours."""
    magmoms: Moments = Field(default_factory=dict)
    """Initial magnetic moment of each atom by element, Bohr magnetons, for structures that state none."""
    fmax: Amount | None = None
    """Largest force of a result, eV/Angstrom; by default the criterion of its own code."""


class _Tries(Settings):
    """What all executors share."""

    retries: int = Field(default=1, ge=0, le=1000)
    """Further tries after an error, a time-out or a lost worker."""
    keep_files: str | None = Field(default=None, min_length=1)
    """Folder for the files of every calculation, relative to the output folder; not kept by default."""


class _Workers(_Tries):
    """What executors with worker processes share."""

    workers: int = Field(default=1, gt=0, le=10_000)
    """Calculations at a time."""
    time_limit_s: Amount | None = None
    """A calculation that runs longer is ended; no limit by default."""
    flow: Literal["continuous", "rounds"] = "continuous"
    """`continuous`: a free worker gets the next structure at once. `rounds`: a whole batch is awaited before the next is chosen, so
    that the result does not depend on which answer comes first."""

    @property
    def n_ahead(self) -> int:
        """Calculations that may be under way when the next is chosen; 0 where whole rounds are awaited."""
        return self.workers if self.flow == "continuous" else 0


class InProcessSettings(_Tries):
    """One calculation after the other in the process of the campaign: nothing to start, but a crash ends the campaign."""

    kind: Literal["in-process"] = "in-process"
    workers: ClassVar = 1
    time_limit_s: ClassVar = None
    n_ahead: ClassVar = 0


class ProcessesSettings(_Workers):
    """Worker processes on this machine."""

    kind: Literal["processes"] = "processes"


class DaskSettings(_Workers):
    """Dask workers: a local cluster, one that is running, or one that Dask starts (Slurm and others by dask-jobqueue)."""

    kind: Literal["dask"] = "dask"
    address: str | None = Field(default=None, min_length=1)
    """Address of a running scheduler, as `tcp://host:8786`."""
    cluster: str | None = Field(default=None, pattern=r"^\w+([.]\w+)+$")
    """Dotted path of a cluster class, as `dask_jobqueue.SLURMCluster`, scaled to `workers`."""
    options: Arguments = Field(default_factory=dict)
    """What the cluster class is called with."""

    @model_validator(mode="after")
    def _names_one_cluster(self) -> DaskSettings:
        if self.address is not None and self.cluster is not None:
            raise ValueError("expected an address or a cluster, found both")
        if self.options and self.cluster is None:
            raise ValueError("options are for a cluster; name one by its dotted path")
        return self


class CustomSettings(_Workers):
    """Any other class with the interface of `concurrent.futures.Executor`."""

    kind: Literal["custom"] = "custom"
    path: str = Field(pattern=r"^\w+([.]\w+)+$")
    """Dotted path of the class, as `executorlib.SlurmClusterExecutor`."""
    options: Arguments = Field(default_factory=dict)
    """What it is called with."""


AnyOracle = TableSettings | CalculatorSettings | FunctionSettings | HandoffSettings
ComputedSettings = CalculatorSettings | FunctionSettings
"""Energies that workers compute."""
AnyExecutor = InProcessSettings | ProcessesSettings | DaskSettings | CustomSettings
