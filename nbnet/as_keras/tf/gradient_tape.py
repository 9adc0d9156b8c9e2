"""``tf.GradientTape`` on nbnet's tape, and the decorators of functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nbnet import ops
from nbnet.base.tree import flatten, restructure
from nbnet.engine.graph.symbolic import Symbol
from nbnet.engine.graph.tape import Tape, paused
from nbnet.engine.graph.tensor import Tensor, recorder


class GradientTape:
    """Records what is computed while it is open, for gradients of first order.

    Parameters
    ----------
    persistent, watch_accessed_variables
        Accepted: :meth:`gradient` may be called as often as one likes, and parameters are always watched.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.as_keras.tf.gradient_tape import GradientTape
    >>> x = nb.tensor(3.0)
    >>> with GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = x * x
    >>> tape.gradient(y, x).item()
    6.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._tape = Tape()

    def __enter__(self) -> GradientTape:
        self._tape.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._tape.__exit__(*exc)

    def watch(self, tensor: Any) -> None:
        """Record what is computed of a tensor."""
        for part in flatten(tensor):
            if not isinstance(part, Tensor):
                raise TypeError(f"tensor: expected a tensor, got {type(part).__name__}: convert it first")
            part.requires_grad = True

    def gradient(
        self, target: Any, sources: Any, output_gradients: Any = None, unconnected_gradients: Any = None
    ) -> Any:
        """Gradients of a target, or of the sum of several, with respect to tensors.

        Raises
        ------
        NotImplementedError
            If another tape records, which would need gradients of gradients.
        """
        active = recorder()
        if active is not None and active is not self._tape:
            raise NotImplementedError(
                "tf.GradientTape: a gradient inside another tape asks for gradients of second order, which nbnet "
                "does not have"
            )
        parts = list(flatten(target))
        if output_gradients is not None:
            weights = list(flatten(output_gradients))
            parts = [part * weight for part, weight in zip(parts, weights, strict=True)]
        total = parts[0]
        if len(parts) > 1:
            total = ops.sum(total)
            for part in parts[1:]:
                total = total + ops.sum(part)
        found = self._tape.gradient(total, sources)
        if getattr(unconnected_gradients, "value", unconnected_gradients) == "zero":
            pairs = zip(flatten(found), flatten(sources), strict=True)
            return restructure(sources, [ops.zeros_like(s) if g is None else g for g, s in pairs])
        return found

    def watched_variables(self) -> tuple[Any, ...]:
        """The parameters that were used so far."""
        used = {id(t): t for node in self._tape.nodes for t in node.inputs if hasattr(t, "trainable")}
        return tuple(used.values())

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Inside, nothing is recorded."""
        with paused():
            yield

    def reset(self) -> None:
        """Forget what was recorded."""
        self._tape.nodes.clear()

    def jacobian(self, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
        """The gradient of each element of a target, (*target, *source)."""
        parts = ops.reshape(target, (-1,))
        rows = [self._tape.gradient(parts[k], sources) for k in range(int(parts.shape[0]))]
        return ops.reshape(ops.stack(rows), (*target.shape, *sources.shape))


def function(func: Callable[..., Any] | None = None, *args: Any, **kwargs: Any) -> Any:
    """The function itself: nothing is compiled for it, the ops that it calls run at once."""
    return func if func is not None else lambda inner: inner


def recompute_grad(func: Callable[..., Any]) -> Any:
    """The function itself."""
    return func


def stop_gradient(input: Any, name: str | None = None) -> Any:
    """The tensor, through which no gradient flows."""
    return ops.stop_gradient(input) if isinstance(input, (Tensor, Symbol)) else ops.convert_to_tensor(input)
