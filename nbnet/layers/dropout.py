"""Dropout of units, of channels, of samples and of squares, and by a few fixed masks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from nbnet import dropout_schedules, random
from nbnet.base.seeds import CountedKey
from nbnet.base.validation import Interval, check_bool, check_int
from nbnet.dropout_schedules import DropoutSchedule, RateLike
from nbnet.engine.graph.parameter import invalidate_programs
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.arguments import call_context, check_rank, features, mask_rows
from nbnet.layers.layer import Layer, Shape
from nbnet.ops.broadcast import multiply
from nbnet.ops.dropout import check_noise_shape, check_rate, dropout, scheduled_rate
from nbnet.ops.structured_dropout import deal_masks, drop_block, take_turn
from nbnet.ops.windows import check_data_format

Array = NDArray[Any]
#: Number of draws of masks before giving up.
ATTEMPTS = 10_000
#: Steps at which the rate of a schedule is checked.
_STEPS = (0, *(1 << k for k in range(62)))


class StochasticLayer(Layer):
    """Base of the layers that draw random numbers: with a key of their seed, or the next one of the global seed.

    In compiled training, a step draws the numbers of the key and the step. Elsewhere the key counts the calls that
    draw, as in Keras: two layers with equal seeds draw the same numbers in their first calls, in their second calls and
    so on, whatever happens in between. Copies, pickles and files of models continue to count; layers made from a
    configuration begin anew.
    """

    supports_masking = True
    _arguments: ClassVar[tuple[str, ...]] = ("seed",)
    stochastic = True
    _shared_docs: ClassVar[dict[str, str]] = {
        "last": "seed\n    Integer; by default the layer draws its own from the global seed."
    }

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = None if seed is None else random.as_integer(seed, "seed")
        self.key = CountedKey(random.next_key() if seed is None else random.derive(seed))


def scalar_cell(layer: Layer, name: str) -> Tensor:
    """A scalar of a layer that programs read in each step."""
    return Tensor((), layer.dtype, np.zeros((), layer.dtype), name=f"{layer.name}/{name}")


def cell_value(cell: Tensor) -> float:
    """The number that was written to a cell, without the digits that rounding to float32 adds."""
    return round(float(cell.item()), 7 if cell.dtype == np.float32 else 15)


class RateLayer(StochasticLayer):
    """Base of the layers with a probability of DROPPING, a number or a schedule."""

    _arguments: ClassVar[tuple[str, ...]] = ("rate",)
    #: If True, the rate must be below 1.
    below_one: ClassVar[bool] = False

    def __init__(self, rate: RateLike, seed: int | None = None, **kwargs: Any) -> None:
        if "keep_prob" in kwargs:
            raise TypeError(
                "keep_prob: nbnet, like Keras and PyTorch, takes the probability of DROPPING: rate = 1 - keep_prob"
            )
        super().__init__(seed, **kwargs)
        self._cell = scalar_cell(self, "rate")
        self._schedule: DropoutSchedule | None = None
        self._numbers = self._cell
        self._set_rate(rate)

    @property
    def rate(self) -> float | DropoutSchedule:
        """The probability of dropping, or the schedule it follows; may be changed at any time, programs read a number
        in each step."""
        return cell_value(self._cell) if self._schedule is None else self._schedule

    @rate.setter
    def rate(self, value: RateLike) -> None:
        scheduled = self._schedule is not None
        self._set_rate(value)
        if scheduled or self._schedule is not None:
            invalidate_programs()  # They compute the rate of a schedule, and read a number.

    def _set_rate(self, value: RateLike) -> None:
        if isinstance(value, Mapping):
            value = dropout_schedules.deserialize(value)
        if isinstance(value, DropoutSchedule):
            self._check_schedule(value)
            numbers = np.array(value.numbers(), self.dtype)
            self._numbers = Tensor(numbers.shape, self.dtype, numbers, name=f"{self.name}/schedule")
            self._schedule = value
        else:
            rate = self.dtype.type(check_rate(value, self.below_one))
            # Rounding to the layer's dtype may bring a rate below 1 to 1.
            self._cell.memory()[...] = check_rate(rate, self.below_one)
            self._schedule = None

    def _check_schedule(self, schedule: DropoutSchedule) -> None:
        """Raise ValueError if the layer cannot follow a schedule: its rate must be below 1 and reaches 1."""
        schedule.function()
        reached = [step for step in _STEPS if self.below_one and self.dtype.type(schedule(step)) >= 1]
        if reached:
            raise ValueError(
                f"rate: the probability of dropping a unit lies in [0, 1), {schedule!r} reaches 1 by step {reached[0]}"
            )

    @property
    def _rate(self) -> Tensor:
        """The rate of the current step, a scalar."""
        if self._schedule is None:
            return self._cell
        return scheduled_rate(self._schedule.function(), self._numbers)


def as_noise_shape(noise_shape: Sequence[int | None] | None) -> Shape | None:
    """The noise shape of a layer as a tuple; ValueError if an entry is neither None nor a size from 1."""
    if noise_shape is None:
        return None
    sizes = tuple(noise_shape) if isinstance(noise_shape, Sequence) and noise_shape else (0,)
    if any(n is not None and (not isinstance(n, (int, np.integer)) or n < 1) for n in sizes):
        raise ValueError(f"noise_shape: expected a size from 1 or None for each axis, got {noise_shape!r}")
    return tuple(None if n is None else int(n) for n in sizes)


def check_input_shape(noise_shape: Shape | None, input_shape: Shape) -> None:
    """Raise ValueError if a noise shape does not fit a layer's input."""
    if noise_shape is not None:
        check_noise_shape(noise_shape, (None, *input_shape[1:]))


def batch_noise_shape(noise_shape: Shape | None, x: Tensor) -> Shape | None:
    """The noise shape for a batch: on the batch axis, anything but 1 stands for the rows."""
    rows = mask_rows()
    if noise_shape is None:
        return None if rows is None else (rows, *x.shape[1:])
    return (rows, *noise_shape[1:]) if noise_shape[0] != 1 else noise_shape


class Dropout(RateLayer):
    """Sets units to 0 with probability ``rate`` in training and multiplies the others by ``1 / (1 - rate)``;
    otherwise the identity.

    Parameters
    ----------
    rate
        Probability of DROPPING a unit, in [0, 1], or a :class:`nbnet.dropout_schedules.DropoutSchedule`. Many papers
        give the probability of keeping one.
    noise_shape
        Shape of the mask, with 1 where all units along an axis share a mask value and None for the size of the
        input; None: every element has its own. On the batch axis, anything but 1 stands for None.
    seed
        Integer; by default the layer draws its own from the global seed.
    batchwise
        If True, all rows of a batch drop the same units: ``noise_shape=(1, ...)``. Between dense layers, training
        then multiplies only the kept rows and columns of the weights. On large layers a step takes 0.6 of the time, or
        less than half where masks of rows save nothing (registers of 16 bytes, ``NBNET_BLAS``). The gradient is
        noisier. The optimizer's ``lazy`` decides if its moments still move the weights that a mask cuts off.

    Attributes
    ----------
    rate
        May be changed at any time; programs read it in each step.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1], or noise_shape does not fit the input.
    TypeError
        If ``keep_prob`` is given.

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov: Dropout: a simple way to prevent neural
    networks from overfitting. JMLR 15 (2014), section 4 (its p is the probability of keeping).

    B. Graham, J. Reizenstein, L. Robinson: Efficient batchwise dropout training using submatrices. arXiv:1502.02478
    (2015).

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> layer = nb.layers.Dropout(0.5, seed=1)
    >>> x = np.ones((1, 8), "float32")
    >>> layer(x).numpy()
    array([[1., 1., 1., 1., 1., 1., 1., 1.]], dtype=float32)
    >>> sorted(set(layer(np.ones((100, 8)), training=True).numpy().ravel().tolist()))
    [0.0, 2.0]
    """

    _arguments = ("noise_shape", "batchwise")

    def __init__(
        self,
        rate: RateLike,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        batchwise: bool = False,
        **kwargs: Any,
    ) -> None:
        if (groups := kwargs.pop("groups", 1)) != 1:
            raise ValueError(
                f"groups: expected no such argument, got {groups!r}; use a mask for each row, the default, or one mask "
                "for the whole batch, batchwise=True"
            )
        super().__init__(rate, seed, **kwargs)
        self.noise_shape = as_noise_shape(noise_shape)
        self.batchwise = check_bool(batchwise, "batchwise")
        if batchwise and noise_shape is not None:
            raise ValueError("batchwise: shares the mask along the batch; it cannot be combined with noise_shape")

    def _check_input(self, shape: Shape) -> None:
        check_input_shape(self.noise_shape, shape)

    def _noise(self, x: Tensor) -> Shape | None:
        return (1, *x.shape[1:]) if self.batchwise else batch_noise_shape(self.noise_shape, x)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Create the layer from the dict that :meth:`get_config` returned, or from that of an older file, whose
        ``groups`` it leaves out."""
        if (groups := config.get("groups", 1)) != 1:
            warnings.warn(f"groups: {groups} masks for each batch are not supported; training draws one", stacklevel=2)
        return super().from_config({name: value for name, value in config.items() if name != "groups"})

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return dropout(x, self._rate, self._noise(x), key=self.key) if training else x


class SpatialDropout(RateLayer):
    """Base of the layers that drop whole channels: all points of a channel share a mask value."""

    _shared_docs: ClassVar[dict[str, str]] = StochasticLayer._shared_docs | {
        "first": """rate
    Probability of DROPPING a channel of a sample, in [0, 1], or a :class:`nbnet.dropout_schedules.DropoutSchedule`.""",
    }
    #: Number of axes between the batch's and that of the channels.
    rank: ClassVar[int]

    def __init__(
        self, rate: RateLike, seed: int | None = None, name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, seed, name=name, dtype=dtype, **kwargs)

    def _check_input(self, shape: Shape) -> None:
        check_rank(self.name, shape, self.rank)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return dropout(x, self._rate, (mask_rows(), *[1] * self.rank, None), key=self.key) if training else x


class SpatialDropoutOfImages(SpatialDropout):
    """Base of those for images and volumes, which take ``data_format``."""

    _shared_docs: ClassVar[dict[str, str]] = SpatialDropout._shared_docs | {
        "first": f"""{SpatialDropout._shared_docs["first"]}
data_format
    ``"channels_last"`` or None.""",
    }
    _arguments = ("data_format",)
    data_format = "channels_last"

    def __init__(
        self,
        rate: RateLike,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        check_data_format(data_format)
        super().__init__(rate, seed, name=name, dtype=dtype, **kwargs)


class SpatialDropout1D(SpatialDropout):
    """Sets whole channels of sequences to 0 with probability ``rate`` in training and multiplies the others by
    ``1 / (1 - rate)``; otherwise the identity.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1], or inputs are not (batch, length, channels).

    References
    ----------
    J. Tompson, R. Goroshin, A. Jain, Y. LeCun, C. Bregler: Efficient object localization using convolutional networks.
    CVPR (2015), section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> layer = nb.layers.SpatialDropout1D(0.5, name="drop")
    >>> with nb.Tape() as tape:
    ...     y = layer(np.ones((2, 7, 3)), training=True)
    >>> y.shape, tape.masks["drop"].shape
    ((2, 7, 3), (2, 1, 3))
    """

    rank = 1


class SpatialDropout2D(SpatialDropoutOfImages):
    """Sets whole channels of images to 0 with probability ``rate`` in training and multiplies the others by
    ``1 / (1 - rate)``; otherwise the identity. See :class:`SpatialDropout1D`.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1], or inputs are not (batch, height, width, channels).

    References
    ----------
    J. Tompson, R. Goroshin, A. Jain, Y. LeCun, C. Bregler: Efficient object localization using convolutional networks.
    CVPR (2015), section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> layer = nb.layers.SpatialDropout2D(0.5, name="drop")
    >>> with nb.Tape() as tape:
    ...     y = layer(np.ones((2, 5, 5, 3)), training=True)
    >>> tape.masks["drop"].shape
    (2, 1, 1, 3)
    """

    rank = 2


class SpatialDropout3D(SpatialDropoutOfImages):
    """Sets whole channels of volumes to 0 with probability ``rate`` in training and multiplies the others by
    ``1 / (1 - rate)``; otherwise the identity. See :class:`SpatialDropout1D`.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1], or inputs are not (batch, depth, height, width, channels).

    References
    ----------
    J. Tompson, R. Goroshin, A. Jain, Y. LeCun, C. Bregler: Efficient object localization using convolutional networks.
    CVPR (2015), section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> layer = nb.layers.SpatialDropout3D(0.5, name="drop")
    >>> with nb.Tape() as tape:
    ...     y = layer(np.ones((2, 4, 5, 5, 3)), training=True)
    >>> tape.masks["drop"].shape
    (2, 1, 1, 1, 3)
    """

    rank = 3


class DropPath(RateLayer):
    """Sets whole samples to 0 with probability ``rate`` in training and multiplies the others by ``1 / (1 - rate)``;
    otherwise the identity.

    At the end of a residual branch, ``x + DropPath(rate)(branch(x))``, it lets samples skip the branch.

    Parameters
    ----------
    rate
        Probability of DROPPING a sample, in [0, 1], or a :class:`nbnet.dropout_schedules.DropoutSchedule`. The paper's
        p is the probability of keeping; it scales by it at inference instead.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1].

    References
    ----------
    G. Huang, Y. Sun, Z. Liu, D. Sedra, K. Q. Weinberger: Deep networks with stochastic depth. ECCV (2016).

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> layer = nb.layers.DropPath(0.5, name="path")
    >>> with nb.Tape(masks={"path": [[True], [False]]}):
    ...     y = layer(np.ones((2, 3)), training=True)
    >>> y.numpy()
    array([[2., 2., 2.],
           [0., 0., 0.]], dtype=float32)
    """

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return dropout(x, self._rate, (mask_rows(), *[1] * (x.ndim - 1)), key=self.key) if training else x


class DropBlock2D(RateLayer):
    """Sets squares of images to 0 in training and multiplies the rest of each image by elements / elements kept;
    otherwise the identity.

    Corners of squares are drawn with the paper's probability ``gamma``, so that about ``rate`` of the elements are
    dropped: fewer where squares overlap. The paper normalises by the mask of a batch; here each image is normalised by
    its own mask, so that it does not depend on the others.

    Parameters
    ----------
    rate
        Share of the elements to DROP, in [0, 1], or a :class:`nbnet.dropout_schedules.DropoutSchedule`; the paper
        raises it slowly from 0. 1 gives zeros.
    block_size
        Height and width of a square; at most those of the image.
    seed
        Integer; by default the layer draws its own from the global seed.
    shared
        If True, the channels of an image share one mask. The paper finds that a mask for each works better.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1], or inputs are no images at least as large as a square.

    References
    ----------
    G. Ghiasi, T.-Y. Lin, Q. V. Le: DropBlock: a regularization method for convolutional networks. NeurIPS (2018),
    algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> layer = nb.layers.DropBlock2D(0.1, block_size=3, seed=1, name="block")
    >>> with nb.Tape(step=0) as tape:
    ...     y = layer(np.ones((50, 16, 16, 8)), training=True)
    >>> round(float(tape.masks["block"].mean()), 2), round(float(y.numpy().mean()), 4)
    (0.9, 1.0)
    """

    _arguments = ("block_size", "shared")

    def __init__(
        self, rate: RateLike, block_size: int, seed: int | None = None, shared: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(rate, seed, **kwargs)
        self.block_size, self.shared = check_int(block_size, "block_size"), check_bool(shared, "shared")

    def _check_input(self, shape: Shape) -> None:
        if len(shape) != 4 or any(n is not None and n < self.block_size for n in shape[1:3]):
            raise ValueError(
                f"{self.name}: expected inputs (batch, height, width, channels) with at least {self.block_size} x "
                f"{self.block_size} points, got shape {shape}"
            )

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return drop_block(x, self._rate, self.block_size, self.shared, key=self.key) if training else x


class MemberPredictor(Protocol):
    """A model that predicts."""

    def predict(self, x: Any, batch_size: int = ..., verbose: Any = ...) -> Any:
        """Predict arrays of rows."""


class Masksembles(StochasticLayer):
    """Multiplies row r of a batch by mask ``r % n`` of n fixed masks, in training and in inference.

    So n sub-networks are trained, each on the rows that have its mask; the larger the scale, the less they overlap. To
    predict, pass every row through all of them: in pass t of ``model.predict_mc(x, samples=n)`` all rows have mask t
    (with more than 16 masks, perhaps starting from another mask), so that its mean is that of the n sub-networks, and
    its standard deviation says how far they differ; ``model.predict(x, mc_samples=n)`` returns only the mean.
    :meth:`members` returns the predictions of each sub-network.
    Other calls, a plain ``predict`` too, deal rows to masks as in training: the mask of a row depends on its place.

    Parameters
    ----------
    n
        Number of masks; should divide the batch size.
    scale
        From 1, where all masks are full. A mask keeps about ``1 / scale`` of the units, a few more if n is small.

    Attributes
    ----------
    masks
        Non-trainable weight (n, features) of zeros and ones.

    Raises
    ------
    ValueError
        If a number is out of range, or there are too few features for such masks.

    References
    ----------
    N. Durasov, T. Bagautdinov, P. Baque, P. Fua: Masksembles for uncertainty estimation. CVPR (2021), section 3. There
    a batch is cut into n parts; here rows are dealt in turn, so that a mask does not depend on the size of the batch.
    Code for the authors' layer that repeats whole batches, ``np.tile(x, (n, 1))``, must repeat each row here,
    ``np.repeat(x, n, axis=0)``.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> layer = nb.layers.Masksembles(4, scale=2.0, seed=1)
    >>> y = layer(np.ones((8, 16))).numpy()
    >>> np.array_equal(y[:4], y[4:]), np.array_equal(y[:4], layer.masks.numpy())
    (True, True)
    >>> model = nb.Sequential([nb.Input((16,)), layer])
    >>> found = model.predict_mc(np.ones((5, 16)), samples=4)
    >>> np.allclose(found.mean, layer.masks.numpy().mean(0))
    True
    """

    _arguments = ("n", "scale")

    def __init__(self, n: int, scale: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.n, self.scale = check_int(n, "n"), Interval(1).check(scale, "scale")

    def build(self, input_shape: Shape) -> None:
        size = features(self.name, input_shape)

        def drawn(shape: Shape, dtype: Any) -> Array:
            return draw_masks(self.n, self.scale, size, random.generator(self.key)).astype(dtype)

        self.masks = self.add_weight((self.n, size), drawn, trainable=False, name="masks")

    def call(self, x: Tensor) -> Tensor:
        if call_context.sampling is not None:
            return multiply(x, take_turn(self.masks, key=self.key))
        return deal_masks(x, self.masks)

    def members(self, model: MemberPredictor, x: Any, batch_size: int = 32) -> Array:
        """Predictions of each sub-network of a model.

        Parameters
        ----------
        model
            A model that contains this layer; other layers of this class in it have the same number of masks.
        x
            (rows, ...)
        batch_size
            Rows of x at a time.

        Returns
        -------
        ndarray, (n, rows, ...)

        Examples
        --------
        >>> import numpy as np
        >>> import nbnet as nb
        >>> layer = nb.layers.Masksembles(4, scale=2.0)
        >>> model = nb.Sequential([nb.Input((16,)), layer, nb.layers.Dense(3)])
        >>> layer.members(model, np.ones((5, 16))).shape
        (4, 5, 3)
        """
        size = check_int(batch_size, "batch_size") * self.n
        y = np.asarray(model.predict(np.repeat(np.asarray(x), self.n, axis=0), batch_size=size, verbose=0))
        return np.moveaxis(y.reshape(-1, self.n, *y.shape[1:]), 1, 0)


def draw_masks(n: int, scale: float, features: int, rng: np.random.Generator) -> Array:
    """Draw n masks of zeros and ones (n, features), all with the same number of ones; each feature is in some mask.

    ``scale`` is the number of places over the number of ones of a mask; places that no mask uses are left out. Raise
    ValueError if the draws give no such masks.
    """
    used = scale * (1.0 - (1.0 - 1.0 / scale) ** n)  # expected features over the ones of a mask
    ones = max(round(features / used), 1)
    expected = max(round(ones * scale), ones)
    places, reach = expected, max(expected // 10, 1)
    for _ in range(ATTEMPTS):
        kept = rng.random((n, places)).argsort(axis=1) < ones
        masks: Array = kept[:, kept.any(axis=0)]
        if masks.shape[1] == features:
            return masks
        # A walk around the number of places that is expected to give ``features`` features.
        step = int(np.sign(features - masks.shape[1]))
        places = max(min(places + step, expected + reach), expected - reach, ones)
    raise ValueError(f"n, scale: found no {n} masks of scale {scale:g} for {features} features; pass a smaller scale")
