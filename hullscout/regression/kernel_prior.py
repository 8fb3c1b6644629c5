"""Kernels drawn from what those of other data were like."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import scipy

LOG_WEIGHT_FLOOR: Final = -12.0
"""log2 of the smallest weight over the largest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPrior:
    """What kernels of other data were like: kernels drawn from this are weighed by the labels, and none is searched.

    Of each block, log2(length scale over typical separation) and log2(weight) are normal and independent. The draws are an additive
    recurrence (M. Roberts, The unreasonable effectiveness of quasirandom sequences, 2018): the same ones every time.

    Attributes:
        extras: (block, log2 of its length, log2 of its weight over the largest) of blocks that only every other kernel has.
        n_drawn: Kernels drawn.
        trust: The likelihood of the labels counts to this power, below 1 since energies are no draws from any of these processes
            (Miller & Dunson, J. Am. Stat. Assoc. 114, 1113 (2019)).
    """

    log_length_mean: float
    log_length_std: float
    log_weight_std: float
    extras: tuple[tuple[str, float, float], ...] = ()
    n_drawn: int = 32
    trust: float = 0.5

    def points(self, blocks: Sequence[str]) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
        """The drawn kernels of these blocks: log2 of each length, and of each weight over the largest."""
        extras = {name: (length, weight) for name, length, weight in self.extras if name in blocks}
        extras = extras if len(extras) < len(blocks) else {}  # beside others only
        drawn = [place for place, name in enumerate(blocks) if name not in extras]
        columns = 2 * len(drawn) if len(drawn) > 1 else 1
        golden = 2.0
        for _ in range(40):  # to the positive root of g^(d + 1) = g + 1
            golden = (1.0 + golden) ** (1.0 / (columns + 1))
        steps = golden ** -np.arange(1.0, columns + 1)
        normal = scipy.special.ndtri((0.5 + np.arange(1, self.n_drawn + 1)[:, None] * steps) % 1.0)
        lengths, weights = np.empty((self.n_drawn, len(blocks))), np.empty((self.n_drawn, len(blocks)))
        # In half octaves: kernels that share the length of a block share its matrix.
        lengths[:, drawn] = np.round(2.0 * (self.log_length_mean + self.log_length_std * normal[:, : len(drawn)])) / 2.0
        weights[:, drawn] = self.log_weight_std * normal[:, len(drawn) :] if len(drawn) > 1 else 0.0
        weights[:, drawn] -= weights[:, drawn].max(axis=1, keepdims=True)
        for name, (length, weight) in extras.items():
            lengths[:, blocks.index(name)] = length
            weights[:, blocks.index(name)] = np.where(np.arange(self.n_drawn) % 2 == 0, weight, LOG_WEIGHT_FLOOR)
        weights = np.maximum(weights, LOG_WEIGHT_FLOOR)
        return [
            (tuple(length), tuple(weight)) for length, weight in zip(lengths.tolist(), weights.tolist(), strict=True)
        ]


@lru_cache(maxsize=64)
def drawn_points(prior: KernelPrior, blocks: tuple[str, ...]) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """The points of a prior, which are asked for in each round."""
    return prior.points(blocks)
