"""Fashion-MNIST: a small convolutional network with dropout.

    python examples/convnet_fashion_mnist.py [--epochs 5] [--digits]

The environment variable NBNET_DATA may name a folder with the four files of Fashion-MNIST; otherwise scikit-learn
fetches them from OpenML. With --digits nothing is fetched: the pictures are the 1,797 digits that scikit-learn ships,
enlarged from 8x8 pixels to 24x24.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits

import nbnet as keras

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--digits", action="store_true", help="scikit-learn's digits instead of Fashion-MNIST")
arguments = parser.parse_args()
keras.utils.set_random_seed(0)

if arguments.digits:
    digits, labels = load_digits(return_X_y=True)
    images = np.kron(digits.reshape(-1, 8, 8) * 255 / 16, np.ones((3, 3))).astype("uint8")
    (x_train, y_train), (x_test, y_test) = (images[:1400], labels[:1400]), (images[1400:], labels[1400:])
else:
    (x_train, y_train), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
x_train, x_test = x_train[..., None], x_test[..., None]  # (n, height, width, 1): one channel

model = keras.Sequential(
    [
        keras.Input(shape=x_train.shape[1:]),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(16, kernel_size=(3, 3), padding="same", activation="relu"),
        keras.layers.MaxPooling2D(pool_size=(2, 2)),
        keras.layers.Conv2D(32, kernel_size=(3, 3), padding="same", activation="relu"),
        keras.layers.MaxPooling2D(pool_size=(2, 2)),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.summary()
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=64, epochs=arguments.epochs, validation_split=0.1, verbose=2)

loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"test loss      {loss:.3f}")
print(f"test accuracy  {accuracy:.1%} (guessing: {np.bincount(y_test).max() / len(y_test):.1%})")
