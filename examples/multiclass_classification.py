"""Ten digits: a classifier with dropout, label smoothing and a learning rate that falls along a cosine.

    python examples/multiclass_classification.py [--epochs 60]

The data are the 1,797 digits of 8x8 pixels that scikit-learn ships; targets are one-hot, outputs are logits.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

import nbnet as keras

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=60)
epochs = parser.parse_args().epochs
keras.utils.set_random_seed(0)

images, labels = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(
    images / 16, labels, test_size=0.25, stratify=labels, random_state=0
)

model = keras.Sequential()
model.add(keras.Input(shape=(64,)))
model.add(keras.layers.Dropout(0.1))
for units in (256, 128):
    model.add(keras.layers.Dense(units, kernel_initializer="he_normal"))
    model.add(keras.layers.BatchNormalization())
    model.add(keras.layers.Activation("relu"))
    model.add(keras.layers.Dropout(0.4))
model.add(keras.layers.Dense(10))

batch_size = 32
steps = epochs * -(-len(x_train) // batch_size)
model.compile(
    optimizer=keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(0.003, steps), weight_decay=1e-4),
    loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
    metrics=["accuracy", keras.metrics.TopKCategoricalAccuracy(k=2, name="top_2")],
)
model.fit(x_train, keras.utils.to_categorical(y_train, 10), batch_size=batch_size, epochs=epochs, verbose=0)

_, accuracy, top_2 = model.evaluate(x_test, keras.utils.to_categorical(y_test, 10), verbose=0)
linear = LogisticRegression(max_iter=1000).fit(x_train, y_train).score(x_test, y_test)
print(f"test accuracy  {accuracy:.1%} (logistic regression: {linear:.1%})")
print(f"the right digit is among the first two in {top_2:.1%}")

probabilities = np.asarray(keras.ops.softmax(model.predict(x_test, verbose=0)))
surest = np.argsort(-probabilities.max(axis=1))[: len(x_test) // 2]
right = probabilities.argmax(axis=1) == y_test
print(f"accuracy in the half it is surest of: {right[surest].mean():.1%}")
