"""Networks among scikit-learn's tools: pipelines, searches, calibration, stacking, inspection.

    python examples/sklearn_pipeline.py [--seed 0]

The data are the 569 tumours and the 442 patients that scikit-learn ships.
"""

import argparse

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import StackingClassifier
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nbnet.calibration import interval_coverage
from nbnet.estimators import MLPClassifier, MLPRegressor

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--seed", type=int, default=0)
seed = parser.parse_args().seed

data = load_breast_cancer()
x_train, x_test, y_train, y_test = train_test_split(
    data.data, data.target_names[data.target], stratify=data.target, random_state=seed
)
common = {"learning_rate_init": 0.01, "early_stopping": True, "random_state": seed}

# A pipeline, and a search for the rate of dropout and the layers.
pipeline = make_pipeline(StandardScaler(), MLPClassifier(input_dropout=0.1, max_norm=3.0, **common))
grid = {"mlpclassifier__dropout": [0.0, 0.2, 0.5], "mlpclassifier__hidden_layer_sizes": [(32,), (64, 32)]}
search = GridSearchCV(pipeline, grid, cv=3, scoring="neg_log_loss").fit(x_train, y_train)
network = search.best_estimator_
print(f"best of the search: {search.best_params_}")
print(f"accuracy of the network: {network.score(x_test, y_test):.1%}")

# Probabilities for every row by networks that have not seen it; calibrated ones.
held_out = cross_val_predict(network, x_train, y_train, cv=3, method="predict_proba")
print(f"log loss by cross-validation: {log_loss(y_train, held_out):.3f}")
calibrated = CalibratedClassifierCV(network, method="sigmoid", cv=3).fit(x_train, y_train)
print(f"log loss, calibrated: {log_loss(y_test, calibrated.predict_proba(x_test)):.3f}")

# Beside another model.
linear = make_pipeline(StandardScaler(), LogisticRegression())
stack = StackingClassifier([("network", network), ("linear", linear)], cv=3).fit(x_train, y_train)
print(f"accuracy of the stack: {stack.score(x_test, y_test):.1%}")

# The features that matter to the network.
importance = permutation_importance(network, x_test, y_test, n_repeats=5, random_state=seed).importances_mean
first = int(np.argmax(importance))
print(f"most important: {data.feature_names[first]}, {importance[first]:.3f} of the accuracy")
curve = partial_dependence(network, x_test, [first], grid_resolution=5)
print(f"probability of a {network.classes_[1]} one along it: {np.round(curve['average'][0], 2)}")

# Numbers, and how far off they may be: the rows that early stopping holds out say how wide intervals have to be.
x, y = load_diabetes(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=seed)
regressor = make_pipeline(
    StandardScaler(), MLPRegressor(hidden_layer_sizes=[64, 64], dropout=0.2, validation_fraction=0.3, **common)
).fit(x_train, y_train)
print(f"R2 of the regressor: {regressor.score(x_test, y_test):.2f}")
scaler, net = regressor
lower, upper = net.predict_interval(scaler.transform(x_test), coverage=0.8)
print(f"targets in intervals of 80%: {interval_coverage(y_test, lower, upper):.0%}")
