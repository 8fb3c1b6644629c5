"""Regression service: kernel models on feature blocks whose uncertainty can be believed.

`PoolModel` serves a campaign's rounds, `KernelModel` and its kin are scikit-learn estimators. The service knows neither
structures nor hulls nor campaigns: it takes feature arrays and heights, and gives means, covariances and samples.
"""

from hullscout.regression.calibration import TailCalibration, calibrate
from hullscout.regression.compression import CompressionCurve, FeatureCompressor, compression_curve
from hullscout.regression.covariance import Combination, Kernel, KernelShape, KernelTerm, Metric
from hullscout.regression.diagnostics import CalibrationReport, diagnose, normal_scores, plot_calibration
from hullscout.regression.ensembles import ResamplingEnsemble
from hullscout.regression.estimator import NotFittedError
from hullscout.regression.learning_curves import LearningCurve, learning_curve, plot_learning_curves
from hullscout.regression.mixture import FittedMixture
from hullscout.regression.model import KernelModel
from hullscout.regression.pool_model import PoolModel
from hullscout.regression.posterior import MixturePosterior
from hullscout.regression.separations import PoolSeparations
from hullscout.regression.settings import Criterion, Hyperparameters, Mean, ModelSettings, Uncertainty
from hullscout.regression.sparse import SparseKernelModel
from hullscout.regression.subset import cur_points, farthest_points, farthest_rows
from hullscout.regression.targets import HeightCap, tune_cap
from hullscout.regression.tuning import WarmStart

__all__ = [
    "CalibrationReport",
    "Combination",
    "CompressionCurve",
    "Criterion",
    "FeatureCompressor",
    "FittedMixture",
    "HeightCap",
    "Hyperparameters",
    "Kernel",
    "KernelModel",
    "KernelShape",
    "KernelTerm",
    "LearningCurve",
    "Mean",
    "Metric",
    "MixturePosterior",
    "ModelSettings",
    "NotFittedError",
    "PoolModel",
    "PoolSeparations",
    "ResamplingEnsemble",
    "SparseKernelModel",
    "TailCalibration",
    "Uncertainty",
    "WarmStart",
    "calibrate",
    "compression_curve",
    "cur_points",
    "diagnose",
    "farthest_points",
    "farthest_rows",
    "learning_curve",
    "normal_scores",
    "plot_calibration",
    "plot_learning_curves",
    "tune_cap",
]
