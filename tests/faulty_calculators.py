"""Calculators that go wrong, each in its own way; worker processes import them by name."""

import errno
import os
import signal
import time
from pathlib import Path

from ase.calculators.emt import EMT


class Raises(EMT):
    def calculate(self, *_, **__):
        raise RuntimeError("no licence")


class Unconverged(EMT):
    def calculate(self, *_, **__):
        raise KohnShamConvergenceError("did not converge")


class KohnShamConvergenceError(Exception):
    pass


class SaysUnconverged(EMT):
    converged = False


class Hangs(EMT):
    def calculate(self, *_, **__):
        time.sleep(600)


class Dies(EMT):
    def calculate(self, *_, **__):
        print("out of memory", flush=True)  # noqa: T201
        os.kill(os.getpid(), signal.SIGKILL)


class NotANumber(EMT):
    def calculate(self, *args, **kwargs):
        EMT.calculate(self, *args, **kwargs)
        self.results["energy"] = float("nan")


class WithoutGold:
    """EMT, but the fault for what holds gold and something else, or (`pure`) for gold itself; `mend` names a file that heals it."""

    def __new__(cls, *, fault, pure=False, mend=None):
        calculator = EMT()
        sound, faulty = calculator.calculate, globals()[fault]

        def calculate(atoms=None, *args, **kwargs):
            is_hit = set(atoms.symbols) == {"Au"} if pure else {"Au", "Cu"} == set(atoms.symbols)
            if is_hit and not (mend and Path(mend).exists()):
                return faulty.calculate(calculator, atoms, *args, **kwargs)
            return sound(atoms, *args, **kwargs)

        calculator.calculate = calculate
        return calculator


class Logged(EMT):
    """EMT that takes a while and writes down when it was started and the energy that it is about to give."""

    def __init__(self, log, seconds=0.0):
        super().__init__()
        self.log, self.seconds = Path(log), seconds

    def calculate(self, *args, **kwargs):
        began = time.time()
        super().calculate(*args, **kwargs)
        with self.log.open("a") as file:
            file.write(f"{began} {float(self.results['energy'])!r}\n")
        time.sleep(self.seconds)


class FindsNoRoom(EMT):
    """EMT on a disk that is full as long as a file is there."""

    def __init__(self, full):
        super().__init__()
        self.full = Path(full)

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        if self.full.exists():
            raise OSError(errno.ENOSPC, "No space left on device")


class FillsDisk(Logged):
    """From its third calculation on it fills the disk on which it calculates, until a file is there."""

    def __init__(self, log, mend):
        super().__init__(log)
        self.mend = Path(mend)

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        if len(self.log.read_text().splitlines()) > 2 and not self.mend.exists():
            with Path("WAVECAR").open("wb") as file:
                while True:
                    file.write(bytes(1 << 16))
