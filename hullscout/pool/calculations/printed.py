"""Calculations of other codes by their printed output: structure and energy read by ASE, the verdict by what the code prints.

A code is told by how its output begins, never by the file's name. For each it is known here how a run of another kind, one that is
cut off and one that did not converge are printed; nothing is concluded from what is not printed.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hullscout.contents import content_of
from hullscout.errors import ResultError
from hullscout.pool.calculations.calculation import Calculation, another_kind
from hullscout.pool.calculations.espresso import espresso_columns, espresso_doubt, smearing_shift_ev
from hullscout.pool.forces import largest_force

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What a code prints. All but names are regular expressions.

    Attributes:
        name: as it is shown.
        ase_format: ASE's name of the output.
        begins: in the head of a file of this code.
        ends: at the end of a run that was not cut off, and how that is called.
        others: runs of another kind, each with what it is.
        unconverged: what did not converge, each with words that begin a sentence.
        electrons: what is printed of every electronic loop; where the last one holds `not`, it did not converge.
        relaxes: printed by relaxations only.
        rests: printed by relaxations that came to rest.
    """

    name: str
    ase_format: str
    begins: str
    ends: tuple[str, str]
    others: tuple[tuple[str, str], ...] = ()
    unconverged: tuple[tuple[str, str], ...] = ()
    electrons: str | None = None
    relaxes: str | None = None
    rests: str | None = None


ESPRESSO = Code(
    name="pw.x of Quantum ESPRESSO",
    ase_format="espresso-out",
    begins=r"Program PWSCF",
    ends=(r"JOB DONE\.", "JOB DONE."),
    others=(
        (
            r"Molecular Dynamics Calculation|Langevin Dynamics Calculation|calculation *= *'(?:vc-)?md'",
            "molecular dynamics",
        ),
        (r"(?:Parrinello-Rahman|Wentzcovitch) (?!Damped)[^\n]*Dynamics", "molecular dynamics of the cell"),
        (r"Band Structure Calculation", "a band structure or non-self-consistent run"),
    ),
    unconverged=(
        (
            r"The maximum number of steps has been reached",
            "The atoms did not come to rest within the maximum number of steps",
        ),
        (r"Maximum CPU time exceeded", "It was stopped at its maximum time (max_seconds)"),
        (r"Program stopped by user request", "It was stopped by a file EXIT"),
        (r"Error in routine", "It ended in an error"),
        (r"bfgs failed|history already reset at previous step: stopping", "The relaxation failed"),
    ),
    electrons=r"convergence (?:has been achieved|NOT achieved)",
    relaxes=r"BFGS Geometry Optimization|Damped (?:Cell[ -])?Dynamics|FIRE [Mm]inimization|number of bfgs steps",
    rests=r"bfgs converged in|convergence achieved",
)
CODES = (
    ESPRESSO,
    Code(
        name="CASTEP",
        ase_format="castep-castep",
        begins=r"CASTEP version|CCC   AA    SSS  TTTTT",
        ends=(r"Total time *=", "Total time ="),
        others=(
            (r"type of calculation *: *molecular dynamics", "molecular dynamics"),
            (
                r"type of calculation *: *(?:phonon|phonon.*|Efield|optics|transition state search|NMR|band ?structure)",
                "another task",
            ),
        ),
        unconverged=(
            (r"Geometry optimi[sz]ation failed to converge", "The atoms did not come to rest"),
            (
                r"max\. SCF cycles performed but system has not reached the groundstate",
                "The electrons did not converge",
            ),
            (r"electronic minimisation did not converge", "The electrons did not converge"),
            (r"STOP keyword detected in parameter file", "It was stopped by its parameter file"),
        ),
        relaxes=r"type of calculation *: *geometry optimi[sz]ation",
        rests=r"Geometry optimi[sz]ation completed successfully",
    ),
    Code(
        name="FHI-aims",
        ase_format="aims-output",
        begins=r"Invoking FHI-aims|FHI-aims version",
        ends=(r"Have a nice day\.", "Have a nice day."),
        others=(
            (r"[Mm]olecular dynamics (?:time step|run)|Born-Oppenheimer molecular dynamics", "molecular dynamics"),
        ),
        unconverged=(
            (r"SELF-CONSISTENCY CYCLE DID NOT CONVERGE", "The electrons did not converge"),
            (r"Aborting optimization", "The relaxation was given up"),
        ),
        relaxes=r"Geometry optimization: Attempting|Present geometry is not yet converged",
        rests=r"Present geometry is converged",
    ),
    Code(
        name="ABINIT",
        ase_format="abinit-out",
        begins=r"\.Version +\S+ +of ABINIT",
        ends=(r"Calculation completed\.", "Calculation completed."),
        # 7 quenches the velocities, which is a relaxation.
        others=((r"^ *ionmov\d* +(?:1|6|8|9|12|13|14|16|23|24|25)\s*$", "molecular dynamics (ionmov)"),),
        unconverged=((r"not enough Broyd/MD steps to converge gradients", "The atoms did not come to rest"),),
        electrons=r"At SCF step|was not enough SCF cycles to converge",
        relaxes=r"(?m)^ *ionmov\d* +(?:2|3|4|5|7|10|11|15|20|22)\s*$",
        rests=r"gradients are converged",
    ),
    Code(
        name="GPAW",
        ase_format="gpaw-out",
        begins=r"\|__ \|  _\|___\|_____\|",
        ends=(r"^Total:\s+[\d.]+\s+[\d.]+|^Date: .*\n*\Z|Memory usage", "the timings at its end"),
        unconverged=((r"Did not converge!|SCF.*did not converge", "The electrons did not converge"),),
    ),
)


def code_of(head: str) -> Code | None:
    """The code whose output begins like this."""
    return next((code for code in CODES if re.search(code.begins, head)), None)


def read_printed(file: Path, code: Code) -> Calculation:
    """The last structure with an energy that a code printed."""
    whole = content_of(file).decode(errors="replace")
    *_, last = re.finditer(code.begins, whole)
    text = whole[last.start() :]  # of runs that were continued in one file only the last one tells how it ended
    unconverged = verdict(text, code)
    atoms = _atoms(file, whole, code, unconverged)
    energy, columns = float(atoms.get_potential_energy()), dict[str, object](code=code.name.lower())
    doubt = ""
    if code is ESPRESSO:
        doubt = espresso_doubt(text, atoms)
        energy, columns = energy + smearing_shift_ev(text), espresso_columns(text, atoms)
    atoms.pbc = True
    return Calculation(
        atoms=atoms,
        energy_ev=energy,
        columns=columns,
        unconverged=unconverged,
        max_force=largest_force(atoms.calc.results.get("forces")),
        doubt=doubt,
        untested="" if code.relaxes or unconverged else f"{code.name} (atoms at rest)",
    )


def verdict(text: str, code: Code) -> str:
    """What did not converge by the output of a code, in words that begin a sentence; empty where all did, as far as it is told.

    Raises:
        ResultError: It is cut off or of another kind.
    """
    for pattern, what in code.others:
        if re.search(pattern, text, re.MULTILINE):
            raise another_kind(f"{what} ({code.name})")
    unconverged = _unconverged(text, code)
    if not unconverged and not re.search(code.ends[0], text, re.MULTILINE):
        raise ResultError(
            f"the output of {code.name} is cut off: expected {code.ends[1]!r}. Is the calculation complete?"
        )
    return unconverged


def _unconverged(text: str, code: Code) -> str:
    """What did not converge, in words that begin a sentence."""
    for pattern, what in code.unconverged:
        if re.search(pattern, text, re.MULTILINE):
            return what
    loops = re.findall(code.electrons, text) if code.electrons else []
    if loops and "not" in loops[-1].lower():
        return "The electrons did not converge"
    if code.relaxes and code.rests and re.search(code.relaxes, text) and not re.search(code.rests, text):
        return f"The atoms did not come to rest: {code.name} does not say so"
    return ""


def _atoms(file: Path, text: str, code: Code, unconverged: str) -> Any:
    """The last structure with results; what ASE cannot read is said in words of ours."""
    from ase.io import read  # noqa: PLC0415  (late: ASE loads slowly)

    try:
        return read(io.StringIO(text), index=-1, format=code.ase_format)
    except Exception as error:  # a reader of a foreign file may raise anything
        if unconverged:
            raise ResultError(f"{file.name} holds no energy. {unconverged}.") from error
        raise ResultError(
            f"{file.name}: expected an energy in the output of {code.name}, found none that can be read "
            f"({type(error).__name__}: {' '.join(str(error).split())[:150]})"
        ) from error
