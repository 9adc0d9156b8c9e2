"""Malignant or benign? A binary classifier with dropout, on measurements of cell nuclei.

    python examples/binary_classification.py [--epochs 100]

The 569 tumours of the Wisconsin breast cancer data come with scikit-learn. The model takes raw measurements: its first
layer learns their means and variances. Training stops when the validation loss has not fallen for 15 epochs, and goes
back to the best weights.
"""

import argparse

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import nbnet as keras

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=100)
epochs = parser.parse_args().epochs
keras.utils.set_random_seed(0)

x, benign = load_breast_cancer(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x, 1 - benign, test_size=0.25, stratify=benign, random_state=0)

normalization = keras.layers.Normalization()
normalization.adapt(x_train)
model = keras.Sequential(
    [
        keras.Input(shape=(30,)),
        normalization,
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(1, activation="sigmoid"),
    ],
    name="tumours",
)
model.summary()
model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=0.005),
    loss="binary_crossentropy",
    metrics=["accuracy", keras.metrics.AUC(name="auc"), keras.metrics.Recall(name="recall")],
)
# Of a hundred patients 37 are ill: missing one of them is made to weigh more than a false alarm.
history = model.fit(
    x_train,
    y_train,
    batch_size=32,
    epochs=epochs,
    validation_split=0.2,
    class_weight={0: 1.0, 1: 1.7},
    callbacks=[keras.callbacks.EarlyStopping(patience=15, restore_best_weights=True)],
    verbose=0,
)

scores = model.evaluate(x_test, y_test, return_dict=True, verbose=0)
found = model.predict(x_test, verbose=0)[:, 0] > 0.5
print(f"trained for {len(history.history['loss'])} epochs; best validation loss {min(history.history['val_loss']):.3f}")
print(f"test accuracy  {scores['accuracy']:.1%} (always saying benign: {np.mean(y_test == 0):.1%})")
print(f"test AUC       {scores['auc']:.4f}")
print(f"found {np.sum(found & (y_test == 1))} of {np.sum(y_test)} malignant tumours")
print(f"false alarms: {np.sum(found & (y_test == 0))}")
