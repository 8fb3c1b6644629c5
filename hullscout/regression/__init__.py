"""Regression service: kernel models on feature blocks whose uncertainty can be believed.

`PoolModel` serves a campaign's rounds, `KernelModel` and its kin are scikit-learn estimators. The service knows neither
structures nor hulls nor campaigns: it takes feature arrays and heights, and gives means, covariances and samples. All
names are imported from here; numba, matplotlib and scikit-learn load when something first needs them. What cannot be used
raises `InvalidTrainingSetError` (labels and features) or `InvalidSettingError` (everything else that a caller chooses).
"""

from hullscout.regression.arrays import SINGLE
from hullscout.regression.calibration import (
    CalibrationReport,
    TailCalibration,
    calibrate,
    cap_height,
    coverage,
    diagnose,
    normal_scores,
    plot_calibration,
    student_quantile,
    tune_cap,
)
from hullscout.regression.covariance import (
    Combination,
    Hyperparameters,
    Kernel,
    KernelShape,
    KernelTerm,
    Mean,
    Metric,
    typical_separation,
)
from hullscout.regression.kernel_prior import KernelPrior
from hullscout.regression.mixture import FittedMixture, MixturePosterior, covariance_root
from hullscout.regression.model import KernelModel, NotFittedError
from hullscout.regression.pool_model import PoolModel
from hullscout.regression.pool_separations import PoolSeparations
from hullscout.regression.resampling import LearningCurve, ResamplingEnsemble, learning_curve, plot_learning_curves
from hullscout.regression.sparse import SparseKernelModel
from hullscout.regression.subset import (
    CompressionCurve,
    FeatureCompressor,
    compression_curve,
    cur_points,
    farthest_points,
    farthest_rows,
)
from hullscout.regression.tuning import (
    Criterion,
    ModelSettings,
    SearchPoint,
    Uncertainty,
    WarmStart,
)

__all__ = [
    "SINGLE",
    "CalibrationReport",
    "Combination",
    "CompressionCurve",
    "Criterion",
    "FeatureCompressor",
    "FittedMixture",
    "Hyperparameters",
    "Kernel",
    "KernelModel",
    "KernelPrior",
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
    "SearchPoint",
    "SparseKernelModel",
    "TailCalibration",
    "Uncertainty",
    "WarmStart",
    "calibrate",
    "cap_height",
    "compression_curve",
    "covariance_root",
    "coverage",
    "cur_points",
    "diagnose",
    "farthest_points",
    "farthest_rows",
    "learning_curve",
    "normal_scores",
    "plot_calibration",
    "plot_learning_curves",
    "student_quantile",
    "tune_cap",
    "typical_separation",
]
