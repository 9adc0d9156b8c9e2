"""Networks as scikit-learn estimators.

``MLPClassifier`` and ``MLPRegressor`` are scikit-learn's classes of that name, many times faster and with dropout and
more; ``NetClassifier``, ``NetRegressor`` and ``NetTransformer`` wrap any model of nbnet. ``MultiFitSearchCV`` is a
``GridSearchCV`` that trains them side by side in one process. The first two differ from scikit-learn 1.9 on purpose:

- They compute in float32 by default; with ``dtype="float64"`` they agree with scikit-learn to the last digits, weights
  after any number of epochs included.
- ``warm_start`` continues with the weights if rates, functions, alpha or dtype have changed, and raises an error if
  sizes have. It does not keep ``partial_fit`` from seeing batches without some of the classes.
- Sample weights are not negative. A batch in which all are 0 has a loss and a gradient of 0.
- The probability of a single class is 1, in a single column.
- L-BFGS prints a line for each iteration if ``verbose`` is True.
"""

from nbnet.estimators.mlp import MLPClassifier, MLPRegressor
from nbnet.estimators.net import NetClassifier, NetRegressor
from nbnet.estimators.net_transformer import NetTransformer
from nbnet.estimators.search import MultiFitSearchCV

__all__ = ["MLPClassifier", "MLPRegressor", "MultiFitSearchCV", "NetClassifier", "NetRegressor", "NetTransformer"]
