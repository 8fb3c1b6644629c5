"""Calculators that leave a line in a file when they are made and when they are asked; worker processes import them by name."""

import json
from pathlib import Path

from ase.calculators.emt import EMT


class Counting(EMT):
    """EMT times `scale`; of the structures in `fails` it fails, of those in `nan` the energy is none, told by their formula."""

    def __init__(self, log, scale=1.0, fails=(), nan=()):
        super().__init__()
        self._file, self._scale, self._fails, self._nan = Path(log), scale, fails, nan
        self._line("made")

    def calculate(self, atoms=None, *args, **kwargs):
        formula = atoms.get_chemical_formula()
        self._line(f"asked {formula}")
        if formula in self._fails:
            raise RuntimeError(f"no {formula} today")
        super().calculate(atoms, *args, **kwargs)
        self.results["energy"] *= float("nan") if formula in self._nan else self._scale

    def _line(self, said):
        with self._file.open("a") as file:
            file.write(f"{said}\n")


class Writing(Counting):
    """One that runs a program, as far as anybody can tell."""

    command = "program"


class Recording(EMT):
    """EMT times 1.1, which writes down each structure that it is asked for, with its id."""

    def __init__(self, log):
        super().__init__()
        self._file = Path(log)

    def calculate(self, atoms=None, *args, **kwargs):
        said = {"id": atoms.info["id"], "cell": atoms.cell.tolist(), "positions": atoms.positions.tolist()}
        with self._file.open("a") as file:
            file.write(f"{json.dumps(said)}\n")
        super().calculate(atoms, *args, **kwargs)
        self.results["energy"] *= 1.1


class Broken(EMT):
    """One whose weights are damaged."""

    def __init__(self):
        raise RuntimeError("the checkpoint file is corrupted")
