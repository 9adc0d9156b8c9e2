"""Dropout as a layer: at work in training, absent otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet.core.graph import Tensor
from nbnet.layers.calling import calls
from nbnet.layers.rated import NoiseShaped
from nbnet.layers.shapes import Shape
from nbnet.ops.dropout import dropout
from nbnet.ops.dropout_grouped import group_key
from nbnet.ranges import count


class Dropout(NoiseShaped):
    """Sets units to 0 with probability ``rate`` in training and multiplies the others by ``1 / (1 - rate)``;
    otherwise the identity.

    Parameters
    ----------
    rate
        Probability to DROP a unit, in [0, 1], or a :class:`nbnet.dropout_schedules.DropoutSchedule`. Many papers give
        the probability to keep.
    noise_shape
        Shape of the mask, with 1 where units share their fate along an axis and None for the size of the input;
        None: every element has its own. On the batch axis, anything but 1 stands for None.
    seed
        Integer; by default the layer draws its own from the global seed.
    batchwise
        Whether all rows of a batch drop the same units: ``noise_shape=(1, ...)``. Between dense layers, training then
        multiplies the kept rows and columns of the weights and nothing else. On large layers a step takes 0.6 of the
        time, or less than half where masks of rows do not save anything (registers of 16 bytes, ``NBNET_BLAS``). The
        gradient is noisier. Whether weights that a mask cuts off move all the same, by their moments, is the
        optimizer's ``lazy``.
    groups
        With ``batchwise``, the number of masks a batch has: its rows are cut into so many even groups of neighbours
        (of a row each, where there are fewer rows).

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
    networks from overfitting. JMLR 15 (2014), section 4 (its p is the probability to keep).

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

    def __init__(
        self,
        rate: Any,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        batchwise: bool = False,
        groups: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, noise_shape, seed, **kwargs)
        if not isinstance(batchwise, bool):
            raise TypeError(f"batchwise: wants True or False, got {batchwise!r}")
        if batchwise and noise_shape is not None:
            raise ValueError("batchwise: says that the mask is shared along the batch; give it or noise_shape")
        self.batchwise, self.groups = batchwise, count(groups, "groups")
        if self.groups > 1 and not batchwise:
            raise ValueError("groups: says how many masks a batch shares; it goes with batchwise=True")

    def _noise(self, x: Tensor) -> Shape | None:
        return (1, *x.shape[1:]) if self.batchwise else super()._noise(x)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"batchwise": self.batchwise, "groups": self.groups}

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if not training:
            return x
        groups = min(self.groups, calls.cut.rows or x.shape[0])
        if groups < 2 or calls.sampling is not None:
            return dropout(x, self._rate, self._noise(x), key=self.key)
        group = calls.cut.group(groups)
        if group is None:
            return dropout(x, self._rate, key=self.key, groups=min(groups, x.shape[0]))
        return dropout(x, self._rate, self._noise(x), key=group_key(self.key, group))
