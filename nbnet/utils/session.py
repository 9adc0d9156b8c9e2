"""Seeds and layer names of a session."""

from __future__ import annotations

import operator
import random
from typing import SupportsIndex

import numpy as np

from nbnet.base.registry import clear_names
from nbnet.random import set_random_seed as seed_nbnet


def set_random_seed(seed: SupportsIndex) -> None:
    """Seed nbnet (:func:`nbnet.set_random_seed`), ``random`` and ``numpy.random``, so that a script is repeatable.

    Parameters
    ----------
    seed : int
        From 0 to 2**64 - 1; NumPy's generator gets the lower 32 bits.

    Raises
    ------
    TypeError
        If ``seed`` is not an integer.
    ValueError
        If it is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.utils.set_random_seed(1)
    >>> first = np.random.normal()
    >>> nb.utils.set_random_seed(1)
    >>> np.random.normal() == first
    True
    """
    seed_nbnet(seed)
    number = operator.index(seed)
    random.seed(number)
    np.random.seed(number & 0xFFFFFFFF)  # noqa: NPY002 - scripts written for Keras draw their data from it


def clear_session(free_memory: bool = True) -> None:
    """Restart the counters of layer names: the next Dense is called ``dense``.

    Existing models still work; there is no global graph to clear.

    Parameters
    ----------
    free_memory
        If True, also collect garbage.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.utils.clear_session(free_memory=False)
    >>> nb.layers.Dense(1).name, nb.layers.Dense(1).name
    ('dense', 'dense_1')
    """
    clear_names()
    if free_memory:
        import gc

        gc.collect()
