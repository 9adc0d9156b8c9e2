"""What every optimizer is: phases of flat rows over the parameters of a model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from nbnet.core.graph import Call, Tensor
from nbnet.core.parameter import Parameter, moves
from nbnet.core.program import Linked, lower
from nbnet.core.regions import Block
from nbnet.optimizers import rows
from nbnet.optimizers.memory import ACCUMULATOR, AVERAGE, Memory
from nbnet.optimizers.settings import Common
from nbnet.optimizers.update import Kept, Phases, Update

Array = NDArray[Any]


class Optimizer(Memory):
    """Changes parameters by their gradients: what all optimizers have in common.

    Parameters
    ----------
    learning_rate : float or nbnet.optimizers.schedules.LearningRateSchedule
        Size of a step. A number may be assigned at any time.
    weight_decay : float, optional
        Before each update, a parameter p loses ``p * weight_decay * learning_rate``.
    clipnorm : float, optional
        Largest norm of the gradient of each parameter.
    clipvalue : float, optional
        Largest magnitude of each element of a gradient.
    global_clipnorm : float, optional
        Largest norm of all gradients together. Of the three kinds of clipping, one may be given.
    use_ema : bool
        Whether to keep an exponential moving average of the parameters; :meth:`finalize_variable_values` sets them to
        it.
    ema_momentum : float
        In [0, 1]: share of the average that an update leaves.
    ema_overwrite_frequency : int, optional
        Every so many updates, parameters are set to their averages.
    gradient_accumulation_steps : int, optional
        Update once in so many steps, with the mean of their gradients. Schedules count steps, everything else updates.
    lazy : bool
        Whether weights stay as they are, with all that is remembered of them, where ``Dropout(batchwise=True)`` between
        dense layers has cut them off: the step is that of the thinned network. By default they follow
        their moments and decay, as they do where masks are multiplied. Not with gradient_accumulation_steps.
    name : str, optional
        By default the class's name in lower case.

    Notes
    -----
    In a step the gradients are accumulated, clipped, the weights decayed and updated, then averaged, then brought to
    what their constraints allow, as in Keras. Where gradients are accumulated, constraints act when there is an update.

    A subclass declares its numbers as :class:`Hyper`, its ``slots`` (up to three; one value a parameter each) and its
    ``kernel``, which :func:`nbnet.optimizers.rows.update_rule` makes from two functions.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.optimizers.hyper import Hyper
    >>> from nbnet.optimizers.rows import update_rule
    >>> @nb.device
    ... def prepare(learning_rate, h, step):
    ...     return learning_rate, h[0]
    >>> @nb.device
    ... def update(p, g, a, b, c, k):
    ...     real = p.dtype.type
    ...     size, least = real(k[0]), real(k[1])
    ...     for i in range(p.size):
    ...         p[i] -= size * g[i] / max(abs(g[i]), least)
    >>> class SignSGD(nb.optimizers.Optimizer):
    ...     least = Hyper()
    ...     kernel = update_rule("sign_sgd", prepare, update)
    ...
    ...     def __init__(self, learning_rate=0.01, least=1e-3, **common):
    ...         super().__init__(learning_rate, {"least": least}, **common)
    >>> w = nb.Parameter([1.0, 1.0])
    >>> SignSGD(0.5, clipvalue=3.0).apply([[4.0, -1e-4]], [w])
    >>> w.numpy()
    array([0.5 , 1.05], dtype=float32)
    """

    def __init__(self, learning_rate: Any, hyper: Mapping[str, Any], **common: Unpack[Common]) -> None:
        self._eager: tuple[int, Linked, Array] | None = None
        self._excluded: tuple[list[Parameter], re.Pattern[str] | None] = ([], None)
        super().__init__(learning_rate, hyper, **common)

    def exclude_from_weight_decay(
        self, var_list: Iterable[Parameter] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Let parameters keep their weight; to be called before the optimizer is built.

        Parameters
        ----------
        var_list
            The parameters.
        var_names
            Regular expressions; a parameter is excluded if its name ("dense/bias") contains a match.

        Raises
        ------
        ValueError
            If the optimizer is built.

        Examples
        --------
        >>> import nbnet as nb
        >>> w, b = nb.Parameter([1.0], name="dense/kernel"), nb.Parameter([1.0], name="dense/bias")
        >>> optimizer = nb.optimizers.SGD(0.1, weight_decay=1.0)
        >>> optimizer.exclude_from_weight_decay(var_names=["bias"])
        >>> optimizer.apply([[0.0], [0.0]], [w, b])
        >>> w.item(), b.item()
        (0.9, 1.0)
        """
        if self._block is not None:
            raise ValueError("exclude_from_weight_decay: call it before the optimizer is built")
        pattern = "|".join(f"(?:{name})" for name in var_names or [])
        self._excluded = list(var_list or []), re.compile(pattern) if pattern else None

    # ---- rows ----

    def look_ahead(self, step: int, steps: int) -> int:
        """To be called before ``steps`` steps from number ``step`` on are run; returns how many of them may be.

        A schedule written in Python is evaluated here, for so many steps.
        """
        return steps if self._schedule is None else self._schedule.look_ahead(self._source, step, steps)

    def prelude(self) -> list[Call]:
        """Calls that one slice makes at the start of each step."""
        if self._schedule is None:
            return []
        source = Tensor(self._source.shape, np.float64, self._source, name="schedule")
        operands = (source, self.cells_tensor())
        return [rows.in_place(self._schedule.kernel(), operands, (1,), (), self._built().dtype)]

    @property
    def reads_packed(self) -> bool:
        """Whether gradients may be packed: see :mod:`nbnet.optimizers.packed`."""
        return isinstance(self.kernel, rows.Rule) and self.gradient_accumulation_steps is None

    @property
    def releases(self) -> bool:
        """Whether rows of a parameter may be updated before other gradients are known."""
        whole = self.extras.get(rows.CLIP) in ("clipnorm", "global_clipnorm")
        return self.reads_packed and not whole and not self.use_ema

    def phases(self, gradients: Tensor, slices: int, kept: Sequence[Kept] = ()) -> Phases:
        """The calls that turn gradients into an update, by phase and slice; slices meet between phases.

        Parameters
        ----------
        gradients
            (slices, P), of the block; they are overwritten.
        kept
            For each slice, the parameters whose gradients are packed, with the masks of their rows and columns.
        """
        return self.plan().phases(gradients, slices, kept or [{}] * slices)

    def plan(self) -> Update:
        """What an update consists of."""
        block = self._built()
        return Update(
            block=block,
            cells=self.cells_tensor(),
            kernel=self.kernel,
            slots=[self._state[name] for name in self.used_slots()],
            decays=[self._decays(parameter) for parameter in block.parameters],
            clip=self.extras.get(rows.CLIP),
            every=self.gradient_accumulation_steps or 1,
            accumulator=self._state.get(ACCUMULATOR),
            average=self._state[AVERAGE] if self.use_ema else None,
            overwrite=self.ema_overwrite_frequency or 0,
        )

    def is_excluded(self, parameter: Parameter) -> bool:
        """Whether a parameter keeps its weight: see :meth:`exclude_from_weight_decay`."""
        excluded, pattern = self._excluded
        return any(p is parameter for p in excluded) or bool(pattern and pattern.search(parameter.name))

    def _decays(self, parameter: Parameter) -> bool:
        return self.weight_decay is not None and not self.is_excluded(parameter)

    # ---- one update, now ----

    def apply(self, grads: Iterable[Any], trainable_variables: Sequence[Parameter] | None = None) -> None:
        """Make one step from gradients that a tape gave: with all its rows, as in training, constraints included.

        Parameters
        ----------
        grads
            One tensor, array or None (no change by its gradient) for each parameter.
        trainable_variables
            Always the same, in the same order; may be left out once the optimizer is built.

        Raises
        ------
        ValueError
            If numbers or shapes do not match, or a gradient is not finite; then nothing is changed.
        """
        given = list(grads)
        known = self._built().parameters if trainable_variables is None else list(trainable_variables)
        if len(given) != len(known):
            raise ValueError(f"grads: got {len(given)} for {len(known)} parameters")
        arrays = [_gradient(g, p) for g, p in zip(given, known, strict=True)]
        if all(array is None for array in arrays):
            raise ValueError("grads: there is none for any parameter")
        block = self.build(known)
        linked, flat = self._program(block)
        flat[...] = 0
        for array, start in zip(arrays, block.starts, strict=True):
            if array is not None:
                flat[start : start + array.size] = array.reshape(-1)
        self.look_ahead(self.iterations, 1)
        linked.run(1, self.iterations)
        self.iterations += 1

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Parameter]]) -> int:
        """Like :meth:`apply`, from pairs (gradient, parameter); returns the number of iterations."""
        given = list(grads_and_vars)
        self.apply([gradient for gradient, _ in given], [parameter for _, parameter in given])
        return self.iterations

    def _program(self, block: Block) -> tuple[Linked, Array]:
        """The phases as a program of one slice, and where it reads the gradients."""
        if self._eager is None or self._eager[0] != moves():
            gradients = block.like(1, "gradients")
            program = lower([[self.prelude()], *self.phases(gradients, 1)], [0], block.dtype)
            self._eager = moves(), Linked(program), gradients.numpy()[0]
        return self._eager[1:]


def _gradient(gradient: Any, parameter: Parameter) -> Array | None:
    """A gradient as an array, checked."""
    if gradient is None:
        return None
    array, name = np.asarray(gradient), parameter.name or "a parameter"
    if array.shape != parameter.shape:
        raise ValueError(f"grads: {name} has shape {parameter.shape}, its gradient {array.shape}")
    if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
        raise ValueError(f"grads: that of {name} must be finite numbers")
    return array
