"""scikit-learn estimators."""

from nbnet.estimators.classifier import MLPClassifier
from nbnet.estimators.net_classifier import NetClassifier
from nbnet.estimators.net_regressor import NetRegressor
from nbnet.estimators.net_transformer import NetTransformer
from nbnet.estimators.regressor import MLPRegressor
from nbnet.estimators.search import MultiFitSearchCV

__all__ = ["MLPClassifier", "MLPRegressor", "MultiFitSearchCV", "NetClassifier", "NetRegressor", "NetTransformer"]
