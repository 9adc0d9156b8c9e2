"""PyTorch by its performance guide: fused Adam, gradients set to None, whole tensors, inference mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch

from benchmarks.numpy_mlp.blas_alone import operands
from benchmarks.peers.exercise import Array, Exercise, Network
from benchmarks.peers.threads import choices, named

#: Bytes of data that are copied for an epoch.
SMALL = 8 << 20


def settings(network: Network) -> dict[str, dict[str, Any]]:
    """Eager and compiled, on one thread and on all."""
    return {
        f"{'compiled' if compiled else 'eager'}, {named(threads)}": {"compiled": compiled, "threads": threads}
        for compiled in (False, True)
        for threads in choices()
    }


def build(network: Network) -> torch.nn.Sequential:
    """The network, which ends in logits."""
    layers: list[torch.nn.Module] = []
    for rate, (n, m) in zip(network.rates(), pairwise(network.sizes), strict=True):
        layers += [torch.nn.Dropout(rate)] if rate else []
        layers += [torch.nn.Linear(n, m), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1]).to(getattr(torch, network.dtype))


def set_weights(net: torch.nn.Module, weights: Any) -> None:
    """Copy them in; a ``Linear`` keeps its matrix transposed."""
    with torch.no_grad():
        for parameter, array in zip(net.parameters(), weights, strict=True):
            parameter.copy_(torch.from_numpy(array.T))


class TorchLearner:
    """A ``Sequential`` module and the loop around it."""

    def __init__(self, exercise: Exercise, compiled: bool = False, threads: int | None = None) -> None:
        self.threads = threads or choices()[-1]
        torch.set_num_threads(self.threads)
        torch.manual_seed(0)
        self.exercise = exercise
        self.x, self.y = torch.from_numpy(exercise.x), torch.from_numpy(exercise.y)
        self.net = build(exercise.network)
        if compiled:
            # Else what was compiled for other networks counts, and there is a limit.
            torch.compiler.reset()
        self.call = torch.compile(self.net) if compiled else self.net
        self.loss = torch.nn.CrossEntropyLoss()
        self.reset()

    def reset(self) -> None:
        network = self.exercise.network
        set_weights(self.net, self.exercise.weights)
        parameters = list(self.net.parameters())
        # The penalty is on matrices; weight_decay of Adam is its gradient.
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": network.penalty},
            {"params": [p for p in parameters if p.ndim == 1]},
        ]
        self.optimizer = torch.optim.Adam(
            groups if network.penalty else parameters,
            network.learning_rate,
            network.betas,
            network.epsilon,
            fused=True,
        )

    def train(self, epochs: int) -> list[float]:
        # Predictions, and what is timed alone, may have changed it.
        torch.set_num_threads(self.threads)
        n, network = len(self.x), self.exercise.network
        means = []
        self.net.train()
        for _ in range(epochs):
            order = torch.randperm(n) if network.shuffle else torch.arange(n)
            losses, sizes = [], []
            for x, y in self.batches(order):
                self.optimizer.zero_grad()
                loss = self.loss(self.call(x), y)
                loss.backward()
                self.optimizer.step()
                losses.append(loss.detach())
                sizes.append(len(y))
            means.append(float(torch.stack(losses) @ torch.tensor(sizes, dtype=losses[0].dtype)) / n)
        return means

    def batches(self, order: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Rows in this order. One gather an epoch is faster than one a batch, while the copy is small."""
        size = self.exercise.network.batch_size
        if self.x.nbytes <= SMALL:
            yield from zip(self.x[order].split(size), self.y[order].split(size), strict=True)
            return
        for rows in order.split(size):
            yield self.x[rows], self.y[rows]

    def predictors(self, rows: int) -> dict[str, Callable[[Array], Any]]:
        net = torch.nn.Sequential(*self.net, torch.nn.Softmax(1)).eval()
        traced = torch.jit.freeze(torch.jit.trace(net, self.x[:rows]))

        def predict(net: Any, x: Array) -> Array:
            with torch.inference_mode():
                found: Array = net(torch.from_numpy(x)).numpy()
                return found

        traced_ways = by_threads(partial(predict, traced))
        return by_threads(partial(predict, net)) | {f"traced, {way}": call for way, call in traced_ways.items()}


def by_threads(call: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """The same on one thread and on all."""

    def on(threads: int, *arguments: Any) -> Any:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        return call(*arguments)

    return {named(threads): partial(on, threads) for threads in choices()}


def dropout(shape: tuple[int, int], rate: float) -> dict[str, Callable[[], Any]]:
    """Forward and backward of a layer."""
    torch.manual_seed(0)
    x, dy = torch.randn(shape, requires_grad=True), torch.ones(shape)
    layer = torch.nn.Dropout(rate)

    def run() -> None:
        x.grad = None
        layer(x).backward(dy)

    return by_threads(run)


def adam(shapes: Sequence[tuple[int, ...]]) -> dict[str, Callable[[], Any]]:
    """An update of parameters of these shapes."""
    torch.manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape)
    return by_threads(torch.optim.Adam(parameters, fused=True).step)


def products(sizes: Sequence[int], rows: int) -> dict[str, Callable[[], Any]]:
    """The matrix products of a training step."""
    made = [tuple(map(torch.from_numpy, arrays)) for arrays in operands(sizes, rows)]

    def step() -> None:
        for a, b, out in made:
            torch.mm(a, b, out=out)

    return by_threads(step)


start = TorchLearner
