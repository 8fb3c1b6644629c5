"""Kernel matrices put together from blocks that are computed once: settings close to each other share most of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hullscout.regression.arrays import FloatArray
from hullscout.regression.covariance import Combination, Kernel, KernelShape

Representations = Mapping[str, Mapping[str, FloatArray]]
"""For each representation, for each block, separations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockKernels:
    """Kernels of any length scales and weights on the same separations.

    Attributes:
        separations: For each representation and block, separations; arrays of one shape.
    """

    separations: Representations
    _blocks: dict[tuple[str, str, float, KernelShape], FloatArray] = field(init=False, repr=False, default_factory=dict)

    def matrix(self, kernel: Kernel, representation: str) -> FloatArray:
        """The kernel's covariances, in the shape of the separations; a new array."""
        separations = self.separations[representation]
        if kernel.combination is Combination.JOINT:
            return np.array(kernel(separations))
        total: FloatArray = np.zeros_like(separations[kernel.terms[0].block])
        for term in kernel.terms:
            if term.weight == 0.0:
                continue
            key = (representation, term.block, term.length_scale, kernel.shape)
            if key not in self._blocks:
                self._blocks[key] = kernel.alone(term, separations)
            total += term.weight * self._blocks[key]
        return total
