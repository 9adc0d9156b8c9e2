"""An ensemble in one network: a few fixed masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbnet import random
from nbnet.core.graph import Tensor
from nbnet.layers.calling import calls
from nbnet.layers.rated import Seeded
from nbnet.layers.shapes import Shape, features
from nbnet.ops.deal_masks import deal_masks
from nbnet.ops.multiply import multiply
from nbnet.ops.take_turn import take_turn
from nbnet.ranges import Range, count

if TYPE_CHECKING:
    from nbnet.models import Model

Array = NDArray[Any]
#: How often masks are drawn before giving up.
ATTEMPTS = 10_000


class Masksembles(Seeded):
    """Multiplies row r of a batch by mask ``r % n`` of n fixed masks, in training and in inference.

    So n sub-networks are trained, which overlap the less the larger the scale is, and each row of a batch is seen by
    one of them. To predict, let every row be seen by all of them: in pass t of ``model.predict_mc(x, samples=n)`` all
    rows have mask t (of more than 16 masks, perhaps another comes first), so that its mean is that of the n
    sub-networks, and its standard deviation says how far they differ; ``model.predict(x, mc_samples=n)`` is the mean
    alone. :meth:`members` returns what each of them predicts.
    Other calls, a plain ``predict`` too, deal rows to masks as in training: what a row gets depends on its place.

    Parameters
    ----------
    n
        Number of masks; divides the batch size, best.
    scale
        From 1, where all masks are full. In a mask about ``1 / scale`` of the units are kept, a few more if n is small.
    seed
        Integer; by default the layer draws its own from the global seed.

    Attributes
    ----------
    masks
        Weight (n, features) of zeros and ones, not trained.

    Raises
    ------
    ValueError
        If a number is out of range, or there are too few features for such masks.

    References
    ----------
    N. Durasov, T. Bagautdinov, P. Baque, P. Fua: Masksembles for uncertainty estimation. CVPR (2021), section 3. There
    a batch is cut into n parts; here rows are dealt in turn, so that a mask does not depend on the size of the batch.
    Where code for the authors' layer repeats whole batches, ``np.tile(x, (n, 1))``, here each row is to be repeated,
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

    def __init__(self, n: int, scale: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.n, self.scale = count(n, "n"), Range(1).check(scale, "scale")

    def build(self, input_shape: Shape) -> None:
        size = features(self.name, input_shape)
        drawn = draw_masks(self.n, self.scale, size, random.generator(self.key))
        self.masks = self.add_weight(
            drawn.shape, lambda shape, dtype: drawn.astype(dtype), trainable=False, name="masks"
        )

    def call(self, x: Tensor) -> Tensor:
        if calls.sampling is not None:
            return multiply(x, take_turn(self.masks))
        return deal_masks(x, self.masks)

    def members(self, model: Model, x: Array, batch_size: int = 32) -> Array:
        """What each sub-network of a model predicts.

        Parameters
        ----------
        model
            A model that this layer is part of; others like it in the model have the same number of masks.
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
        size = count(batch_size, "batch_size") * self.n
        y: Array = model.predict(np.repeat(np.asarray(x), self.n, axis=0), batch_size=size)
        return np.moveaxis(y.reshape(-1, self.n, *y.shape[1:]), 1, 0)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"n": self.n, "scale": self.scale}


def draw_masks(n: int, scale: float, features: int, rng: np.random.Generator) -> Array:
    """n masks of zeros and ones (n, features), each with the same number of ones and each feature in one at least.

    Parameters
    ----------
    scale
        Ones are drawn from so many times as many places; places that no mask uses are left out.

    Raises
    ------
    ValueError
        If no such masks were found.
    """
    used = scale * (1.0 - (1.0 - 1.0 / scale) ** n)  # expected features for each one in a mask
    ones = max(round(features / used), 1)
    wanted = max(round(ones * scale), ones)
    places, reach = wanted, max(wanted // 10, 1)
    for _ in range(ATTEMPTS):
        order = rng.random((n, places)).argsort(axis=1) < ones
        found: Array = order[:, order.any(axis=0)]
        if found.shape[1] == features:
            return found
        # A walk around the number of places that gives so many features.
        step = int(np.sign(features - found.shape[1]))
        places = max(min(places + step, wanted + reach), wanted - reach, ones)
    raise ValueError(f"n, scale: found no {n} masks of scale {scale:g} for {features} features; take a smaller scale")
