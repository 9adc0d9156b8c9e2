"""The libraries that are compared, and what each has to offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module, metadata
from typing import Any, Protocol

from benchmarks.peers.exercise import Array, Exercise, Network


class Learner(Protocol):
    """A network in a library."""

    def reset(self) -> None:
        """Go back to the initial weights, Adam to its first step."""

    def train(self, epochs: int) -> list[float]:
        """Train for so many epochs; return the mean loss of each, a row's being taken before its update."""

    def predictors(self, rows: int) -> dict[str, Callable[[Array], Any]]:
        """Ways to compute the probabilities of so many rows at a time, by name."""


class Module(Protocol):
    """The functions that ``with_LIBRARY.py`` has to define. Some modules also define a ``search`` of their own, or
    ``dropout``, ``adam`` and ``products``, which are timed alone."""

    def settings(self, network: Network) -> dict[str, dict[str, Any]]:
        """Return the ways to use the library that may be the fastest: keywords of ``start``, by name."""

    def start(self, exercise: Exercise, **setting: Any) -> Learner:
        """Return a learner with the initial weights."""


@dataclass(frozen=True)
class Library:
    """A library that is measured.

    Parameters
    ----------
    label
        Its name in tables.
    module
        The name of its module in this package.
    imports
        The module that a script imports to use it.
    packages
        Packages whose versions are recorded.
    environment
        Environment variables of its process.
    """

    label: str
    module: str
    imports: str
    packages: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def load(self) -> Any:
        """Its module, a :class:`Module`."""
        return import_module(f"benchmarks.peers.{self.module}")

    def versions(self) -> dict[str, str]:
        """Of its packages, in this environment."""
        found = {}
        for name in self.packages:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:  # run from its folder, not installed
                found[name] = str(getattr(import_module(name), "__version__", "?"))
        return found


def _keras(backend: str, label: str, *packages: str, **environment: str) -> Library:
    quiet = {"KERAS_BACKEND": backend, **environment}
    return Library(f"Keras on {label}", "with_keras", "keras", ("keras", *packages), quiet)


_JAX = {"JAX_PLATFORMS": "cpu"}
#: By their names on the command line; nbnet is first, and is what the others are compared with.
LIBRARIES: dict[str, Library] = {
    "nbnet": Library("nbnet", "with_nbnet", "nbnet", ("nbnet", "numpy", "numba", "llvmlite")),
    "torch": Library("PyTorch", "with_torch", "torch", ("torch",)),
    "jax": Library("JAX", "with_jax", "jax", ("jax", "jaxlib"), _JAX),
    "keras-jax": _keras("jax", "JAX", "jax", **_JAX),
    "keras-tensorflow": _keras("tensorflow", "TensorFlow", "tensorflow-cpu", TF_CPP_MIN_LOG_LEVEL="3"),
    "keras-torch": _keras("torch", "PyTorch", "torch"),
    "sklearn": Library("scikit-learn", "with_sklearn", "sklearn.neural_network", ("scikit-learn", "numpy")),
    "skorch": Library("skorch", "with_skorch", "skorch", ("skorch", "torch")),
}
OURS = "nbnet"
#: By backend.
KERAS = tuple(name for name in LIBRARIES if name.startswith("keras-"))
