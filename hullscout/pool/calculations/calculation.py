"""One calculation as it was read: structure, energy, settings, and whether it may be used.

Two things keep an energy off a hull. A run of another kind (molecular dynamics, a band structure) or one that is cut off is refused
by a `ResultError`. One that ended by itself without coming to rest says so in `unconverged`.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hullscout.errors import ResultError
from hullscout.pool.forces import note_on_forces
from hullscout.pool.frames import shown_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import ase

FALSE = frozenset({"f", "false", "0", "0.0", "no", ".false."})
_NOT_CONVERGED = re.compile(r"(?i)(is_|has_)?(not_?|un)converged")
_CONVERGED = re.compile(
    r"(?i)(?!.*(not_?|un)converged)(\w+_)?converged(_(scf|electronic|electrons|ionic|ions))?|(is_)?relaxed"
)
_EXPECTED = "expected a static run or a relaxation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calculation:
    """The last structure of a calculation with its energy.

    Attributes:
        atoms: periodic in three directions.
        energy_ev: total energy in eV per cell for zero smearing, without the work of an external pressure.
        columns: settings, by names that `pool.columns` compares.
        unconverged: what did not converge, in words that begin a sentence; empty where the calculation may be used.
        max_force: largest force in eV/A on an atom that is free to move, None where the file states none.
        doubt: what the file states and contradicts, as what was found; empty where it does not.
        start: the first structure, of VASP; None where it is not known.
        uncompared: names of files of the same run beside it that could not be read.
        untested: code or kind of file of which convergence cannot be told, empty where it can.
        wall_s: seconds that the run took, of VASP where its OUTCAR is there; None where nothing says it.
    """

    atoms: ase.Atoms
    energy_ev: float
    columns: Mapping[str, object] = field(default_factory=dict)
    unconverged: str = ""
    max_force: float | None = None
    untested: str = ""
    doubt: str = ""
    start: ase.Atoms | None = None
    uncompared: tuple[str, ...] = ()
    wall_s: float | None = None


@contextmanager
def plain_file(content: bytes, name: str) -> Iterator[Path]:
    """A file of this name with a decompressed content: libraries tell compressions, and some codes, by the names of files."""
    with TemporaryDirectory() as folder:
        plain = Path(folder) / name
        plain.write_bytes(content)
        yield plain


def another_kind(found: str) -> ResultError:
    """The refusal of a run that is no energy of a structure at rest.

    >>> str(another_kind("molecular dynamics (IBRION = 0)"))
    'expected a static run or a relaxation, found molecular dynamics (IBRION = 0). Calculate the structure at rest.'
    """
    return ResultError(f"{_EXPECTED}, found {found}. Calculate the structure at rest.")


def stated_unconverged(stated: Mapping[str, object]) -> str:
    """What a source says itself of a result that did not converge, by keys as `converged`, `scf_converged` and `relaxed`.

    Empty where it does not.

    >>> stated_unconverged({"converged": 0.0}), stated_unconverged({"Relaxed": "F"}), stated_unconverged({"converged": 1})
    ('The file says converged = False', 'The file says Relaxed = False', '')
    """
    said = ((key, str(value).strip().lower() in FALSE) for key, value in stated.items() if str(value).strip())
    denied = [
        f"{key} = {not is_false}"
        for key, is_false in said
        if (_CONVERGED.fullmatch(str(key)) and is_false) or (_NOT_CONVERGED.fullmatch(str(key)) and not is_false)
    ]
    return f"The file says {denied[0]}" if denied else ""


def notes_on(calculations: Iterable[tuple[str, Calculation]]) -> tuple[str, ...]:
    """Sentences about calculations by name that may be used: each code once whose convergence cannot be told, and large forces."""
    named = list(calculations)
    untested = Counter(done.untested for _, done in named if done.untested)
    said = [
        f"{kind}: whether {'it' if n == 1 else f'these {n}'} converged cannot be told from the file{'' if n == 1 else 's'}."
        for kind, n in sorted(untested.items())
    ]
    said += [
        f"{name} states {done.doubt}: look at the file. The energy taken is {done.energy_ev:.6f} eV."
        for name, done in named
        if done.doubt
    ]
    uncompared = [f"{other} of {name}" for name, done in named for other in done.uncompared]
    if uncompared:
        said.append(
            f"Files beside calculations that cannot be read, and were not compared with them: {shown_ids(uncompared)}."
        )
    if note := note_on_forces({name: done.max_force or 0.0 for name, done in named}):
        said.append(note)
    return tuple(said)
