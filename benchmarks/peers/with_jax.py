"""JAX as its tutorials write a training loop: pure functions under jit, a whole epoch in one scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.exercise import Array, Exercise, Network

#: Weights and biases, layer by layer.
Parameters = list[tuple[jax.Array, jax.Array]]


def settings(network: Network) -> dict[str, dict[str, Any]]:
    """Both generators of random bits, where there is dropout."""
    return {f"scan, {bits}": {"bits": bits} for bits in ("rbg", "threefry2x32")[: 2 if any(network.rates()) else 1]}


def drop(x: jax.Array, rate: float, key: jax.Array) -> jax.Array:
    """Inverted dropout."""
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)


def logits(network: Network, parameters: Parameters, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
    """Of rows; with dropout where there is a key."""
    keys = [None] * len(parameters) if key is None else jax.random.split(key, len(parameters))
    for i, ((w, b), rate) in enumerate(zip(parameters, network.rates(), strict=True)):
        if rate and key is not None:
            x = drop(x, rate, keys[i])
        x = x @ w + b
        x = jax.nn.relu(x) if i < len(parameters) - 1 else x
    return x


def batch_loss(
    network: Network, penalty: jax.Array, parameters: Parameters, x: jax.Array, y: jax.Array, key: jax.Array
) -> Any:
    """Mean cross-entropy of a batch with the penalty, which is what is differentiated, and without."""
    z = jax.nn.log_softmax(logits(network, parameters, x, key))
    loss = -jnp.take_along_axis(z, y[:, None], 1).mean()
    if not network.penalty:
        return loss, loss
    return loss + penalty / 2 * sum((w**2).sum() for w, _ in parameters), loss


def update(network: Network, learning_rate: jax.Array, state: Any, gradients: Any) -> Any:
    """Adam's: parameters, first and second moments, number of steps."""
    parameters, m, v, step = state
    step = step + 1
    time, (beta_1, beta_2) = step.astype(network.dtype), network.betas
    rate = learning_rate * jnp.sqrt(1 - beta_2**time) / (1 - beta_1**time)
    m = jax.tree.map(lambda m, g: beta_1 * m + (1 - beta_1) * g, m, gradients)
    v = jax.tree.map(lambda v, g: beta_2 * v + (1 - beta_2) * g**2, v, gradients)
    parameters = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + network.epsilon), parameters, m, v)
    return parameters, m, v, step


@partial(jax.jit, static_argnums=0, donate_argnums=2)
def epoch(network: Network, numbers: Any, state: Any, x: jax.Array, y: jax.Array, key: jax.Array) -> Any:
    """Return the state after an epoch, and its mean loss.

    Parameters
    ----------
    network
        The network to compile for; its learning rate is not used, and its penalty only says if there is one.
    numbers
        Learning rate and penalty.
    """
    learning_rate, penalty = numbers
    n, size = len(x), network.batch_size
    shuffling, dropping = jax.random.split(key)
    order = jax.random.permutation(shuffling, n) if network.shuffle else jnp.arange(n)

    def step(state: Any, batch: Any) -> Any:
        rows, key = batch
        gradient = jax.grad(partial(batch_loss, network, penalty), has_aux=True)
        gradients, loss = gradient(state[0], x[rows], y[rows], key)
        return update(network, learning_rate, state, gradients), loss * len(rows)

    full = n // size
    keys = jax.random.split(dropping, full + 1)
    state, losses = jax.lax.scan(step, state, (order[: full * size].reshape(full, size), keys[:full]))
    total = losses.sum()
    if n % size:
        state, loss = step(state, (order[full * size :], keys[full]))
        total += loss
    return state, total / n


@partial(jax.jit, static_argnums=0)
def probabilities(network: Network, parameters: Parameters, x: jax.Array) -> jax.Array:
    """Of rows."""
    return jax.nn.softmax(logits(network, parameters, x))


class JaxLearner:
    """Parameters and moments."""

    def __init__(self, exercise: Exercise, bits: str = "rbg") -> None:
        self.exercise = exercise
        self.key = jax.random.key(0, impl=bits)
        self.x, self.y = jnp.asarray(exercise.x), jnp.asarray(exercise.y)
        network = exercise.network
        self.numbers = jnp.asarray([network.learning_rate, network.penalty], network.dtype)
        self.compiled = replace(network, learning_rate=0.0, penalty=float(network.penalty > 0))
        self.reset()

    def reset(self) -> None:
        weights = self.exercise.weights

        def made(array: Callable[[Array], jax.Array]) -> Parameters:
            return [(array(w), array(b)) for w, b in zip(weights[::2], weights[1::2], strict=True)]

        # jnp.array copies: an epoch takes the memory of what it is given.
        self.state = made(jnp.array), made(jnp.zeros_like), made(jnp.zeros_like), jnp.zeros((), np.int32)

    def train(self, epochs: int) -> list[float]:
        losses = []
        for _ in range(epochs):
            self.key, key = jax.random.split(self.key)
            self.state, loss = epoch(self.compiled, self.numbers, self.state, self.x, self.y, key)
            losses.append(loss)
        return list(map(float, losses))

    def predictors(self, rows: int) -> dict[str, Callable[[Array], Any]]:
        network, parameters = self.compiled, self.state[0]
        return {"jit": lambda x: np.asarray(probabilities(network, parameters, x))}


def dropout(shape: tuple[int, int], rate: float) -> dict[str, Callable[[], Any]]:
    """Forward and backward, with both generators."""

    @jax.jit
    def both(x: jax.Array, dy: jax.Array, key: jax.Array) -> Any:
        y, back = jax.vjp(lambda x: drop(x, rate, key), x)
        return y, back(dy)

    def run(key: jax.Array) -> Any:
        return jax.block_until_ready(both(x, dy, key))

    x, dy = jnp.ones(shape), jnp.ones(shape)
    keys = {bits: jax.random.key(0, impl=bits) for bits in ("rbg", "threefry2x32")}
    return {bits: partial(run, key) for bits, key in keys.items()}


def adam(shapes: Sequence[tuple[int, ...]]) -> dict[str, Callable[[], Any]]:
    """An update of parameters of these shapes."""
    network = Network((1, 1), 1)

    def made() -> list[jax.Array]:
        return [jnp.ones(shape) for shape in shapes]

    jitted = jax.jit(partial(update, network, jnp.float32(1e-3)), donate_argnums=0)
    state, gradients = (made(), made(), made(), jnp.zeros((), np.int32)), made()

    def run() -> None:
        nonlocal state
        state = jax.block_until_ready(jitted(state, gradients))

    return {"jit": run}


start = JaxLearner
