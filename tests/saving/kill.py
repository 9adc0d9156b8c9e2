"""A process that saves a model again and again until it is killed: ``python kill.py file``.

It says after each file which number it has.
"""

import sys

import numpy as np

import nbnet as nb

if __name__ == "__main__":
    model = nb.Sequential([nb.Input((200,)), nb.layers.Dense(400, name="big"), nb.layers.Dense(1, name="out")])
    weights = model.get_weights()
    number = int(sys.argv[2])
    while True:
        number += 1
        model.set_weights([np.full_like(weight, number) for weight in weights])
        model.save(sys.argv[1])
        print(number, flush=True)
