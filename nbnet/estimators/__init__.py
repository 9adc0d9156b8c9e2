"""scikit-learn estimators."""

from nbnet.estimators.classifier import MLPClassifier
from nbnet.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
