"""Settings of an optimizer: its options, the attributes that stand for the float64 cells its kernels read, the learning
rate, and the configuration that holds them all."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Any, ClassVar, Generic, Protocol, Self, TypedDict, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array
from nbnet.base.constructor import RecordsArguments, constructor_config
from nbnet.base.registry import custom_object_scope, snake_case
from nbnet.base.uninterrupted import apart
from nbnet.base.validation import FROM_ZERO, Interval, check_bool, check_int
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import changes
from nbnet.optimizers import schedules
from nbnet.optimizers.update import LEARNING_RATE

T = TypeVar("T")


class OptionsWithoutDecay(TypedDict, total=False):
    """Keyword arguments of all optimizers except for weight decay: see :class:`nbnet.optimizers.Optimizer`."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    gradient_accumulation_steps: int | None
    lazy: bool
    loss_scale_factor: float | None
    name: str | None


class CommonOptions(OptionsWithoutDecay, total=False):
    """Keyword arguments of all optimizers; AdamW has another default of weight decay."""

    weight_decay: float | None


#: Defaults of the options that configurations contain, in their order.
DEFAULTS: dict[str, Any] = {
    "weight_decay": None, "clipnorm": None, "clipvalue": None, "global_clipnorm": None, "use_ema": False,
    "ema_momentum": 0.99, "ema_overwrite_frequency": None, "loss_scale_factor": None,
    "gradient_accumulation_steps": None, "lazy": False,
}  # fmt: skip


class OptimizerNumber:
    """A number of an optimizer as it was when it was read, with the methods of the variable that Keras has for it."""

    _optimizer: Any
    name: ClassVar[str]
    shape: ClassVar[tuple[int, ...]] = ()
    dtype: np.dtype[Any]

    @property
    def path(self) -> str:
        """The name, with that of the optimizer before it."""
        return f"{self._optimizer.name}/{self.name}"

    @property
    def value(self) -> Self:
        """The number itself."""
        return self

    def assign(self, value: Any) -> None:
        """Set the number of the optimizer."""
        raise NotImplementedError

    def assign_add(self, value: Any) -> None:
        """Add to the number of the optimizer."""
        self.assign(self + plain_array(value, "value").item())

    def assign_sub(self, value: Any) -> None:
        """Subtract from the number of the optimizer."""
        self.assign(self - plain_array(value, "value").item())

    def numpy(self) -> NDArray[Any]:
        """The number as an array without axes."""
        return np.array(self, self.dtype)


class LearningRate(OptimizerNumber, float):
    """A learning rate as it was when it was read: a number with the methods of Keras's variable.

    Examples
    --------
    >>> import nbnet as nb
    >>> optimizer = nb.optimizers.SGD(0.1)
    >>> optimizer.learning_rate.assign(0.5)
    >>> optimizer.learning_rate.numpy(), optimizer.learning_rate * 2
    (array(0.5), 1.0)
    """

    name = "learning_rate"
    dtype = np.dtype(np.float64)

    def __new__(cls, value: float, optimizer: Any) -> Self:
        rate = super().__new__(cls, value)
        rate._optimizer = optimizer
        return rate

    def assign(self, value: Any) -> None:
        """Set the learning rate of the optimizer; the same as ``optimizer.learning_rate = value``."""
        self._optimizer.learning_rate = value

    def __reduce__(self) -> tuple[Any, ...]:
        return float, (float(self),)


def as_count(value: Any, name: str) -> int:
    """An integer from 0 as Python's: also from a whole float, an array or a tensor without axes."""
    array = plain_array(value, name)
    number = array.item() if array.shape == () else value
    return check_int(int(number) if isinstance(number, float) and number.is_integer() else number, name, 0)


class Iterations(OptimizerNumber, int):
    """A number of updates as it was when it was read: an integer with the methods of Keras's variable.

    Examples
    --------
    >>> import nbnet as nb
    >>> optimizer = nb.optimizers.SGD(0.1, name="sgd")
    >>> optimizer.iterations.assign(7)
    >>> optimizer.iterations, optimizer.iterations.path
    (7, 'sgd/iteration')
    """

    _attribute: str
    name = "iteration"
    dtype = np.dtype(np.int64)

    def __new__(cls, value: int, optimizer: Any, attribute: str = "iterations") -> Self:
        number = super().__new__(cls, value)
        number._optimizer, number._attribute = optimizer, attribute
        return number

    def assign(self, value: Any) -> None:
        """Set the number of updates; the same as ``optimizer.iterations = value``."""
        setattr(self._optimizer, self._attribute, as_count(value, self._attribute))

    def __reduce__(self) -> tuple[Any, ...]:
        return int, (int(self),)


class OfProgram(OptimizerNumber):
    """A number of an optimizer in a function that is being compiled: it changes as the program runs, so that no
    arithmetic of Python's is done with it."""

    def __init__(self, name: str, optimizer: Any) -> None:
        self._optimizer, self._name = optimizer, name

    def _refuse(self, *_: Any) -> Any:
        raise ValueError(f"{self._name}: the optimizer's number changes as the program runs that is being built")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __mod__ = _refuse
    __floordiv__ = __pow__ = __rpow__ = __neg__ = __lt__ = __le__ = __gt__ = __ge__ = __float__ = __int__ = _refuse
    __index__ = __bool__ = __array__ = __eq__ = __ne__ = numpy = assign = _refuse  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


class HasHyperparams(Protocol):
    """An optimizer, as far as :class:`HyperAttribute` knows it."""

    cells: NDArray[np.float64]
    in_use: dict[int, str]

    def hyperparams_changed(self) -> None: ...


class HyperAttribute(ABC, Generic[T]):
    """Attribute of an optimizer that stands for one cell.

    Parameters
    ----------
    range : Interval
        Allowed values.
    index : int
        Number of the cell; a subclass of Optimizer numbers those that it declares itself, in their order.
    """

    name: str

    def __init__(self, range: Interval = FROM_ZERO, index: int = -1) -> None:
        self.range, self.index = range, index

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, optimizer: None, owner: type) -> Self: ...
    @overload
    def __get__(self, optimizer: HasHyperparams, owner: type) -> T: ...
    def __get__(self, optimizer: HasHyperparams | None, owner: type) -> Self | T:
        return self if optimizer is None else self.read(optimizer)

    def __set__(self, optimizer: HasHyperparams, value: Any) -> None:
        self.write(optimizer, value)
        optimizer.hyperparams_changed()

    @abstractmethod
    def read(self, optimizer: HasHyperparams) -> T:
        """The value of the attribute."""

    @abstractmethod
    def write(self, optimizer: HasHyperparams, value: Any) -> None:
        """Check and store a value."""


class Hyper(HyperAttribute[float]):
    """A number."""

    def read(self, optimizer: HasHyperparams) -> float:
        return float(optimizer.cells[self.index])

    def write(self, optimizer: HasHyperparams, value: Any) -> None:
        optimizer.cells[self.index] = self.range.check(value, self.name)


class BoolHyper(HyperAttribute[bool]):
    """True or False, stored as 1 or 0."""

    def read(self, optimizer: HasHyperparams) -> bool:
        return bool(optimizer.cells[self.index] > 0)

    def write(self, optimizer: HasHyperparams, value: Any) -> None:
        optimizer.cells[self.index] = float(check_bool(value, self.name))


class OptionalHyper(HyperAttribute[float | None]):
    """A number, or None for none; of those that share a cell, at most one is a number."""

    def read(self, optimizer: HasHyperparams) -> float | None:
        return float(optimizer.cells[self.index]) if optimizer.in_use.get(self.index) == self.name else None

    def write(self, optimizer: HasHyperparams, value: Any) -> None:
        current = optimizer.in_use.get(self.index)
        if value is not None:
            number = self.range.check(value, self.name)
            if current not in (None, self.name):
                raise ValueError(f"{self.name}: {current} is given already, and only one kind of clipping is possible")
            optimizer.cells[self.index], optimizer.in_use[self.index] = number, self.name
        elif current == self.name:
            del optimizer.in_use[self.index]


class HasSettings(RecordsArguments):
    """The part of an optimizer that holds its settings, and describes them."""

    #: Of the optimizer.
    hyper: ClassVar[tuple[str, ...]]
    cells: NDArray[np.float64]
    name: str
    block: Any
    hyperparams_changed: Callable[[], None]
    #: Sets the learning rate of each step, if given; its kernel reads the source.
    schedule: schedules.LearningRateSchedule | None
    _source: NDArray[np.float64]
    _schedules: int
    _use_ema: bool
    _overwrite_frequency: int | None
    _accumulation_steps: int | None
    #: Steps made; with gradient accumulation, those that only accumulated as well.
    steps: int
    _excluded: tuple[list[Parameter], re.Pattern[str] | None]

    use_ema = property(attrgetter("_use_ema"), doc="True if a moving average of the parameters is kept.")

    @property
    def ema_overwrite_frequency(self) -> int | None:
        """Number of updates after which the parameters are set to their averages."""
        return self._overwrite_frequency

    @property
    def gradient_accumulation_steps(self) -> int | None:
        """Number of steps that one update takes."""
        return self._accumulation_steps

    @property
    def learning_rate(self) -> LearningRate:
        """Learning rate of the next step. A number may be assigned, but not in place of a schedule, as in Keras."""
        if changes() is not None:
            return cast(LearningRate, OfProgram("learning_rate", self))
        rate = self.cells[LEARNING_RATE] if self.schedule is None else self.schedule(self.steps)
        return LearningRate(rate, self)

    @learning_rate.setter
    def learning_rate(self, value: float | schedules.LearningRateSchedule) -> None:
        if isinstance(value, (Mapping, schedules.LearningRateSchedule)) or (
            self.schedule is None and callable(value) and not isinstance(value, type)
        ):
            self._follow(schedules.get(value))
        elif isinstance(self.schedule, schedules.InverseTimeDecay) and self.schedule.name == schedules.OLD_DECAY:
            self._follow(replace(self.schedule, initial_learning_rate=FROM_ZERO.check(value, "learning_rate")))
        elif self.schedule is not None:
            raise TypeError(
                f"learning_rate: this {type(self).__name__} follows {self.schedule!r}, which would overwrite it; make "
                "the optimizer with a number if something else is to set the learning rate"
            )
        else:
            self.cells[LEARNING_RATE] = FROM_ZERO.check(value, "learning_rate")
        self.hyperparams_changed()

    def _follow(self, schedule: schedules.LearningRateSchedule) -> None:
        self.schedule, self._source = schedule, schedule.source()
        self._schedules += 1

    @property
    def iterations(self) -> Iterations:
        """Number of updates made; with gradient accumulation, :attr:`steps` are more. It may be assigned."""
        if changes() is not None:
            return cast(Iterations, OfProgram("iterations", self))
        return Iterations(self.steps // (self._accumulation_steps or 1), self)

    @iterations.setter
    def iterations(self, value: Any) -> None:
        self.steps = as_count(value, "iterations") * (self._accumulation_steps or 1)

    @property
    def _iterations(self) -> Iterations:
        return Iterations(self.steps, self, "steps")

    def exclude_from_weight_decay(
        self, var_list: Iterable[Parameter] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Let parameters keep their weight; to be called before the optimizer is built.

        Parameters
        ----------
        var_list : iterable of Parameter, optional
            The parameters.
        var_names : iterable of str, optional
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
        if self.block is not None:
            raise ValueError("exclude_from_weight_decay: call it before the optimizer is built")
        pattern = "|".join(f"(?:{name})" for name in var_names or [])
        self._excluded = list(var_list or []), re.compile(pattern) if pattern else None

    def is_excluded(self, parameter: Parameter) -> bool:
        """True if a parameter keeps its weight: see :meth:`exclude_from_weight_decay`."""
        excluded, pattern = self._excluded
        return any(p is parameter for p in excluded) or bool(pattern and pattern.search(parameter.name))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this optimizer again, without its state."""
        return constructor_config(self, self._declared())

    def _declared(self) -> dict[str, Any]:
        rate = float(self.learning_rate) if self.schedule is None else schedules.serialize(self.schedule)
        return {
            "learning_rate": rate,
            **{name: getattr(self, name) for name in (*self.hyper, *DEFAULTS)},
            "name": self.name,
        }

    @classmethod
    @apart
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """The optimizer that :meth:`get_config` describes.

        Parameters
        ----------
        config : mapping
            Arguments of the constructor.
        custom_objects : mapping of str to class, optional
            Schedules of your own, by name.

        Examples
        --------
        >>> import nbnet as nb
        >>> config = nb.optimizers.SGD(0.1, momentum=0.9).get_config()
        >>> nb.optimizers.SGD.from_config(config)
        SGD(learning_rate=0.1, momentum=0.9, nesterov=False)
        """
        with custom_object_scope(custom_objects):
            return cls(**config)

    def __repr__(self) -> str:
        config = self._declared()
        if self.schedule is not None:
            config["learning_rate"] = self.schedule
        if re.fullmatch(rf"{snake_case(type(self).__name__)}(_\d+)?", self.name):
            del config["name"]
        shown = (f"{k}={v!r}" for k, v in config.items() if k not in DEFAULTS or v != DEFAULTS[k])
        return f"{type(self).__name__}({', '.join(shown)})"
