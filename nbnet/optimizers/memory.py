"""What an optimizer remembers: the block of its parameters, and a value or several for each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from nbnet.core.abi import Kernel
from nbnet.core.graph import Tensor
from nbnet.core.parameter import Parameter, outdate
from nbnet.core.regions import Block
from nbnet.optimizers import rows
from nbnet.optimizers.settings import Common, Settings
from nbnet.ranges import FROM_ZERO

Array = NDArray[Any]
#: State that comes with use_ema and gradient_accumulation_steps.
AVERAGE, ACCUMULATOR = "average", "gradient_accumulator"


class Memory(Settings):
    """The part of an :class:`Optimizer` that is about its parameters and its state."""

    kernel: Kernel
    slots: ClassVar[tuple[str, ...]] = ()

    def __init__(self, learning_rate: Any, hyper: Mapping[str, Any], **common: Unpack[Common]) -> None:
        self._block: Block | None = None
        self._structure: tuple[Any, ...] = ()
        self._state: dict[str, Tensor] = {}
        self._pending: dict[str, Array] | None = None
        super().__init__(learning_rate, hyper, **common)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle holds: the state waits for parameters, as after :meth:`set_state`."""
        kept = vars(self).copy()
        if self._block is not None:
            pending = {name: array.copy() for name, array in self.state.items()}
            kept |= {"_block": None, "_structure": (), "_state": {}, "_pending": pending}
        return kept

    # ---- what subclasses say ----

    def used_slots(self) -> tuple[str, ...]:
        """The slots that the current settings need."""
        return self.slots

    def initial(self, slot: str) -> float:
        """What a slot is filled with at the start."""
        return 0.0

    # ---- parameters and state ----

    def restructure(self) -> None:
        """Called when a setting has changed: if other rows are needed now, programs are written anew."""
        if self._block is not None and self._structure != self._describe():
            self._occupy(self._block)
            outdate()

    def _describe(self) -> tuple[Any, ...]:
        """Differs if the rows differ."""
        return self.kernel, self.used_slots(), dict(self.extras), self._schedules

    def build(self, parameters: Sequence[Parameter]) -> Block:
        """Bring the parameters into one block of memory and make room for the state; returns the block.

        Raises
        ------
        ValueError
            If the optimizer has trained other parameters, or :meth:`set_state` was given what does not fit these.
        """
        if self._block is not None and self._block.holds(parameters):
            return self._block
        if self._block is not None and [id(p) for p in self._block.parameters] != [id(p) for p in parameters]:
            raise ValueError(
                f"{type(self).__name__}: this optimizer has trained other parameters; make a new one for this model "
                "(compile it again after a change of trainable)"
            )
        if self._block is not None:
            outdate()  # What was written for the block that is left.
        return self._occupy(Block(parameters))

    def _occupy(self, block: Block) -> Block:
        self._block, self._structure = block, self._describe()
        for name in self._remembered():
            if name not in self._state:
                self._state[name] = block.like(1, name)
                self._state[name].numpy()[...] = self.initial(name)
        pending, self._pending = self._pending, None
        if pending is not None:
            self._assign(pending)
        return block

    def _remembered(self) -> list[str]:
        names = [*self.used_slots(), *([AVERAGE] if self.use_ema else [])]
        return names if self.gradient_accumulation_steps is None else [*names, ACCUMULATOR]

    @property
    def values_kept(self) -> int:
        """How many values it remembers of each parameter."""
        return len(self._remembered())

    @property
    def block(self) -> Block | None:
        """The block of the parameters; None before the optimizer is built."""
        return self._block

    @property
    def state(self) -> dict[str, Array]:
        """What the optimizer remembers: vectors over all parameters, in the order of the block; empty before it is
        built."""
        return {} if self._block is None else {name: self._state[name].numpy()[0] for name in self._remembered()}

    @property
    def variables(self) -> list[Tensor]:
        """The number of iterations, the learning rate unless a schedule sets it, and for each parameter its share of
        the state.

        The first two are copies: assign ``iterations`` and ``learning_rate`` instead. The others are views; what is
        written to them holds from the next step on.

        Examples
        --------
        >>> import nbnet as nb
        >>> optimizer = nb.optimizers.SGD(0.1, momentum=0.5)
        >>> optimizer.apply([[1.0]], [nb.Parameter([0.0], name="w")])
        >>> [variable.name for variable in optimizer.variables]
        ['iterations', 'learning_rate', 'momentum/w']
        >>> optimizer.variables[2].numpy()
        array([-0.1], dtype=float32)
        """
        found = [Tensor((), np.int64, np.array(self.iterations, np.int64), name="iterations")]
        if self._schedule is None:
            found.append(Tensor((), np.float64, np.array(self.learning_rate), name="learning_rate"))
        if (block := self._block) is not None:
            whole = [self._state[name] for name in self._remembered()]
            found += [block.part(slot, 0, i) for i in range(len(block.parameters)) for slot in whole]
        return found

    def get_state(self) -> dict[str, Array]:
        """Copies of :attr:`state`, and the number of iterations and the learning rate, as arrays: what is to be saved.

        Examples
        --------
        >>> import nbnet as nb
        >>> optimizer = nb.optimizers.SGD(0.1, momentum=0.5)
        >>> optimizer.apply([[1.0]], [nb.Parameter([0.0])])
        >>> sorted(optimizer.get_state())
        ['iterations', 'learning_rate', 'momentum']
        """
        kept = self.state if self._pending is None else self._pending
        found = {name: array.copy() for name, array in kept.items()}
        found["iterations"] = np.array(self.iterations, np.int64)
        if self._schedule is None:
            found["learning_rate"] = self.cells[rows.LEARNING_RATE].reshape(()).copy()
        return found

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from where :meth:`get_state` was called; before the optimizer is built, too.

        Raises
        ------
        ValueError
            If names or sizes differ; then nothing is changed. Sizes are not known before the optimizer is built.
        """
        given = {name: np.asarray(value) for name, value in state.items()}
        iterations = given.pop("iterations", np.array(0))
        rate = FROM_ZERO.check(given.pop("learning_rate", np.array(self.cells[rows.LEARNING_RATE])), "learning_rate")
        if iterations.shape != () or iterations.dtype.kind not in "iu" or iterations < 0:
            raise ValueError(f"state: iterations wants an integer from 0, got {iterations!r}")
        if self._block is None:
            self._pending = {name: value.copy() for name, value in given.items()}
        else:
            self._assign(given)
        self.iterations = int(iterations)
        if self._schedule is None:
            self.cells[rows.LEARNING_RATE] = rate

    def _assign(self, given: Mapping[str, Array]) -> None:
        own = self.state
        if not given:
            given = {name: np.full_like(array, self.initial(name)) for name, array in own.items()}
        if given.keys() != own.keys():
            raise ValueError(f"state: wants {sorted(own)}, got {sorted(given)}")
        for name, array in given.items():
            if array.shape != own[name].shape:
                raise ValueError(f"state: {name} has shape {own[name].shape}, got {array.shape}")
        for name, array in given.items():
            own[name][...] = array

    def swap_averages(self) -> None:
        """Exchange parameters and their moving averages; twice is as if never."""
        if not self.use_ema:
            raise ValueError(f"{self.name}: keeps no averages; make it with use_ema=True")
        flat, average = self.build(self._built().parameters).flat.numpy()[0], self.state[AVERAGE]
        flat[...], average[...] = average.copy(), flat.copy()

    def finalize_variable_values(self, var_list: Any = None) -> None:
        """Set the parameters to their moving averages, if any are kept and an update was made: the end of a training.

        Parameters
        ----------
        var_list
            Ignored: all parameters are set.
        """
        if self.use_ema and self._block is not None and self.iterations > 0:
            self.build(self._block.parameters).flat.numpy()[0] = self.state[AVERAGE]

    def _built(self) -> Block:
        if self._block is None:
            raise ValueError(f"{self.name}: is not built; call build(parameters) first")
        return self._block
