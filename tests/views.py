"""What is known of made-up alloys: compositions and energies as arrays, without structures."""

from dataclasses import dataclass

import numpy as np

from hullscout.selection import Known, StopSettings
from hullscout.selection.stopping import concluded


@dataclass(frozen=True, kw_only=True, eq=False)
class ArrayPool:
    """Candidates that have a composition, x (n,) or fractions (n, k), and no structure."""

    x: np.ndarray
    n_atoms: np.ndarray
    baseline_ev_per_atom: np.ndarray | None = None
    elements: tuple[str, ...] = ("Ag", "Pd")

    @property
    def fractions(self):
        return self.x.reshape(len(self.x), -1)

    @property
    def end_names(self):
        return self.elements

    @property
    def end_labels(self):
        return tuple(f"pure {symbol}" for symbol in self.elements)

    @property
    def ids(self):
        return tuple(map(str, range(len(self.x))))

    @property
    def formulas(self):
        return tuple("at " + " ".join(f"{x:.3f}" for x in at) for at in self.fractions)

    def __len__(self):
        return len(self.x)


def known_of(x, energies, answered, *, baseline=None, failed=(), pending=(), elements=("Ag", "Pd"), **fields):
    """What is known when the energies of some candidates are."""
    x, answered = np.asarray(x, dtype=np.float64), np.asarray(answered, dtype=np.intp)
    return Known(
        pool=ArrayPool(x=x, n_atoms=np.ones(len(x), dtype=np.int64), baseline_ev_per_atom=baseline, elements=elements),
        answered=answered,
        energies_ev_per_atom=np.asarray(energies)[answered],
        failed=np.asarray(failed, dtype=np.intp),
        pending=np.asarray(pending, dtype=np.intp),
        **{"cost": np.ones(len(x)), **fields},
    )


def decided(rule, known, surrogate, **stop):
    """The decision of a rule, with the end where it is one."""
    settings = StopSettings(**stop)
    decision = rule.decide(known, surrogate, stop=settings)
    return concluded(known, decision, none_left=rule.none_left(decision, settings), settings=settings)
