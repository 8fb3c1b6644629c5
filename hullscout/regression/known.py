"""The labels of different structures, and what each learns from all others under one setting."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hullscout.errors import InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray, IntArray, are_constant
from hullscout.regression.block_kernels import Representations
from hullscout.regression.grouping import asked_apart, groups_among
from hullscout.regression.process import GaussianProcess, condition
from hullscout.regression.settings import Hyperparameters
from hullscout.regression.suspects import Suspicion, distrust


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
        return Known(
            labelled=chosen(self.labelled, rows),
            basis=self.basis[rows],
            y=self.y[rows],
            groups=groups_among(self.groups, rows, n=len(self.y)),
        )

    def can_spare(self, suspects: IntArray) -> bool:
        """Whether the other labels still differ and still determine the mean when one more, or a group, is left out."""
        believed = self.restricted(np.setdiff1d(np.arange(len(self.y)), suspects))
        n, p = believed.basis.shape
        if n <= p + 1 or are_constant(believed.y):
            return False
        if p == 0:
            return True
        leverages = np.sum(np.linalg.qr(believed.basis)[0] ** 2, axis=1)
        parts = (believed.basis, *(np.delete(believed.basis, group, axis=0) for group in believed.groups))
        return bool(leverages.max() < 1.0 - 1e-6) and all(np.linalg.matrix_rank(part) == p for part in parts)

    def left_out(
        self, setting: Hyperparameters, suspects: IntArray, *, process: GaussianProcess | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and variance (with the common noise) of each label, from the trusted labels outside its group.

        Suspects are left out altogether and predicted from the others: to subtract their large noise from a variance would
        leave rounding only.

        Args:
            setting: The setting.
            suspects: Indices of the labels that are not trusted.
            process: Of that setting, conditioned on the others, where there is one.

        Raises:
            InvalidTrainingSetError: The kernel matrix is singular to rounding.
        """
        trusted = np.setdiff1d(np.arange(len(self.y)), suspects)
        believed = self.restricted(trusted)
        if process is None:
            process = believed.process(setting, np.ones(len(trusted)))
        if process.jitter:
            raise InvalidTrainingSetError(
                f"Expected a regular kernel matrix of {len(trusted)} labels, found it singular to rounding with regularization "
                f"{setting.regularization:.3g}: what is left out would be rounding. Raise the regularization."
            )
        result = process.left_out(believed.groups)
        mean, variance = np.empty(len(self.y)), np.empty(len(self.y))
        mean[trusted] = believed.y - result.residuals[:, 0]
        variance[trusted] = result.variances[:, 0] * setting.signal_variance
        for asked, group in asked_apart(self.groups, suspects):
            rows = np.setdiff1d(trusted, group)
            others = self.restricted(rows).process(setting, np.ones(len(rows))) if len(rows) < len(trusted) else process
            mean[asked], variance[asked] = self._predicted(setting, others, rows, asked)
        return mean, variance

    def _predicted(
        self, setting: Hyperparameters, process: GaussianProcess, rows: IntArray, asked: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and variance (with the common noise) of some labels from others, which the process knows."""
        separations = self.labelled[setting.representation]
        cross = setting.kernel({block: values[np.ix_(rows, asked)] for block, values in separations.items()})
        prior = setting.kernel({block: np.diag(values)[asked] for block, values in separations.items()})
        mean, variance = process.predict(cross, prior, self.basis[asked])
        return mean, variance + setting.regularization * setting.signal_variance

    def suspicion(
        self,
        left_out: tuple[FloatArray, FloatArray],
        setting: Hyperparameters,
        suspicion: float,
        *,
        is_believed: npt.NDArray[np.bool_] | None = None,
        doubt: float = 1.0,
    ) -> Suspicion:
        """Labels that a setting's leave-one-out mean and variance cannot explain (see `distrust`), apart from those believed."""
        mean, variance = left_out
        residuals = self.y - mean if is_believed is None else np.where(is_believed, 0.0, self.y - mean)
        noise_variance = setting.regularization * setting.signal_variance
        return distrust(residuals, variance, noise_variance, suspicion=suspicion, doubt=doubt)

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
