"""What every optimizer is: one flat loop over the parameters of a model."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nbnet.core.abi import device
from nbnet.core.arena import aligned
from nbnet.core.graph import Call, Parameter, Tensor
from nbnet.core.jit import Kernel
from nbnet.core.program import run_call
from nbnet.core.regions import Block

#: Elements that are updated at a time: their gradient, summed over slices, stays in the first-level cache.
BLOCK = 2048


@device
def sum_slices(g: Any, low: Any, high: Any) -> Any:
    """The gradients of parameters ``low`` to ``high``: those of the other slices are added to the first's, in place.

    Kernels loop over such views from 0: where the sign of an index is unknown, the loop does not vectorise.
    """
    total = g[0, low:high]
    for t in range(1, g.shape[0]):
        part = g[t, low:high]
        for i in range(total.size):
            total[i] += part[i]
    return total


class Optimizer(ABC):
    """Changes parameters by their gradients.

    A subclass names its hyper-parameters and its slots (one value a parameter that it remembers), and its kernel,
    whose operands are:
    parameters (1, P), gradients (slices, P), hyper-parameters (float64, in the order of ``hyper``), then the slots (1, P).
    Attributes 0 and 1 of the row bound the parameters to update; the step number is the count of updates made before.
    """

    kernel: ClassVar[Kernel]
    #: Names of hyper-parameters; each is an attribute that may be changed between and during trainings.
    hyper: ClassVar[tuple[str, ...]] = ("learning_rate",)
    #: Those of them that are decay rates: they lie in [0, 1).
    fractions: ClassVar[tuple[str, ...]] = ()
    slots: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **hyper: float) -> None:
        self._cells = np.array([self._checked(name, hyper[name]) for name in self.hyper], np.float64)
        #: Number of updates made.
        self.iterations = 0
        self._block: Block | None = None
        self._state: dict[str, Tensor] = {}

    def __getattr__(self, name: str) -> float:
        if name in type(self).hyper:
            return float(self._cells[type(self).hyper.index(name)])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).hyper:
            self._cells[type(self).hyper.index(name)] = self._checked(name, value)
        else:
            super().__setattr__(name, value)

    def _checked(self, name: str, value: Any) -> float:
        """A hyper-parameter as a float: finite and not negative, below 1 if it is a fraction."""
        if not isinstance(value, Real):
            raise TypeError(f"{name}: wants a number, got {value!r}")
        if not 0 <= value < (1 if name in self.fractions else np.inf):
            wanted = "number in [0, 1)" if name in self.fractions else "finite number from 0"
            raise ValueError(f"{name}: wants a {wanted}, got {value!r}")
        return float(value)

    def used_slots(self) -> tuple[str, ...]:
        """The slots that the current settings need."""
        return self.slots

    def build(self, parameters: Sequence[Parameter]) -> Block:
        """Bring the parameters into one block of memory and make room for the slots; returns the block."""
        if self._block is not None and self._block.holds(parameters):
            return self._block
        if self._block is not None and [id(p) for p in self._block.parameters] != [id(p) for p in parameters]:
            raise ValueError(
                f"{type(self).__name__}: this optimizer has trained other parameters; make a new one for this model"
            )
        self._block = Block(parameters)
        return self._block

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """The slots: one vector each over all parameters, in the order of the block."""
        return {name: t.numpy()[0] for name, t in self._state.items()}

    def update(self, gradients: Tensor, low: int, high: int) -> Call:
        """The call that updates parameters ``low`` to ``high`` of the block.

        gradients: (slices, P)
        """
        assert self._block is not None
        for name in self.used_slots():
            self._state.setdefault(name, self._block.like(1, name))
        cells = Tensor((self._cells.size,), np.float64, self._cells, name=type(self).__name__.lower())
        operands = (self._block.flat, gradients, cells, *(self._state[name] for name in self.used_slots()))
        written = (0, *range(3, len(operands)))
        accumulate = sum(1 << k for k in written)
        return Call(self.kernel, operands, written, accumulate, 0, (low, high), "update", self._block.dtype)

    def apply(self, gradients: Iterable[Any], parameters: Sequence[Parameter]) -> None:
        """Make one update from gradients that a tape gave.

        Parameters
        ----------
        gradients
            One tensor, array or None (no change by its gradient) for each parameter.
        parameters
            Always the same, in the same order.

        Raises
        ------
        ValueError
            If numbers or shapes do not match, or a gradient is not finite; then nothing is changed.
        """
        parameters, given = list(parameters), list(gradients)
        if len(given) != len(parameters):
            raise ValueError(f"gradients: got {len(given)} for {len(parameters)} parameters")
        block = self.build(parameters)
        flat = aligned(block.size, block.dtype)
        for gradient, parameter, start in zip(given, parameters, block.starts, strict=True):
            if gradient is None:
                continue
            array = np.asarray(gradient)
            if array.shape != parameter.shape:
                raise ValueError(
                    f"gradients: {parameter.name or 'a parameter'} has shape {parameter.shape}, "
                    f"its gradient {array.shape}"
                )
            if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
                raise ValueError(f"gradients: that of {parameter.name or 'a parameter'} must be finite numbers")
            flat[start : start + parameter.size] = array.ravel()
        run_call(self.update(Tensor((1, block.size), block.dtype, flat.reshape(1, -1)), 0, block.size), self.iterations)
        self.iterations += 1

    def apply_gradients(self, pairs: Iterable[tuple[Any, Parameter]]) -> None:
        """Like :meth:`apply`, from pairs (gradient, parameter)."""
        given = list(pairs)
        self.apply([gradient for gradient, _ in given], [parameter for _, parameter in given])

    def get_config(self) -> dict[str, Any]:
        """What the constructor was given."""
        return {name: getattr(self, name) for name in self.hyper}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items())})"

