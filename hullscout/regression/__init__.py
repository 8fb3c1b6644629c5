"""Regression service: kernel models whose uncertainty can be believed."""

from hullscout.regression.covariance import Combination, Kernel, KernelShape, KernelTerm, Metric
from hullscout.regression.model import KernelModel
from hullscout.regression.pool_model import PoolModel
from hullscout.regression.posterior import MixturePosterior
from hullscout.regression.settings import Criterion, Hyperparameters, Mean, ModelSettings, Uncertainty

__all__ = [
    "Combination",
    "Criterion",
    "Hyperparameters",
    "Kernel",
    "KernelModel",
    "KernelShape",
    "KernelTerm",
    "Mean",
    "Metric",
    "MixturePosterior",
    "ModelSettings",
    "PoolModel",
    "Uncertainty",
]
