"""Networks as scikit-learn's estimators.

``MLPClassifier`` and ``MLPRegressor`` are scikit-learn's classes of that name, many times faster and with dropout and
more; ``NetClassifier``, ``NetRegressor`` and ``NetTransformer`` wrap any model of nbnet. ``MultiFitSearchCV`` is a
``GridSearchCV`` that trains them side by side in one process. This is where the first two differ on purpose from
scikit-learn 1.9:

- They compute in float32 unless ``dtype`` says otherwise; with ``dtype="float64"`` they agree with scikit-learn's to
  the last digits, weights after any number of epochs included.
- ``warm_start`` goes on with the weights when rates, functions, alpha or dtype have changed, and says so when sizes
  have, which do not fit. It does not keep ``partial_fit`` from seeing batches without some of the classes.
- Weights of samples are not negative. A batch in which all are 0 has a loss and a gradient of 0.
- Of a single class the probability is 1, in a single column.
- L-BFGS prints a line for each iteration if it is ``verbose``.
"""

from nbnet.estimators.classifier import MLPClassifier
from nbnet.estimators.net_classifier import NetClassifier
from nbnet.estimators.net_regressor import NetRegressor
from nbnet.estimators.net_transformer import NetTransformer
from nbnet.estimators.regressor import MLPRegressor
from nbnet.estimators.search import MultiFitSearchCV

__all__ = ["MLPClassifier", "MLPRegressor", "MultiFitSearchCV", "NetClassifier", "NetRegressor", "NetTransformer"]
