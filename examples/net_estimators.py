"""Any network inside scikit-learn: searches, pipelines, calibration, features, intervals.

    python examples/net_estimators.py [--epochs 30]

A convolutional network, written as usual, becomes a classifier of the digits that come with scikit-learn.
"""

import argparse

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import nbnet as nb
from nbnet.estimators import NetClassifier, NetRegressor, NetTransformer

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=30)
epochs = parser.parse_args().epochs

digits = load_digits()
names = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])[digits.target]
x_train, x_test, y_train, y_test = train_test_split(digits.data, names, test_size=0.3, random_state=0, stratify=names)

# The model takes images, the table has rows of 64 numbers: they are reshaped.
model = nb.Sequential(
    [
        nb.Input((8, 8, 1)),
        nb.layers.Conv2D(8, 3, activation="relu", name="conv"),
        nb.layers.Flatten(),
        nb.layers.Dropout(0.2, name="drop"),
        nb.layers.Dense(32, activation="relu", name="hidden"),
        nb.layers.Dense(10, activation="softmax"),
    ]
)
net = NetClassifier(model, epochs=epochs, random_state=0, optimizer__learning_rate=0.003)
pipe = make_pipeline(MinMaxScaler(), net)

# Settings of layers are parameters; a wrong name is an error before anything is trained.
grid = {"netclassifier__model__drop__rate": [0.0, 0.2, 0.5], "netclassifier__model__hidden__units": [8, 32]}
search = GridSearchCV(pipe, grid, cv=3).fit(x_train, y_train)
best = {name.removeprefix("netclassifier__model__"): value for name, value in search.best_params_.items()}
print(f"best of {len(search.cv_results_['params'])} settings: {best}, accuracy {100 * search.best_score_:.1f}%")
print(f"test accuracy             {100 * search.score(x_test, y_test):.1f}%")


# A function that builds the model is told what it asks for, here of the target.
def build(output_units: int, output_activation: str, width: int = 64, rate: float = 0.3) -> nb.Sequential:
    layers = [nb.layers.Dense(width, activation="relu"), nb.layers.Dropout(rate)]
    return nb.Sequential([*layers, nb.layers.Dense(output_units, activation=output_activation)])


stop = nb.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
built = NetClassifier(build, epochs=200, validation_split=0.2, callbacks=stop, random_state=0, model__rate=0.2)
pipe = make_pipeline(MinMaxScaler(), built).fit(x_train, y_train)
print(f"built by a function       {100 * pipe.score(x_test, y_test):.1f}%, stopped after {pipe[-1].n_iter_} epochs")

# Passes with dropout at work say which answers to doubt.
surest = pipe.predict_proba(x_test, mc_samples=50).max(1)
right = pipe.predict(x_test) == y_test
half = np.argsort(-surest)[: len(surest) // 2]
print(f"the half it is surest of  {100 * right[half].mean():.1f}%")

calibrated = CalibratedClassifierCV(pipe, cv=3).fit(x_train, y_train)
print(f"calibrated                {100 * calibrated.score(x_test, y_test):.1f}%")

# The hidden layer of the network as features of another classifier, for a question it was not trained for.
features = NetTransformer(search.best_estimator_[-1].model_, "hidden", prefit=True)
even = make_pipeline(MinMaxScaler(), features, LogisticRegression(max_iter=1000))
train_even, test_even = (np.isin(y, ["zero", "two", "four", "six", "eight"]) for y in (y_train, y_test))
score = even.fit(x_train, train_even).score(x_test, test_even)
print(f"even or odd, by features  {100 * score:.1f}%")

x, y = load_diabetes(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x, y / 100, test_size=0.3, random_state=0)
regressor = NetRegressor(
    validation_split=0.3, random_state=0, epochs=2 * epochs, model__hidden=(32,), model__dropout=0.1
)
pipe = make_pipeline(StandardScaler(), regressor).fit(x_train, y_train)
low, high = pipe[-1].predict_interval(pipe[:-1].transform(x_test), 0.8)
inside = np.mean((low <= y_test) & (y_test <= high))
print(f"diabetes: R2 {pipe.score(x_test, y_test):.2f}; {100 * inside:.0f}% of targets lie in intervals meant for 80%")
