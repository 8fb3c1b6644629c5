"""The labels of different structures, and what each learns from all others under one setting."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hullscout.regression.arrays import FloatArray, IntArray
from hullscout.regression.leave_one_out import leave_out, spectrum
from hullscout.regression.process import GaussianProcess, condition
from hullscout.regression.settings import Hyperparameters
from hullscout.regression.suspects import Suspicion, distrust

Representations = Mapping[str, Mapping[str, FloatArray]]
"""For each representation, for each block, separations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Labels of different structures, and what is needed to learn from them.

    Attributes:
        labelled: For each representation and block, separations among the labels, shape (n, n).
        basis: The mean's basis functions at the labels, shape (n, p).
        y: Labels, shape (n,).
        groups: Index arrays of labels that are left out together.
    """

    labelled: Representations
    basis: FloatArray
    y: FloatArray
    groups: tuple[IntArray, ...]

    def trusting(self) -> Suspicion:
        """No suspects."""
        return Suspicion(suspects=np.zeros(0, dtype=np.intp), noise=np.ones(len(self.y)))

    def restricted(self, rows: IntArray) -> "Known":
        """Only these labels."""
        if len(rows) == len(self.y):
            return self
        place = np.full(len(self.y), -1)
        place[rows] = np.arange(len(rows))
        moved = (place[group][place[group] >= 0] for group in self.groups)
        return Known(
            labelled=chosen(self.labelled, rows),
            basis=self.basis[rows],
            y=self.y[rows],
            groups=tuple(group for group in moved if len(group) > 1),
        )

    def left_out(self, setting: Hyperparameters, noise: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Mean and variance (with the common noise) of each label, from the labels outside its group."""
        decomposition = spectrum(setting.kernel(self.labelled[setting.representation]), self.basis, noise=noise)
        result = leave_out(decomposition, self.y, np.array([setting.regularization]), groups=self.groups)
        extra = 0.0 if noise is None else setting.regularization * (noise - 1.0)
        variances = result.variances[:, 0] - extra
        return self.y - result.residuals[:, 0], variances * setting.signal_variance

    def suspicion(
        self,
        left_out: tuple[FloatArray, FloatArray],
        setting: Hyperparameters,
        suspicion: float,
        *,
        is_believed: npt.NDArray[np.bool_] | None = None,
    ) -> Suspicion:
        """Labels that a setting's leave-one-out mean and variance cannot explain, apart from those believed anyway."""
        mean, variance = left_out
        residuals = self.y - mean if is_believed is None else np.where(is_believed, 0.0, self.y - mean)
        noise_variance = setting.regularization * setting.signal_variance
        return distrust(residuals, variance, noise_variance, suspicion=suspicion)

    def process(self, setting: Hyperparameters, noise: FloatArray) -> GaussianProcess:
        """The process of a setting, conditioned on the labels."""
        return condition(
            setting.kernel(self.labelled[setting.representation]),
            self.basis,
            self.y,
            regularization=setting.regularization,
            signal_variance=setting.signal_variance,
            noise=noise,
        )


def chosen(labelled: Representations, rows: IntArray) -> dict[str, dict[str, FloatArray]]:
    """Separations among some of the labels."""
    square = np.ix_(rows, rows)
    return {name: {block: values[square] for block, values in blocks.items()} for name, blocks in labelled.items()}
