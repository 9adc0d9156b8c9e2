"""An op of your own in one file: snake, an activation that can learn periods.

    python examples/custom_op.py

    y = x + sin(a x)**2 / a,  one frequency a for each unit, learned

The file holds all there is to an op: two kernels, a record, a function. Then it is used: in a gradient check, in a
layer, in a model that trains.

L. Ziyin, T. Hartwig, M. Ueda: Neural networks fail to learn periodic functions and how to fix it. NeurIPS 2020.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import nbnet as nb
from nbnet import layers
from nbnet.engine.graph.op import Spec
from nbnet.engine.graph.tensor import apply, tensors
from nbnet.engine.kernels.abi import accumulates, mat, present, vec

EPOCHS = 300

# ---- the op --------------------------------------------------------------------------------------------------
# A kernel reads and writes its operands through views (mat: rows and columns, vec: flat). It allocates nothing and
# never raises: infer checks the shapes, once, before it runs. Everything it needs is an operand.


@nb.kernel
def snake_forward(mem: Any, ins: Any, step: Any) -> None:
    x, a, y = mat(mem, ins, 0), vec(mem, ins, 1), mat(mem, ins, 2)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            s = np.sin(a[j] * x[i, j])
            y[i, j] = x[i, j] + s * s / a[j]


@nb.kernel
def snake_backward(mem: Any, ins: Any, step: Any) -> None:
    x, a, dy, dx, da = mat(mem, ins, 0), vec(mem, ins, 1), mat(mem, ins, 2), mat(mem, ins, 3), vec(mem, ins, 4)
    # A gradient nobody asked for is absent; the row says whether to overwrite one or to add to it.
    if present(ins, 3):
        if not accumulates(ins, 3):
            dx[:] = 0.0
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                dx[i, j] += dy[i, j] * (1.0 + np.sin(2.0 * a[j] * x[i, j]))
    if present(ins, 4):
        if not accumulates(ins, 4):
            da[:] = 0.0
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                s = np.sin(a[j] * x[i, j])
                da[j] += dy[i, j] * (x[i, j] * np.sin(2.0 * a[j] * x[i, j]) - s * s / a[j]) / a[j]


def infer(x: nb.Tensor, a: nb.Tensor) -> tuple[Spec]:
    """The shape of y; what does not fit is refused here, in words."""
    if a.shape != x.shape[-1:]:
        raise ValueError(f"snake: expected one frequency for each of the last axis of x, got {a.shape} for {x.shape}")
    return (Spec(x.shape),)


SNAKE = nb.Op(
    "snake",
    snake_forward,  # operands: inputs, then outputs
    inputs=("x", "a"),
    infer=infer,
    backward=snake_backward,
    gradient=("x", "a", "dy", "dx", "da"),  # operands of backward, in this order
)


def snake(x: Any, a: Any) -> nb.Tensor:
    """``x + sin(a x)**2 / a``, element by element; x (..., units), a (units,), none of them 0."""
    return apply(SNAKE, *tensors(x, a))


# ---- a layer -------------------------------------------------------------------------------------------------


class Snake(layers.Layer):
    """``snake`` with a frequency for each unit, learned from ``frequency`` on."""

    def __init__(self, frequency: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.frequency = frequency

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.a = self.add_weight((input_shape[-1] or 0,), nb.initializers.Constant(self.frequency), name="a")

    def call(self, x: nb.Tensor) -> nb.Tensor:
        return snake(x, self.a)


# ---- in use --------------------------------------------------------------------------------------------------


def check_gradients() -> float:
    """The largest relative difference between backward and central differences, in float64, along random directions."""
    rng = np.random.default_rng(0)
    x, a = rng.normal(size=(6, 4)), rng.uniform(0.5, 2, 4)
    weights = rng.normal(size=x.shape)

    def value(x: Any, a: Any) -> float:
        return float((snake(x, a).numpy() * weights).sum())

    with nb.Tape() as tape:
        inputs = [nb.Parameter(x), nb.Parameter(a)]
        loss = nb.ops.sum(snake(*inputs) * weights)
    gradients = tape.gradient(loss, inputs)

    worst = 0.0
    for k, gradient in enumerate(gradients):
        direction = rng.normal(size=gradient.shape)
        step = [1e-6 * direction if k == i else 0.0 for i in range(2)]
        numeric = (value(x + step[0], a + step[1]) - value(x - step[0], a - step[1])) / 2e-6
        exact = float((gradient.numpy() * direction).sum())
        worst = max(worst, abs(exact - numeric) / abs(exact))
    return worst


def train(activation: layers.Layer) -> tuple[float, float]:
    """Fit a wave on [-8, 8] with 64 hidden units; the mean squared errors there and outside, on 8 < abs(x) < 16."""
    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((1,)), layers.Dense(64), activation, layers.Dense(1)])
    model.compile(optimizer=nb.optimizers.Adam(0.01), loss="mse")
    inside = np.linspace(-8, 8, 1024)[:, None]
    outside = np.concatenate([inside[:512] - 8, inside[512:] + 8])
    model.fit(inside, np.sin(inside), batch_size=32, epochs=EPOCHS, verbose=0)
    return tuple(model.evaluate(x, np.sin(x), verbose=0) for x in (inside, outside))


def main() -> None:
    error = check_gradients()
    print(f"gradients of snake against central differences: relative error {error:.1e}")
    assert error < 1e-6

    print(f"sin(x), learned from -8 < x < 8 in {EPOCHS} epochs; mean squared errors:")
    learned = Snake(name="snake")
    for layer in (layers.Activation("relu", name="relu"), layers.Activation("tanh", name="tanh"), learned):
        inside, outside = train(layer)
        print(f"  {layer.name:<6} inside {inside:8.5f}   outside, 8 < |x| < 16: {outside:8.5f}")
    a = learned.get_weights()[0]
    print(f"the {a.size} frequencies of snake, all 1 at first, now lie between {a.min():.3f} and {a.max():.3f}")
    assert outside < 0.1
    assert a.min() < 1 < a.max()


if __name__ == "__main__":
    main()
