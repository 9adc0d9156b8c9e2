"""Masksembles: an ensemble in one network, by a few fixed masks."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nbnet import random
from nbnet.base.validation import Interval, check_int
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.dropout import StochasticLayer
from nbnet.layers.layer import Shape, call_context, features
from nbnet.ops.broadcast import multiply
from nbnet.ops.masksembles import deal_masks, take_turn

Array = NDArray[Any]
#: Number of draws of masks before giving up.
ATTEMPTS = 10_000


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
